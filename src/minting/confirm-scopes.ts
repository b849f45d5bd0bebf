import { fault } from '../domain/result.ts'
import { BrokerError, isBrokerError } from '../domain/broker-error.ts'
import type { OAuthClient, Narrowing } from '../domain/credential.ts'
import { parseJsonObject, type Members, isMembers } from '../domain/json.ts'
import { quoteUpstream } from '../oauth/upstream-failure.ts'
import { formatScope, scopesBeyond, scopesIn, type ScopeSet, parseScope, scopeSet } from '../domain/scopes.ts'
import type { Secret } from '../domain/secret.ts'
import { later, seconds, type EpochSeconds, type Seconds, until, epochSeconds } from '../domain/time.ts'
import type { Grant } from '../domain/grant.ts'
import type { MintedToken } from '../domain/token.ts'
import type { Clock } from '../ports/clock.ts'
import type { RequestToken } from '../oauth/token-endpoint.ts'
import { isTransientStatus } from '../oauth/send-with-retry.ts'
import { carriedScopes, type AccessTokenReply, type Judged } from '../oauth/token-response.ts'
import type { ResolvedUpstream } from '../oauth/resolve-upstream.ts'
import type { RefreshLease } from '../records/refresh-leases.ts'

/** What is minted at an upstream's token endpoint. */
export interface UpstreamTask {
  readonly grant: Grant
  readonly reached: ResolvedUpstream
  /** By the steady clock. */
  readonly deadlineMs: number
}

export type MintAtUpstream = (task: UpstreamTask) => Promise<MintedToken>

interface ConfirmScopesDeps {
  readonly ask: RequestToken
  readonly verifyAccessToken: VerifyAccessToken
  readonly clock: Clock
}

/** An access token that came, and what it was asked for with. */
interface ReceivedToken {
  readonly reply: AccessTokenReply
  readonly asked: ScopeSet
  readonly sentAt: EpochSeconds
  readonly drawnFrom: readonly string[]
  readonly reached: ResolvedUpstream
  readonly client: OAuthClient
  readonly credential: string
  /** Whether its roles are no matter: nothing was to be narrowed, or it is known that they shrink or count for nothing. */
  readonly mayKeepRoles: boolean
  /** By the steady clock. */
  readonly deadlineMs: number
}

export interface ConfirmedToken {
  readonly token: MintedToken
  /** What says that it carries no more than was asked for: the reply, or only the token itself. */
  readonly by: 'reply' | 'token'
  /** What it lets its bearer do besides its scopes. */
  readonly roles: ReadonlySet<string>
}

/**
 * The token with the scopes that it really carries, or what is wrong with it. The reply's `scope` counts, and what the
 * token says of itself counts against both: it may only narrow further. Where the reply is wider than what was asked,
 * the token's own word is enough if it is a JWT that verifies by the upstream's published keys, else the word of the
 * upstream's introspection endpoint (T7). Throws `upstream_unavailable` where only these could tell and do not answer.
 */
export type ConfirmScopes = (received: ReceivedToken) => Promise<Judged<ConfirmedToken>>

export function createConfirmScopes(deps: ConfirmScopesDeps): ConfirmScopes {
  return async (received) => {
    const { reply, asked, reached } = received
    if (reply.expiresIn === undefined) return fault('no expires_in')
    const told = reply.scopes
    const isTold = told === undefined || carriedScopes(asked, told) !== undefined
    const timed = { ...received, expiresIn: reply.expiresIn }
    const own = await ownStatement(deps, timed)
    const said = own.statement ?? (isTold ? undefined : await introspected(deps, timed))
    if (said === undefined && !isTold && own.error !== undefined)
      throw untold(`the keys of its upstream cannot be read: ${own.error.reason}`, own.error.retryAfter)
    if (said === undefined) {
      if (isTold) return confirmed(received, { scopes: told, by: 'reply' })
      return fault(`${beyond(told, received)}${cureOf(reached)}`)
    }
    if (carriedScopes(asked, said.scopes) === undefined)
      return fault(`an access token that itself carries more: ${beyond(said.scopes, received)}`)
    if (!isTold && said.roles.size > 0 && !received.mayKeepRoles)
      return fault(
        'an access token with narrower scopes and roles that may be as wide as ever (realm_access, roles or permissions): where these count for nothing, accepts_roles: true in the upstream’s entry says so',
      )
    const scopes = isTold && told !== undefined ? scopesIn(said.scopes, told) : said.scopes
    return confirmed(received, { ...said, scopes, by: isTold ? 'reply' : 'token' })
  }
}

