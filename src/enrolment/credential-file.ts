import type { Result } from '../domain/result.ts'
import type { Members } from '../domain/json.ts'
import type { NewCredential } from '../records/credentials.ts'
import { isScopeToken, parseScope, scopeSet, type ScopeSet } from '../domain/scopes.ts'

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
export type Part<T> = Result<T>

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

/** Narrowing a refresh token is literal (docs/google.md §1.1), so what was consented must be known word by word. */
export function parseConsentedScopes(scopes: unknown): Part<ScopeSet> {
  const fault = (why: string) => ({ ok: false, fault: `scopes: ${why}` }) as const
  if (scopes === undefined) return fault('the scopes that were consented are required for a refresh token')
  const words: unknown = typeof scopes === 'string' ? parseScope(scopes) : scopes
  if (!Array.isArray(words) || !words.every((word) => typeof word === 'string' && isScopeToken(word)))
    return fault('must be a list of scopes, or one text with spaces between them')
  const consented = scopeSet(words.map(String))
  return consented.length === 0 ? fault('must name at least one scope') : { ok: true, value: consented }
}
