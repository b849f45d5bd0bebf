import { sign } from 'node:crypto'
import { SignJWT } from 'jose'
import { requireBearer } from './bearer.ts'
import { denyPermission, failWith } from './google-errors.ts'
import type { IssuedToken } from './issued-tokens.ts'
import { booleanLike, invalidValue, optionalText, readJsonBody, requiredText, textList } from './json-body.ts'
import { isObject, type JsonObject, jsonReply, notImplemented, type Received, type Reply } from './reply.ts'
import { isKnownScope } from './scopes.ts'
import type { ServiceAccount } from './service-accounts.ts'
import type { World } from './world.ts'

const LIFETIME_SECONDS_MAX = 3600
const EXTENDED_SECONDS_MAX = 12 * 3600
const JWT_SECONDS_MAX = 12 * 3600

type Impersonation = {
  readonly caller: IssuedToken
  readonly target: ServiceAccount
  readonly body: JsonObject
}

/** `…:generateAccessToken`: a token of the target account for who may create one (docs/google.md §3.1). */
export function answerGenerateAccessToken(world: World, received: Received): Reply {
  const known = ['delegates', 'scope', 'lifetime']
  const asked = impersonate(world, received, known, 'iam.serviceAccounts.getAccessToken')
  const { caller, target, body } = asked
  const scopes = textList(body, 'scope')
  if (scopes.length === 0 || !scopes.every(isKnownScope)) return invalidValue('scope')
  const lifetime = parseLifetime(body, target)
  const token = world.tokens.issue({
    kind: 'impersonated',
    scopes,
    subject: target.email,
    actor: caller.subject,
    sourceToken: caller.value,
    expiresAt: world.now() + lifetime,
  })
  // Whole seconds: Python's client cannot read a fraction.
  const expireTime = timestamp(token.expiresAt)
  return jsonReply({ accessToken: token.value, expireTime })
}

/** `…:generateIdToken` */
export async function answerGenerateIdToken(world: World, received: Received): Promise<Reply> {
  const known = ['delegates', 'audience', 'includeEmail', 'useEmailAzp', 'organizationNumberIncluded']
  const { caller, target, body } = impersonate(world, received, known, 'iam.serviceAccounts.getOpenIdToken')
  if (booleanLike(body, 'organizationNumberIncluded')) {
    return notImplemented('organizationNumberIncluded')
  }
  const audience = requiredText(body, 'audience')
  const { token, expiresAt } = await world.idTokens.sign({
    sub: target.uniqueId,
    aud: audience,
    azp: booleanLike(body, 'useEmailAzp') ? target.email : target.uniqueId,
    email: booleanLike(body, 'includeEmail') ? target.email : undefined,
  })
  world.tokens.remember(token, {
    kind: 'id_token',
    scopes: [],
    subject: target.email,
    actor: caller.subject,
    audience,
    sourceToken: caller.value,
    expiresAt,
  })
  return jsonReply({ token })
}

/** `…:signJwt`: the payload signed with the account's system key, which `/token` accepts too. */
export async function answerSignJwt(world: World, received: Received): Promise<Reply> {
  const known = ['delegates', 'payload']
  const asked = impersonate(world, received, known, 'iam.serviceAccounts.signJwt')
  const claims = parseClaims(requiredText(asked.body, 'payload'))
  const { exp } = claims
  if (exp !== undefined) {
    const left = typeof exp === 'number' && Number.isInteger(exp) ? exp - world.now() : -1
    if (left < 0 || left > JWT_SECONDS_MAX) return invalidValue('payload.exp')
  }
  const { key, pair } = await asked.target.keys.system()
  const signedJwt = await new SignJWT({ ...claims })
    .setProtectedHeader({ alg: 'RS256', kid: key.id, typ: 'JWT' })
    .sign(pair.privateKey)
  return jsonReply({ keyId: key.id, signedJwt })
}

/** `…:signBlob` */
export async function answerSignBlob(world: World, received: Received): Promise<Reply> {
  const known = ['delegates', 'payload']
  const asked = impersonate(world, received, known, 'iam.serviceAccounts.signBlob')
  const payload = requiredText(asked.body, 'payload')
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(payload)) return invalidValue('payload')
  const { key, pair } = await asked.target.keys.system()
  const signature = sign('sha256', Buffer.from(payload, 'base64'), pair.privateKey)
  return jsonReply({ keyId: key.id, signedBlob: signature.toString('base64') })
}

/** Seconds since 1970 as Google writes them: no fraction. */
export function timestamp(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
}

function impersonate(
  world: World,
  received: Received,
  known: readonly string[],
  permission: string,
): Impersonation {
  const caller = requireBearer(world, received)
  if (received.names['project'] !== '-') {
    return failWith('INVALID_ARGUMENT', 'The project must be the wildcard -.')
  }
  const body = readJsonBody(received, known)
  const target = world.accounts.find(received.names['account'] ?? '')
  if (!target || target.disabled) return denyPermission(permission)
  checkChain(world, [caller.subject, ...delegatesOf(world, body), target.email], permission)
  return { caller, target, body }
}

function delegatesOf(world: World, body: JsonObject): readonly string[] {
  return textList(body, 'delegates').map((name) => {
    const delegate = /^projects\/-\/serviceAccounts\/([^/:]+)$/.exec(name)?.[1]
    if (delegate === undefined) return invalidValue('delegates')
    return world.accounts.find(delegate)?.email ?? delegate
  })
}

// Each identity in the chain must be allowed to act as the next one.
function checkChain(world: World, chain: readonly string[], permission: string): void {
  for (const [index, to] of chain.entries()) {
    const from = chain[index - 1]
    if (from !== undefined && !world.impersonation.has(from, to)) denyPermission(permission)
  }
}

function parseLifetime(body: JsonObject, target: ServiceAccount): number {
  const lifetime = optionalText(body, 'lifetime') ?? `${LIFETIME_SECONDS_MAX}s`
  const seconds = Number(/^([0-9]+)s$/.exec(lifetime)?.[1] ?? 0)
  const max = target.lifetimeExtended ? EXTENDED_SECONDS_MAX : LIFETIME_SECONDS_MAX
  return seconds > 0 && seconds <= max ? seconds : invalidValue('lifetime')
}

function parseClaims(payload: string): JsonObject {
  try {
    const claims: unknown = JSON.parse(payload)
    if (isObject(claims)) return claims
  } catch {
    // falls through
  }
  return invalidValue('payload')
}
