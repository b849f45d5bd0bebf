import type { CredentialSecret, OAuthClient } from '../domain/credential.ts'
import { isMembers, parseJsonObject, type Members } from '../domain/json.ts'
import { fault, type Reading, type Result } from '../domain/result.ts'
import type { ScopeSet } from '../domain/scopes.ts'
import { Secret } from '../domain/secret.ts'
import { signingAlgorithms, type SigningAlgorithm } from '../domain/jwk.ts'
import { originOf, type Upstream } from '../domain/upstream.ts'
import {
  parseConsentedScopes,
  faultsOf,
  linesMember,
  textMember,
  unknownMembers,
  withoutScopes,
  type CredentialFile,
  type CredentialFileJudgement,
} from './credential-file.ts'
import { parsePrivateKeyPem } from '../domain/pem.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/**
 * Judges what is enrolled for an upstream of the policy: a refresh token, or a client that gets tokens for itself.
 * The client proves itself as the upstream's entry says, and with nothing beside it.
 */
export function parseOAuthFile(
  { secret: file, scopes }: CredentialFile,
  upstream: Upstream,
): CredentialFileJudgement {
  if (!isMembers(file)) return { ok: false, faults: ['secret: must be a JSON object'] }
  const kind = kinds.get(file['type'])
  if (kind === undefined)
    return {
      ok: false,
      faults: [
        `secret.type: must be "oauth_refresh_token", "oauth_client_credentials" or "oauth_client" for upstream ${upstream.name}`,
      ],
    }
  const client = parseClient(file, upstream)
  const refreshToken = kind === 'refresh_token' ? textMember(file, 'refresh_token') : undefined
  const consented = consentedOf(kind, scopes, upstream.name)
  const faults = [
    ...faultsOf(...(refreshToken === undefined ? [] : [refreshToken]), consented),
    ...(client.ok ? [] : client.faults),
    ...unknownMembers(file, [
      'type',
      'client_id',
      'client_secret',
      ...keyMembers,
      ...(kind === 'refresh_token' ? ['refresh_token'] : []),
    ]),
  ]
  if (faults.length > 0 || !client.ok || !consented.ok || refreshToken?.ok === false)
    return { ok: false, faults }
  const secret: CredentialSecret =
    kind !== 'refresh_token' || refreshToken === undefined
      ? { kind: kind === 'oauth_client' ? kind : 'client_credentials', client: client.value }
      : { kind, client: client.value, refreshToken: new Secret(refreshToken.value) }
  const credential = {
    upstream: upstream.name,
    secret,
    identity: client.value.id,
    ...omitUndefined({
      keyId: client.value.proof === 'key' ? client.value.keyId : undefined,
      consentedScopes: consented.value,
    }),
  }
  return { ok: true, credential, ignored: [] }
}

type Kind = 'refresh_token' | 'client_credentials' | 'oauth_client'

const kinds: ReadonlyMap<unknown, Kind> = new Map<unknown, Kind>([
  ['oauth_refresh_token', 'refresh_token'],
  ['oauth_client_credentials', 'client_credentials'],
  ['oauth_client', 'oauth_client'],
])

/** A client that asks for itself may be limited to scopes, and need not be. */
function consentedOf(kind: Kind, scopes: unknown, upstream: string): Result<ScopeSet | undefined> {
  if (kind === 'oauth_client') return withoutScopes(scopes)
  if (kind === 'client_credentials' && scopes === undefined) return { ok: true, value: undefined }
  return parseConsentedScopes(scopes, upstream)
}

