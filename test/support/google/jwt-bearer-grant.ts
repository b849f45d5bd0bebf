import { compactVerify, decodeProtectedHeader, type JWTPayload } from 'jose'
import type { AccountKey } from './account-keys.ts'
import { refuse } from './refusals.ts'
import { isObject, jsonReply, notImplemented, type Reply } from './reply.ts'
import { parseScopes } from './scopes.ts'
import type { ServiceAccount } from './service-accounts.ts'
import type { World } from './world.ts'

const AUDIENCE = 'https://oauth2.googleapis.com/token'
const ASSERTION_SECONDS_MAX = 3600
/** How far in the future `iat` may be. */
const SKEW_SECONDS = 300
const email = /^[^@\s]+@[^@\s]+\.[^@\s]+$/

type Assertion = {
  readonly account: ServiceAccount
  readonly keyId: string
  readonly claims: JWTPayload
}

/** An access token, or an ID token, for an assertion that a service-account key signed (docs/google.md §1.2). */
export async function answerAssertion(world: World, jwt: string): Promise<Reply> {
  const assertion = await verifyAssertion(world, jwt)
  const { claims } = assertion
  checkTimes(world, claims)
  if (claims['prn'] !== undefined) return notImplemented('the claim prn')
  const scope = claims['scope'] ?? ''
  const audience = claims['target_audience']
  if (audience === undefined) return accessToken(world, assertion, scope)
  if (scope !== '' || claims.sub !== undefined) {
    return notImplemented('target_audience beside a scope or sub')
  }
  return idToken(world, assertion, audience)
}

function accessToken(world: World, assertion: Assertion, scope: unknown): Reply {
  const { account, keyId, claims } = assertion
  const scopes = typeof scope === 'string' ? parseScopes(scope) : refuse('scope_not_granted')
  if (scopes.length === 0) return refuse('scope_missing')
  const user = claims.sub === undefined ? undefined : delegate(world, account, claims.sub, scopes)
  const { tokenLifetime } = world.tuning()
  const token = world.tokens.issue({
    kind: user === undefined ? 'service_account' : 'delegated',
    scopes,
    subject: user ?? account.email,
    ...(user === undefined ? {} : { actor: account.email }),
    keyId,
    expiresAt: world.now() + tokenLifetime,
  })
  // No scope and no refresh_token: the asker must remember what it asked for.
  return jsonReply({ access_token: token.value, expires_in: tokenLifetime, token_type: 'Bearer' })
}

async function idToken(world: World, assertion: Assertion, audience: unknown): Promise<Reply> {
  const { account, keyId } = assertion
  if (typeof audience !== 'string' || audience === '') return refuse('scope_missing')
  const { token, expiresAt } = await world.idTokens.sign({
    sub: account.uniqueId,
    aud: audience,
    azp: account.email,
    email: account.email,
  })
  world.tokens.remember(token, {
    kind: 'id_token',
    scopes: [],
    subject: account.email,
    audience,
    keyId,
    expiresAt,
  })
  return jsonReply({ id_token: token })
}

async function verifyAssertion(world: World, jwt: string): Promise<Assertion> {
  const { alg, kid, iss } = decodeUnverified(jwt)
  if (typeof iss !== 'string' || !email.test(iss)) return refuse('not_an_email')
  const account = world.accounts.find(iss)
  if (!account) return refuse('account_unknown')
  if (account.disabled) return refuse('account_disabled')
  const verifiers = account.keys.verifiers()
  if (alg !== 'RS256') return refuse('jwt_signature')
  const candidates = verifiers.filter((key) => kid === undefined || key.id === kid)
  for (const key of candidates) {
    const claims = await verifyWith(key, jwt)
    if (claims) return { account, keyId: key.id, claims }
  }
  return refuse('jwt_signature')
}

async function verifyWith(key: AccountKey, jwt: string): Promise<JWTPayload | undefined> {
  try {
    const { payload } = await compactVerify(jwt, key.publicKey, { algorithms: ['RS256'] })
    return parseClaims(payload)
  } catch {
    return undefined
  }
}

function decodeUnverified(jwt: string): { alg: unknown; kid: unknown; iss: unknown } {
  try {
    const header = decodeProtectedHeader(jwt)
    const claims = parseClaims(Buffer.from(jwt.split('.')[1] ?? '', 'base64url'))
    return { alg: header.alg, kid: header.kid, iss: claims['iss'] }
  } catch {
    return refuse('jwt_malformed')
  }
}

function parseClaims(bytes: Uint8Array): JWTPayload {
  const claims: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  if (!isObject(claims)) throw new TypeError('the payload is not a JSON object')
  return claims
}

function checkTimes(world: World, claims: JWTPayload): void {
  if (claims.aud !== AUDIENCE) refuse('jwt_audience')
  const { iat, exp } = claims
  if (!Number.isInteger(iat) || !Number.isInteger(exp)) return refuse('jwt_timeframe')
  if (iat === undefined || exp === undefined) return refuse('jwt_timeframe')
  const isShort = exp > iat && exp - iat <= ASSERTION_SECONDS_MAX
  const isCurrent = iat <= world.now() + SKEW_SECONDS && exp > world.now()
  if (!isShort || !isCurrent) refuse('jwt_timeframe')
}

/** The user acted for; every scope must be delegated to this account for this user. */
function delegate(world: World, account: ServiceAccount, user: unknown, scopes: readonly string[]): string {
  if (typeof user !== 'string' || !email.test(user)) return refuse('impersonation_sub')
  if (account.delegatedScopes.size === 0) return refuse('delegation_missing')
  if (!world.accounts.knowsUser(user)) return refuse('user_unknown')
  const allowed = account.delegatedScopes.get(user) ?? new Set()
  const missing = scopes.filter((scope) => !allowed.has(scope))
  if (missing.length === scopes.length) return refuse('delegation_missing')
  return missing.length === 0 ? user : refuse('delegation_partial')
}
