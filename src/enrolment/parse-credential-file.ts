import type { CredentialSecret } from '../domain/credential.ts'
import { isMembers, type Members } from '../domain/json.ts'
import { Secret } from '../domain/secret.ts'
import type { Upstream } from '../domain/upstream.ts'
import {
  parseConsentedScopes,
  faultsOf,
  textMember,
  type CredentialFile,
  type CredentialFileJudgement,
} from './credential-file.ts'
import { parseApiKey, parseBrokerIdentity, parseImpersonation } from './parse-keyless-file.ts'
import { parseOAuthFile } from './parse-oauth-file.ts'
import { parseKeyFile } from '../google/service-account-key.ts'

const googleTokenUris: ReadonlySet<string> = new Set([
  'https://oauth2.googleapis.com/token',
  'https://www.googleapis.com/oauth2/v4/token',
  'https://accounts.google.com/o/oauth2/token',
])

/**
 * Judges a credential file: one of Google's own, or a form of ours where Google has none. `found` is the upstream of
 * the policy that the file names, if there is one. Every fault is found at once and names the member, never its value.
 */
export function parseCredentialFile(
  file: CredentialFile,
  found: Upstream | undefined,
): CredentialFileJudgement {
  const { secret, scopes, upstream } = file
  if (upstream !== undefined && upstream !== 'google')
    return found === undefined
      ? refused('upstream: must be "google" or the name of an upstream of the policy in force')
      : parseOAuthFile(file, found)
  if (!isMembers(secret)) return refused('secret: must be the JSON object of a credential file')
  const type = secret['type']
  switch (type) {
    case 'service_account':
      return parseServiceAccount(secret, scopes)
    case 'authorized_user':
      return parseAuthorizedUser(secret, scopes)
    case 'impersonation':
    case 'impersonated_service_account':
      return parseImpersonation(secret, scopes)
    case 'broker_identity':
      return parseBrokerIdentity(secret, scopes)
    case 'api_key':
      return parseApiKey(secret, scopes)
    case 'oauth_client':
      return parseGoogleClient(secret, scopes)
    default:
      return refused(describeOtherType(type))
  }
}

function parseServiceAccount(file: Members, scopes: unknown): CredentialFileJudgement {
  const parsed = parseKeyFile(file)
  const faults = [
    ...(parsed.ok ? [] : parsed.faults.map(({ member, why }) => `secret.${member}: ${why}`)),
    ...universeFaults(file),
    ...(scopes === undefined
      ? []
      : ['scopes: a service-account key has no consented scopes; limit it by the rules of the policy']),
  ]
  if (faults.length > 0 || !parsed.ok) return { ok: false, faults }
  const { clientEmail, keyId } = parsed.key
  const secret: CredentialSecret = { kind: 'service_account_key', ...parsed.key }
  const credential = { upstream: 'google', secret, identity: clientEmail, keyId }
  return { ok: true, credential, ignored: ignoredAddresses(file) }
}

function parseAuthorizedUser(file: Members, scopes: unknown): CredentialFileJudgement {
  const clientId = textMember(file, 'client_id')
  const clientSecret = textMember(file, 'client_secret')
  const refreshToken = textMember(file, 'refresh_token')
  const consented = parseConsentedScopes(scopes, 'google')
  const faults = [...faultsOf(clientId, clientSecret, refreshToken, consented), ...universeFaults(file)]
  if (faults.length > 0 || !clientId.ok || !clientSecret.ok || !refreshToken.ok || !consented.ok)
    return { ok: false, faults }
  const secret: CredentialSecret = {
    kind: 'refresh_token',
    client: { id: clientId.value, proof: 'secret', secret: new Secret(clientSecret.value) },
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

/** A client that people consent to at Google, as the console of Google Cloud shows it. */
function parseGoogleClient(file: Members, scopes: unknown): CredentialFileJudgement {
  const clientId = textMember(file, 'client_id')
  const clientSecret = textMember(file, 'client_secret')
  const unknown = Object.keys(file).some((name) => !['type', 'client_id', 'client_secret'].includes(name))
  const faults = [
    ...faultsOf(clientId, clientSecret),
    ...(unknown ? ['secret: may have the members type, client_id, client_secret only'] : []),
    ...(scopes === undefined
      ? []
      : ['scopes: a client has none of its own: they are asked for with each consent']),
  ]
  if (faults.length > 0 || !clientId.ok || !clientSecret.ok) return { ok: false, faults }
  const secret: CredentialSecret = {
    kind: 'oauth_client',
    client: { id: clientId.value, proof: 'secret', secret: new Secret(clientSecret.value) },
  }
  return { ok: true, credential: { upstream: 'google', secret, identity: clientId.value }, ignored: [] }
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
  'gdch_service_account',
])

const typesOfUpstreams: ReadonlySet<unknown> = new Set(['oauth_refresh_token', 'oauth_client_credentials'])

function describeOtherType(type: unknown): string {
  const wanted =
    'must be "service_account", "authorized_user", "impersonation", "impersonated_service_account", ' +
    '"broker_identity", "api_key" or "oauth_client"'
  if (type === undefined) return `secret.type: is missing; it ${wanted}`
  if (typesOfUpstreams.has(type)) return 'upstream: must name the upstream of the policy that issued it'
  // Only names we know are repeated: anything else might be a secret in the wrong place.
  const isKnown = typeof type === 'string' && otherTypes.has(type)
  return isKnown ? `secret.type: "${type}" is not supported; it ${wanted}` : `secret.type: ${wanted}`
}

function refused(fault: string): CredentialFileJudgement {
  return { ok: false, faults: [fault] }
}