function parseClient(file: Members, upstream: Upstream): Reading<OAuthClient> {
  const { name, clientAuthentication: way } = upstream
  const origin = originOf(upstream)
  const id = textMember(file, 'client_id')
  const foreign = (members: readonly string[]) =>
    members
      .filter((member) => file[member] !== undefined)
      .map((member) => `secret.${member}: upstream ${name} has client_auth ${way}, which does not use it`)

  switch (way) {
    case 'client_secret_post':
    case 'client_secret_basic': {
      const secret = textMember(file, 'client_secret')
      const faults = [...faultsOf(id, secret), ...foreign(keyMembers)]
      if (faults.length > 0 || !id.ok || !secret.ok) return { ok: false, faults }
      return { ok: true, value: { id: id.value, origin, proof: 'secret', secret: new Secret(secret.value) } }
    }
    case 'private_key_jwt': {
      const key = parseKey(file)
      const faults = [...faultsOf(id), ...(key.ok ? [] : key.faults), ...foreign(['client_secret'])]
      if (faults.length > 0 || !id.ok || !key.ok) return { ok: false, faults }
      return { ok: true, value: { id: id.value, origin, proof: 'key', ...key.value } }
    }
    case 'none': {
      const faults = [...faultsOf(id), ...foreign(['client_secret', ...keyMembers])]
      if (faults.length > 0 || !id.ok) return { ok: false, faults }
      return { ok: true, value: { id: id.value, origin, proof: 'none' } }
    }
  }
}

const keyMembers = ['private_key', 'kid', 'alg'] as const

/** PKCS#8 in PEM, or a private JWK, whose own `kid` and `alg` stand where the file has none beside it. */
function parseKey(
  file: Members,
): Reading<{ readonly privateKey: Secret; readonly keyId?: string; readonly algorithm: SigningAlgorithm }> {
  const given = file['private_key']
  // As text too: that is how a key lies in a secret store or an environment variable.
  const read = typeof given === 'string' ? parseJsonObject(given) : given
  const jwk = isMembers(read) ? read : undefined
  const privateKey = jwk === undefined ? pemMember(file) : jwkMember(jwk)
  const algorithm = algorithmMember(file['alg'] ?? jwk?.['alg'])
  const keyId = file['kid'] ?? jwk?.['kid']
  const named = keyId === undefined ? undefined : textMember({ kid: keyId }, 'kid')
  const faults = faultsOf(privateKey, algorithm, ...(named === undefined ? [] : [named]))
  if (faults.length > 0 || !privateKey.ok || !algorithm.ok) return { ok: false, faults }
  return {
    ok: true,
    value: {
      privateKey: privateKey.value,
      algorithm: algorithm.value,
      ...(named?.ok === true && { keyId: named.value }),
    },
  }
}

function pemMember(file: Members): Result<Secret> {
  const text = linesMember(file, 'private_key')
  if (!text.ok) return text
  if (text.value.includes('BEGIN EC PRIVATE KEY'))
    return fault('secret.private_key: is in SEC1: convert it with openssl pkcs8 -topk8 -nocrypt')
  const pem = parsePrivateKeyPem(text.value)
  if (!pem.ok) return fault(`secret.private_key: ${pem.fault}`)
  return { ok: true, value: new Secret(pem.value) }
}

/** What makes up a private key of each type (RFC 7518 §6, RFC 8037 §2), and nothing beside it is kept. */
const jwkMembers: ReadonlyMap<unknown, readonly string[]> = new Map<unknown, readonly string[]>([
  ['RSA', ['kty', 'n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi']],
  ['EC', ['kty', 'crv', 'x', 'y', 'd']],
  ['OKP', ['kty', 'crv', 'x', 'd']],
])

function jwkMember(jwk: Members): Result<Secret> {
  const members = jwkMembers.get(jwk['kty'])
  if (members === undefined) return fault('secret.private_key: a JWK must have "kty" RSA, EC or OKP')
  const missing = members.filter((member) => typeof jwk[member] !== 'string' || jwk[member] === '')
  if (missing.length > 0)
    return fault(`secret.private_key: a JWK of this type must have the members ${missing.join(', ')}`)
  const kept = Object.fromEntries(members.map((member) => [member, jwk[member]]))
  return { ok: true, value: new Secret(JSON.stringify(kept)) }
}

function algorithmMember(value: unknown): Result<SigningAlgorithm> {
  const algorithm = signingAlgorithms.find((known) => known === value)
  if (algorithm !== undefined) return { ok: true, value: algorithm }
  const why = value === undefined ? 'is missing; it must' : 'must'
  return fault(`secret.alg: ${why} be one of ${signingAlgorithms.join(', ')}`)
}
