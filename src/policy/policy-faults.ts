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

/** What kind of fault or warning it is: for programs, so never renamed. */
export type FaultCode =
  | 'syntax'
  | 'unknown_key'
  | 'missing'
  | 'repeated'
  | 'unknown_issuer'
  | 'too_long'
  | 'invalid'

export interface Fault {
  readonly position: Position
  readonly path: Path
  readonly code: FaultCode
  readonly text: string
  /** What was probably meant, or would do. */
  readonly hint?: string
}

export interface FaultDetails {
  /** Where it is shown: at the value of its path, at its key, or within its text. */
  readonly at?: At
  /** Default: `invalid`. */
  readonly code?: FaultCode
  readonly hint?: string
}

export type Report = (path: Path, text: string, details?: FaultDetails) => void

export type At = 'key' | 'value' | TextPlace

const shownFaultsMax = 100
/** Whoever has so many has made one mistake many times; nothing is looked for behind them. */
export const keptFaultsMax = 1_000

/** One `document_invalid` that lists every fault on a line of its own, in the order of the document. */
export function documentInvalid(origin: string, faults: readonly Fault[]): BrokerError {
  const lines = inOrder(faults).map((fault) => describeFault(originShown(origin), fault))
  const distinct = [...new Set(lines)]
  const hidden = distinct.length - shownFaultsMax
  const shown = distinct.slice(0, shownFaultsMax)
  const more = faults.length < keptFaultsMax ? `and ${hidden} more` : `and ${hidden} more at least`
  const text = (hidden > 0 ? [...shown, more] : shown).join('\n')
  return new BrokerError('document_invalid', { reason: text, publicDetail: text })
}

/** `file policy.yaml` becomes `policy.yaml`. */
function originShown(origin: string): string {
  return origin.replace(/^(?:file|setting) /, '')
}

export function inOrder(faults: readonly Fault[]): readonly Fault[] {
  return faults.toSorted(
    (one, other) => one.position.line - other.position.line || one.position.col - other.position.col,
  )
}

/** `policy.yaml:12:5 rules[0].scopes: …`, which terminals make clickable. */
export function describeFault(place: string, { position, path, text, hint }: Fault): string {
  const said = hint === undefined ? text : `${text}; ${hint}`
  const at = `${place}:${position.line}:${position.col}`
  return path.length === 0 ? `${at}: ${said}` : `${at} ${describePath(path)}: ${said}`
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