interface Confirmation {
  readonly scopes: ScopeSet | undefined
  readonly by: ConfirmedToken['by']
  readonly roles?: ReadonlySet<string>
  readonly expiresAt?: EpochSeconds
}

function confirmed(
  { reply, asked, sentAt, drawnFrom }: ReceivedToken,
  { scopes: said, by, roles = new Set(), expiresAt }: Confirmation,
): Judged<ConfirmedToken> {
  const scopes = said === undefined ? asked : (carriedScopes(asked, said) ?? [])
  if (scopes.length === 0) return fault('a token without any scope')
  const told = later(sentAt, reply.expiresIn ?? noTime)
  const token: MintedToken = {
    secret: reply.accessToken,
    tokenType: 'access_token',
    scopes,
    drawnFrom,
    issuedAt: sentAt,
    // A token that ends before its reply says so has ended.
    expiresAt: expiresAt !== undefined && expiresAt < told ? expiresAt : told,
  }
  return { ok: true, value: { token, by, roles } }
}

const noTime = seconds(0)

type Received = ReceivedToken & { readonly expiresIn: Seconds }

async function ownStatement(
  { verifyAccessToken, clock }: ConfirmScopesDeps,
  { reply, reached, client, sentAt, expiresIn }: Received,
): Promise<{ readonly statement?: Statement | undefined; readonly error?: BrokerError }> {
  const { upstream, keysUrl } = reached
  if (upstream.issuer === undefined || keysUrl === undefined) return {}
  try {
    const verified = await verifyAccessToken(reply.accessToken, { issuer: upstream.issuer, keysUrl })
    if (verified === undefined) return {}
    const { claims, isMarked } = verified
    const isAccessToken = isMarked || !looksLikeIdToken(claims, client.id)
    if (claims['iss'] !== upstream.issuer || !isAccessToken) return {}
    const until = later(sentAt, expiresIn)
    return { statement: readStatement(claims, { clientId: client.id, now: clock.now(), until }) }
  } catch (error) {
    if (isBrokerError(error)) return { error }
    throw error
  }
}

function untold(why: string, retryAfter: Seconds | undefined): BrokerError {
  return new BrokerError('upstream_unavailable', {
    reason: `the scopes of the access token cannot be confirmed: ${why}`,
    retryAfter: retryAfter ?? seconds(2),
  })
}

/** OpenID Connect Core 1.0 §2 and §3.1.3.6; Keycloak says in `typ` what a token is. */
function looksLikeIdToken(claims: Members, clientId: string): boolean {
  const { aud, typ } = claims
  const isForClient = aud === clientId || (Array.isArray(aud) && aud.length === 1 && aud[0] === clientId)
  const isOfAnotherKind = typ !== undefined && typ !== 'Bearer'
  return isForClient || isOfAnotherKind || ['nonce', 'at_hash', 'c_hash'].some((name) => name in claims)
}

/** RFC 7662: what the upstream says of the token, if it says for which client and with which scope it is. */
async function introspected(
  { ask, clock }: ConfirmScopesDeps,
  { reply, reached, client, credential, sentAt, expiresIn, deadlineMs }: Received,
): Promise<Statement | undefined> {
  const { introspectionUrl: url } = reached
  if (url === undefined) return undefined
  const { reply: said } = await ask({
    reached,
    url,
    client,
    credential,
    form: { token: reply.accessToken.reveal(), token_type_hint: 'access_token' },
    repeatable: 'always',
    deadlineMs,
  })
  if (said.kind !== 'answer' || isTransientStatus(said.answer.status))
    throw untold('its introspection endpoint does not answer', undefined)
  if (said.answer.status !== 200) return undefined
  const members = parseJsonObject(said.answer.body)
  if (members?.['active'] !== true) return undefined
  const { iss } = members
  if (iss !== undefined && iss !== reached.upstream.issuer) return undefined
  return readStatement(members, { clientId: client.id, now: clock.now(), until: later(sentAt, expiresIn) })
}

/** Which: whoever writes the policy has to name them, or have the upstream stop adding them. */
function beyond(scopes: ScopeSet, { asked: wanted, reply }: ReceivedToken): string {
  const secrets: readonly Secret[] = [reply.accessToken]
  return `a token that carries more scopes than were asked for: ${quoteUpstream(formatScope(scopesBeyond(scopes, wanted)), secrets)}`
}

