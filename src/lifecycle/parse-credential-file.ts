import type { CredentialSecret } from '../domain/credential.ts'
import { isMembers, type Members } from '../domain/json-object.ts'
import { isScopeToken, parseScope, scopeSet, type ScopeSet } from '../domain/scopes.ts'
import { Secret } from '../domain/secret.ts'
import type { NewCredential } from '../records/credentials.ts'
import { parsePrivateKeyPem } from './private-key-pem.ts'

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
      /** Members that say where to call: they are data, nobody calls there (P29). */
      readonly ignored: readonly string[]
    }
  | { readonly ok: false; readonly faults: readonly string[] }

const memberCharsMax = 4096
const emailPattern = /^[^@\s]{1,64}@[^@\s]+\.[^@\s]+$/
const googleTokenUris: ReadonlySet<string> = new Set([
  'https://oauth2.googleapis.com/token',
  'https://www.googleapis.com/oauth2/v4/token',
  'https://accounts.google.com/o/oauth2/token',
])

/**
 * Judges one of Google's own credential files: a service account's key, or a user's refresh token with the scopes
 * that were consented. Every fault is found at once and names the member, never its value.
 */
export function parseCredentialFile({ secret, scopes, upstream }: CredentialFile): CredentialFileJudgement {
  if (upstream !== undefined && upstream !== 'google')
    return refused('upstream: only "google" is supported yet')
  if (!isMembers(secret))
    return refused("secret: must be the JSON object of one of Google's credential files")
  const type = secret['type']
  switch (type) {
    case 'service_account':
      return parseServiceAccount(secret, scopes)
    case 'authorized_user':
      return parseAuthorizedUser(secret, scopes)
    default:
      return refused(describeOtherType(type))
  }
}

function parseServiceAccount(file: Members, scopes: unknown): CredentialFileJudgement {
  const clientEmail = text(file, 'client_email')
  const keyId = text(file, 'private_key_id')
  const privateKey = text(file, 'private_key', 'lines')
  const pem = privateKey.ok ? parsePrivateKeyPem(privateKey.value) : undefined
  const faults = [
    ...faultsOf(clientEmail, keyId, privateKey),
    ...(clientEmail.ok && !emailPattern.test(clientEmail.value)
      ? ['secret.client_email: is not an e-mail address']
      : []),
    ...(pem === undefined || pem.ok ? [] : [`secret.private_key: ${pem.fault}`]),
    ...universeFaults(file),
    ...(scopes === undefined
      ? []
      : ['scopes: a service-account key has no consented scopes; limit it by the rules of the policy']),
  ]
  if (faults.length > 0 || !clientEmail.ok || !keyId.ok || !pem?.ok) return { ok: false, faults }
  const secret: CredentialSecret = {
    kind: 'service_account_key',
    clientEmail: clientEmail.value,
    keyId: keyId.value,
    privateKey: new Secret(pem.pkcs8Pem),
  }
  const credential = { upstream: 'google', secret, identity: clientEmail.value, keyId: keyId.value }
  return { ok: true, credential, ignored: ignoredAddresses(file) }
}

function parseAuthorizedUser(file: Members, scopes: unknown): CredentialFileJudgement {
  const clientId = text(file, 'client_id')
  const clientSecret = text(file, 'client_secret')
  const refreshToken = text(file, 'refresh_token')
  const consented = parseConsentedScopes(scopes)
  const faults = [...faultsOf(clientId, clientSecret, refreshToken, consented), ...universeFaults(file)]
  if (faults.length > 0 || !clientId.ok || !clientSecret.ok || !refreshToken.ok || !consented.ok)
    return { ok: false, faults }
  const secret: CredentialSecret = {
    kind: 'refresh_token',
    clientId: clientId.value,
    clientSecret: new Secret(clientSecret.value),
    refreshToken: new Secret(refreshToken.value),
  }
  const credential = {
    upstream: 'google',
    secret,
    identity: clientId.value,
    consentedScopes: consented.value,
  }
  return { ok: true, credential, ignored: ignoredAddresses(file) }
}

type Part<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly fault: string }

/** Printable ASCII without spaces, as header and form values need it; `lines` is for PEM, judged elsewhere. */
function text(file: Members, member: string, form: 'word' | 'lines' = 'word'): Part<string> {
  const value = file[member]
  const fault = (why: string) => ({ ok: false, fault: `secret.${member}: ${why}` }) as const
  if (value === undefined) return fault('is missing')
  if (typeof value !== 'string') return fault('must be a string')
  if (value.trim() === '') return fault('is empty')
  if (form === 'lines') return { ok: true, value }
  if (value.length > memberCharsMax) return fault(`is longer than ${memberCharsMax} characters`)
  return /^[\x21-\x7E]+$/.test(value)
    ? { ok: true, value }
    : fault('has white space or characters that are not ASCII')
}

/** Narrowing a refresh token is literal (docs/google.md §1.1), so what was consented must be known word by word. */
function parseConsentedScopes(scopes: unknown): Part<ScopeSet> {
  const fault = (why: string) => ({ ok: false, fault: `scopes: ${why}` }) as const
  if (scopes === undefined) return fault('the scopes that were consented are required for a refresh token')
  const words: unknown = typeof scopes === 'string' ? parseScope(scopes) : scopes
  if (!Array.isArray(words) || !words.every((word) => typeof word === 'string' && isScopeToken(word)))
    return fault('must be a list of scopes, or one text with spaces between them')
  const consented = scopeSet(words.map(String))
  return consented.length === 0 ? fault('must name at least one scope') : { ok: true, value: consented }
}

/** A key of another universe never works at the configured endpoints. */
function universeFaults(file: Members): readonly string[] {
  const universe = file['universe_domain']
  return universe === undefined || universe === 'googleapis.com'
    ? []
    : ['secret.universe_domain: only googleapis.com is supported yet']
}

function ignoredAddresses(file: Members): readonly string[] {
  const tokenUri = file['token_uri']
  const isForeign = tokenUri !== undefined && !(typeof tokenUri === 'string' && googleTokenUris.has(tokenUri))
  return isForeign ? ['token_uri'] : []
}

const otherTypes: ReadonlySet<string> = new Set([
  'external_account',
  'external_account_authorized_user',
  'impersonated_service_account',
  'gdch_service_account',
])

function describeOtherType(type: unknown): string {
  const wanted = 'must be "service_account" or "authorized_user"'
  if (type === undefined) return `secret.type: is missing; it ${wanted}`
  // Only names we know are repeated: anything else might be a secret in the wrong place.
  const isKnown = typeof type === 'string' && otherTypes.has(type)
  return isKnown ? `secret.type: "${type}" is not supported; it ${wanted}` : `secret.type: ${wanted}`
}

function faultsOf(...parts: readonly Part<unknown>[]): readonly string[] {
  return parts.flatMap((part) => (part.ok ? [] : [part.fault]))
}

function refused(fault: string): CredentialFileJudgement {
  return { ok: false, faults: [fault] }
}
