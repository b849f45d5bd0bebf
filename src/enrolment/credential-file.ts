import { fault, type Faults, type Result } from '../domain/result.ts'
import { textFault } from '../domain/text.ts'
import type { Members } from '../domain/json.ts'
import type { NewCredential } from '../records/credentials.ts'
import { isScopeToken, parseScope, type ScopeSet } from '../domain/scopes.ts'
import { readScopes } from '../policy/scope-catalogue.ts'

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
  | Faults

// Of each part of what was sent to enrol a credential a fault names the member, never its value.
export function textMember(file: Members, member: string): Result<string> {
  const value = file[member]
  const why = textFault(value)
  return why === undefined ? { ok: true, value: String(value) } : fault(`secret.${member}: ${why}`)
}

/** Likewise, for PEM, which has lines and is judged elsewhere. */
export function linesMember(file: Members, member: string): Result<string> {
  const value = file[member]
  return typeof value === 'string' && value.trim() !== '' ? { ok: true, value } : textMember(file, member)
}

export function faultsOf(...parts: readonly Result<unknown>[]): readonly string[] {
  return parts.flatMap((part) => (part.ok ? [] : [part.fault]))
}

/**
 * Narrowing a refresh token is literal (docs/google.md §1.1), so what was consented must be known word by word. At
 * Google a short name stands for its URL.
 */
export function parseConsentedScopes(scopes: unknown, upstream: string): Result<ScopeSet> {
  const refused = (why: string) => fault(`scopes: ${why}`)
  if (scopes === undefined) return refused('the scopes that were consented are required for a refresh token')
  const words: unknown = typeof scopes === 'string' ? parseScope(scopes) : scopes
  if (!Array.isArray(words) || !words.every((word) => typeof word === 'string' && isScopeToken(word)))
    return refused('must be a list of scopes, or one text with spaces between them')
  const read = readScopes(upstream, words.map(String))
  if (!read.ok) return fault(read.faults.join('\n'))
  return read.value.length === 0 ? refused('must name at least one scope') : { ok: true, value: read.value }
}

/** A secret, or a `source`, under a misspelt name would be lost without a word. */
export function unknownMembers(file: Members, known: readonly string[]): readonly string[] {
  const isMore = Object.keys(file).some((member) => !known.includes(member))
  return isMore ? [`secret: may have the members ${known.join(', ')} only`] : []
}

/** For a client that people consent to. */
export function withoutScopes(scopes: unknown): Result<undefined> {
  return scopes === undefined
    ? { ok: true, value: undefined }
    : fault('scopes: a client has none of its own: they are asked for with each consent')
}
