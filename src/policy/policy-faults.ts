import { BrokerError } from '../domain/broker-error.ts'
import { quote } from '../domain/text.ts'
import type { TextPlace } from '../boundaries/boundary.ts'

/** Where in the document: member names and list indexes from the top. */
export type Path = readonly (string | number)[]

/** From 1, as editors count. */
export interface Position {
  readonly line: number
  readonly col: number
}

export interface Fault {
  readonly position: Position
  readonly path: Path
  readonly text: string
}

/** Notes a fault at the value of `path`, at its key, or within its text. */
export type Report = (path: Path, text: string, at?: At) => void

export type At = 'key' | 'value' | TextPlace

const shownFaultsMax = 100

/** One `document_invalid` that lists every fault on a line of its own, in the order of the document. */
export function documentInvalid(origin: string, faults: readonly Fault[]): BrokerError {
  const lines = faults
    .toSorted(
      (one, other) => one.position.line - other.position.line || one.position.col - other.position.col,
    )
    .map((fault) => describeFault(origin, fault))
  const distinct = [...new Set(lines)]
  const hidden = distinct.length - shownFaultsMax
  const shown = distinct.slice(0, shownFaultsMax)
  const text = (hidden > 0 ? [...shown, `and ${hidden} more`] : shown).join('\n')
  return new BrokerError('document_invalid', { reason: text, publicDetail: text })
}

/** `file policy.yaml` becomes `policy.yaml:12:5 rules[0].scopes: …`, which terminals make clickable. */
function describeFault(origin: string, { position, path, text }: Fault): string {
  const place = `${origin.replace(/^(?:file|setting) /, '')}:${position.line}:${position.col}`
  return path.length === 0 ? `${place}: ${text}` : `${place} ${describePath(path)}: ${text}`
}

/** `rules[0].scopes` */
export function describePath(path: Path): string {
  return path
    .map((step) => {
      if (typeof step === 'number') return `[${step}]`
      return /^[\w-]+$/.test(step) ? `.${step}` : `[${quote(step)}]`
    })
    .join('')
    .replace(/^\./, '')
}
