import type { Version } from '../../ports/document-store.ts'
import { documentVersion } from '../document-version.ts'

/** Firestore's `updateTime`: strictly later with every write that changes something, also across a deletion. */
export interface UpdateTime {
  readonly seconds: number
  readonly nanos: number
}

/** Firestore's clock counts microseconds, and it refuses a precondition that counts finer. */
const rfc3339 = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,6}))?Z$/

/** RFC 3339 in UTC with six digits: what REST takes as a precondition, and the same from every driver. */
export function formatUpdateTime({ seconds, nanos }: UpdateTime): Version {
  const whole = new Date(seconds * 1000).toISOString().slice(0, 'YYYY-MM-DDTHH:MM:SS'.length)
  return documentVersion(`${whole}.${String(nanos / 1000).padStart(6, '0')}Z`)
}

/** `undefined` for what no Firestore ever gave: such a version matches no document. */
export function parseUpdateTime(text: string): UpdateTime | undefined {
  const [, whole, fraction = ''] = rfc3339.exec(text) ?? []
  const ms = Date.parse(`${whole}Z`)
  return Number.isNaN(ms) ? undefined : { seconds: ms / 1000, nanos: Number(fraction.padEnd(9, '0')) }
}