function cureOf({ keysUrl, introspectionUrl }: ResolvedUpstream): string {
  return keysUrl === undefined && introspectionUrl === undefined
    ? ''
    : ', and neither the token itself nor introspection says otherwise'
}

/** Each attempt costs a refresh, and nothing changes before somebody changes it upstream. */
export const refusalRemembered = seconds(300)

/** Why no narrower token is asked for now: it is known that none can be had, or one was refused a moment ago. */
export function refusedNarrowing(
  { name, narrowing = {} }: Pick<RefreshLease, 'name' | 'narrowing'>,
  now: EpochSeconds,
): BrokerError | undefined {
  const { way, refusedUntil } = narrowing
  const isRefused = refusedUntil !== undefined && refusedUntil > now
  if (way !== 'no' && !isRefused) return undefined
  return new BrokerError('scope_refused', {
    reason: isRefused
      ? `credential ${name}: a token of less than the whole consent was refused a moment ago, and none is asked for during ${until(refusedUntil, now)} s more`
      : `credential ${name}: its upstream gives no token of less than the whole consent`,
    condition: 'scopes',
    rememberFor: seconds(isRefused ? Math.min(refusalRemembered, until(refusedUntil, now)) : 60),
  })
}

/** What a refresh of less than the whole consent showed, if it is new; the way itself is found at enrolment. */
export function learnedOf(
  { ok: isGood }: Judged<ConfirmedToken>,
  known: Narrowing | undefined,
  now: EpochSeconds,
): Narrowing | undefined {
  if (!isGood) return { refusedUntil: later(now, refusalRemembered) }
  return known?.refusedUntil === undefined ? undefined : {}
}

/**
 * The claims of a JWT that one of the published keys signed, or `undefined` for any other text. Asks the address of the
 * keys, as often as P22 allows, and nothing else. Throws `issuer_unavailable` while it does not give them.
 */
export type VerifyAccessToken = (
  token: Secret,
  from: { readonly issuer: string; readonly keysUrl: string },
) => Promise<VerifiedToken | undefined>

interface VerifiedToken {
  readonly claims: Members
  /** Its header says that it is an access token (RFC 9068). */
  readonly isMarked: boolean
}

/** What an upstream says of an access token, in the token itself or by introspection. */
interface Statement {
  readonly scopes: ScopeSet
  readonly expiresAt?: EpochSeconds
  /** What it lets its bearer do besides its scopes, each as one text. */
  readonly roles: ReadonlySet<string>
}

/** Clocks may differ by this much, as for JWTs of callers (P5). */
const skewSeconds = 60

/**
 * Reads the members that RFC 9068 §2.2 and RFC 7662 §2.2 share; `undefined` where they do not say with which scope and
 * for which client the token is, or are of another client or another life than the reply: then they count for nothing.
 */
function readStatement(
  members: Members,
  {
    clientId,
    now,
    until,
  }: { readonly clientId: string; readonly now: EpochSeconds; readonly until: EpochSeconds },
): Statement | undefined {
  const { client_id: client, azp, exp } = members
  const named = [client, azp].filter((name) => name !== undefined)
  if (named.length === 0 || named.some((name) => name !== clientId)) return undefined
  const scopes = scopesOf(members)
  if (scopes === undefined) return undefined
  if (exp !== undefined) {
    if (typeof exp !== 'number' || exp <= now || exp > until + skewSeconds) return undefined
  }
  return {
    scopes,
    ...(exp !== undefined && { expiresAt: epochSeconds(Math.floor(exp)) }),
    roles: new Set(roleMembers.flatMap((name) => leavesOf(members[name], name))),
  }
}

function scopesOf({ scope, scp }: Members): ScopeSet | undefined {
  const said = scope ?? scp
  if (typeof said === 'string') return parseScope(said)
  const words = Array.isArray(said) ? said.filter((word) => typeof word === 'string') : []
  return words.length > 0 && Array.isArray(said) && words.length === said.length ? scopeSet(words) : undefined
}

const roleMembers = ['realm_access', 'resource_access', 'roles', 'permissions'] as const

function leavesOf(value: unknown, place: string): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((item: unknown) => leavesOf(item, place))
  if (isMembers(value))
    return Object.entries(value).flatMap(([name, member]) => leavesOf(member, `${place}.${name}`))
  return value === undefined || value === null ? [] : [`${place}: ${JSON.stringify(value)}`]
}
