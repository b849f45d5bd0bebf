import type { Members } from '../domain/json-object.ts'
import type { NewCredential } from '../records/credentials.ts'

/** What an enrolment says beside the name; nothing of it is believed yet. */
export interface CredentialFile {
  readonly secret: unknown
  readonly scopes?: unknown
  readonly upstream?: unknown
}

export type CredentialFileJudgement =
  | {
      readonly ok: true
      readonly credential: Omit<NewCredential, 'name'>
      /** Members that nobody follows or keeps: where to call (P29), and secrets of another credential. */
      readonly ignored: readonly string[]
    }
  | { readonly ok: false; readonly faults: readonly string[] }

/** A part of what was sent to enrol a credential, or what is wrong with it: the member, never its value. */
export type Part<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly fault: string }

const charsMax = 4096

/** Printable ASCII without spaces, as header and form values need it; `lines` is for PEM, judged elsewhere. */
export function textMember(file: Members, member: string, form: 'word' | 'lines' = 'word'): Part<string> {
  const value = file[member]
  const fault = (why: string) => ({ ok: false, fault: `secret.${member}: ${why}` }) as const
  if (value === undefined) return fault('is missing')
  if (typeof value !== 'string') return fault('must be a string')
  if (value.trim() === '') return fault('is empty')
  if (form === 'lines') return { ok: true, value }
  if (value.length > charsMax) return fault(`is longer than ${charsMax} characters`)
  return /^[\x21-\x7E]+$/.test(value)
    ? { ok: true, value }
    : fault('has white space or characters that are not ASCII')
}

export function faultsOf(...parts: readonly Part<unknown>[]): readonly string[] {
  return parts.flatMap((part) => (part.ok ? [] : [part.fault]))
}
