import { type CredentialSecret, credentialName } from '../domain/credential.ts'
import { isMembers, type Members } from '../domain/json.ts'
import { Secret } from '../domain/secret.ts'
import type { Upstream } from '../domain/upstream.ts'
import {
  parseConsentedScopes,
  faultsOf,
  textMember,
  unknownMembers,
  withoutScopes,
  type CredentialFile,
  type CredentialFileJudgement,
} from './credential-file.ts'
import { parseOAuthFile } from './parse-oauth-file.ts'
import { parseKeyFile } from '../google/service-account-key.ts'
import { fault, type Fault, type Result } from '../domain/result.ts'
import { isServiceAccountEmail } from '../domain/google.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

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
  const faults = [
    ...faultsOf(clientId, clientSecret, withoutScopes(scopes)),
    ...unknownMembers(file, ['type', 'client_id', 'client_secret']),
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

/** Google names no limit; a longer chain is a mistake. */
const delegatesMax = 10
const googleUrl = /^https:\/\/iamcredentials\.googleapis\.com\//
const resourceName = /^projects\/-\/serviceAccounts\//

/**
 * Whom to act as: our own form, or Google's file of type `impersonated_service_account`. Of that one the account and
 * the delegates are taken and nothing else: its address is never called (P29), and a secret in its
 * `source_credentials` is not kept. The source is a credential enrolled here, named in `source`.
 */
function parseImpersonation(file: Members, scopes: unknown): CredentialFileJudgement {
  const isGoogles = file['type'] === 'impersonated_service_account'
  const account = isGoogles ? accountInUrl(file) : emailMember(file)
  const delegates = delegatesMember(file)
  const source = sourceMember(file)
  const faults = [
    ...faultsOf(account, delegates, source),
    ...(isGoogles ? [] : unknownMembers(file, ['type', 'service_account', 'delegates', 'source'])),
    ...scopeFaults(scopes),
  ]
  if (faults.length > 0 || !account.ok || !delegates.ok || !source.ok) return { ok: false, faults }
  const secret: CredentialSecret = {
    kind: 'impersonation',
    serviceAccount: account.value,
    delegates: delegates.value,
  }
  const credential = { upstream: 'google', secret, identity: account.value }
  return {
    ok: true,
    credential: { ...credential, ...omitUndefined({ source: source.value }) },
    ignored: isGoogles ? ignoredMembers(file) : [],
  }
}

/** Whatever the platform says the broker is; there is nothing to keep. */
function parseBrokerIdentity(file: Members, scopes: unknown): CredentialFileJudgement {
  const faults = [...unknownMembers(file, ['type']), ...scopeFaults(scopes)]
  if (faults.length > 0) return { ok: false, faults }
  return {
    ok: true,
    credential: { upstream: 'google', secret: { kind: 'broker_identity' }, identity: 'broker' },
    ignored: [],
  }
}

/** A key as its console shows it; `key_id`, where there is one, tells keys apart without showing them. */
function parseApiKey(file: Members, scopes: unknown): CredentialFileJudgement {
  const key = textMember(file, 'key')
  const keyId = file['key_id'] === undefined ? undefined : textMember(file, 'key_id')
  const faults = [
    ...faultsOf(key, ...(keyId === undefined ? [] : [keyId])),
    ...unknownMembers(file, ['type', 'key', 'key_id']),
    ...scopeFaults(scopes),
  ]
  if (faults.length > 0 || !key.ok) return { ok: false, faults }
  const secret: CredentialSecret = { kind: 'api_key', key: new Secret(key.value) }
  const credential = { upstream: 'google', secret, identity: 'API key' }
  return {
    ok: true,
    credential: { ...credential, ...(keyId?.ok === true && { keyId: keyId.value }) },
    ignored: [],
  }
}

function emailMember(file: Members): Result<string> {
  const email = textMember(file, 'service_account')
  if (!email.ok || isServiceAccountEmail(email.value)) return email
  return memberFault('service_account', "is no service account's e-mail address")
}

/** The account that Google's file names at the end of an address. */
function accountInUrl(file: Members): Result<string> {
  const member = 'service_account_impersonation_url'
  const url = textMember(file, member)
  if (!url.ok) return url
  const account = /\/serviceAccounts\/(?<account>[^/:]+):generateAccessToken$/.exec(url.value)?.groups?.[
    'account'
  ]
  return account !== undefined && isServiceAccountEmail(account)
    ? { ok: true, value: account }
    : memberFault(member, 'must end in /serviceAccounts/EMAIL:generateAccessToken')
}

/** E-mail addresses, or Google's resource names that end in one. */
function delegatesMember({ delegates = [] }: Members): Result<readonly string[]> {
  const listed: readonly unknown[] | undefined = Array.isArray(delegates) ? delegates : undefined
  const emails = listed?.map((one) => (typeof one === 'string' ? one.replace(resourceName, '') : ''))
  if (emails === undefined || emails.length > delegatesMax || !emails.every(isServiceAccountEmail))
    return memberFault(
      'delegates',
      `must be a list of at most ${delegatesMax} service accounts' e-mail addresses`,
    )
  return { ok: true, value: emails }
}

function sourceMember({ source }: Members): Result<string | undefined> {
  if (source === undefined) return { ok: true, value: undefined }
  if (typeof source === 'string' && credentialName.test(source)) return { ok: true, value: source }
  return memberFault('source', 'must be the name of a credential')
}

function ignoredMembers(file: Members): readonly string[] {
  const url = file['service_account_impersonation_url']
  return [
    ...(typeof url === 'string' && googleUrl.test(url) ? [] : ['service_account_impersonation_url']),
    ...(file['source_credentials'] === undefined ? [] : ['source_credentials']),
  ]
}

function scopeFaults(scopes: unknown): readonly string[] {
  return scopes === undefined
    ? []
    : ['scopes: were not consented for this kind of credential; limit it by the rules of the policy']
}

function memberFault(member: string, why: string): Fault {
  return fault(`secret.${member}: ${why}`)
}
