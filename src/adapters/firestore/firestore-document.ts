import { epochSeconds, type EpochSeconds } from '../../domain/time.ts'
import type { ListOptions, DocumentKey, Version } from '../../ports/document-store.ts'
import { documentVersion } from '../documents.ts'

/**
 * How a document lies in Firestore. The value is JSON text and not a native map: exactly what was put comes back
 * (arrays in arrays, any member name, any depth), the size limit is the same in all stores, and no index entry is
 * made per member. The console shows it legibly all the same.
 */
export interface DocumentFields {
  readonly json: string
  /** New with every write: one that changes nothing would keep `updateTime`, and it tells whose write arrived. */
  readonly nonce: string
  /** A timestamp, so that Firestore's TTL policy can tidy up. */
  readonly expiresAt?: EpochSeconds
}

/** The field that TTL policies name. */
export const ttlField = 'expiresAt'

/** Every field, since "replace if unchanged" has to name them all. */
const fieldNames = ['json', 'nonce', ttlField] as const

/** The fields read, and empty ones when they are not ours; `expiresAt` as seconds since the epoch. */
export function parseFields(fields: {
  readonly [name in (typeof fieldNames)[number]]: unknown
}): DocumentFields {
  const { json, nonce, expiresAt } = fields
  const foreign = { json: '', nonce: '' }
  if (typeof json !== 'string' || typeof nonce !== 'string') return foreign
  if (expiresAt === undefined) return { json, nonce }
  return typeof expiresAt === 'number' ? { json, nonce, expiresAt: epochSeconds(expiresAt) } : foreign
}

export function isExpired({ expiresAt }: DocumentFields, now: EpochSeconds): boolean {
  return expiresAt !== undefined && expiresAt <= now
}

/** Whether a list has it, as far as expiry decides that. */
export function isListed(fields: DocumentFields, { expiresBefore }: ListOptions, now: EpochSeconds): boolean {
  if (expiresBefore === undefined) return !isExpired(fields, now)
  return fields.expiresAt !== undefined && fields.expiresAt < expiresBefore
}

export interface DocumentPath {
  readonly collection: string
  readonly id: string
}

/** Firestore refuses these: https://firebase.google.com/docs/firestore/quotas#collections_documents_and_fields */
const reserved = /^(?:\.\.?|__.*__)$/
/** Comes before every character of a key, so that a marked name keeps its place in the order. */
const mark = '!'

/** Where a key or a key prefix lies: itself, but for names that Firestore keeps to itself. */
export function documentPath(key: DocumentKey): DocumentPath {
  const slash = key.indexOf('/')
  return { collection: firestoreName(key.slice(0, slash)), id: firestoreName(key.slice(slash + 1)) }
}

/** Where the documents of a database lie: the beginning of each one's name. */
export type DocumentsRoot = `projects/${string}/databases/${string}/documents`

/** The name of a key's document. Keys hold neither slashes nor anything else that means something in a name. */
export function documentName(root: DocumentsRoot, key: DocumentKey): string {
  const { collection, id } = documentPath(key)
  return `${root}/${collection}/${id}`
}

/** The least id after all whose keys start with `prefix`: `~` follows every character of a key. */
export function endOfIds(prefix: DocumentKey): string {
  return `${prefix.slice(prefix.indexOf('/') + 1)}~`
}

/** The key whose document has this id, in the collection of `neighbour`. */
export function documentKey(neighbour: DocumentKey, id: string): DocumentKey {
  return neighbour.slice(0, neighbour.indexOf('/') + 1) + (id.endsWith(mark) ? id.slice(0, -mark.length) : id)
}

function firestoreName(segment: string): string {
  return reserved.test(segment) ? segment + mark : segment
}

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
