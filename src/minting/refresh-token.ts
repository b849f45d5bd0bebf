import { BrokerError, isBrokerError, type BrokerErrorDetails } from '../domain/broker-error.ts'
import type { Narrowing } from '../domain/credential.ts'
import type { Grant } from '../domain/grant.ts'
import type { Members } from '../domain/json.ts'
import { scopesBeyond } from '../domain/scopes.ts'
import type { MintedToken } from '../domain/token.ts'
import { later, type EpochSeconds, seconds, until } from '../domain/time.ts'
import type { Repeatable, Upstream } from '../domain/upstream.ts'
import type { Credentials } from '../records/credentials.ts'
import type {
  RefreshResult,
  RefreshLease,
  RefreshLeases,
  WantedRefreshLease,
} from '../records/refresh-leases.ts'
import { grantingAnswer, type RequestToken, type TokenReply } from '../oauth/token-endpoint.ts'
import {
  type ConfirmedToken,
  type ConfirmScopes,
  learnedOf,
  type MintAtUpstream,
  type UpstreamTask,
  refusalRemembered,
  refusedNarrowing,
} from './confirm-scopes.ts'
import { createStoreRotatedToken, type StoreRotatedTokenDeps } from './store-rotated-token.ts'
import {
  parseAccessToken,
  parseRefreshToken,
  parseReplyMembers,
  type AccessTokenReply,
  type RefreshTokenReply,
  requireScopes,
} from '../oauth/token-response.ts'
import { clientOf } from '../records/credential-secrets.ts'
import { judgeFailure } from '../oauth/upstream-failure.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'

export interface RefreshTokenDeps extends StoreRotatedTokenDeps {
  readonly ask: RequestToken
  readonly confirmScopes: ConfirmScopes
  /** Is shown what each token was found to carry; whoever looks judges its roles. */
  readonly showConfirmed?: (confirmed: ConfirmedToken) => void
  /** Called once for each request that waits for the lease. */
  readonly noteLeaseWait?: () => void
  readonly credentials: Pick<Credentials, 'noteNarrowing' | 'find' | 'openSecret' | 'openWithdrawn'>
}

/** What came of one refresh, and what the credential's document is to keep of it. */
type Outcome =
  | {
      readonly kind: 'replied'
      readonly reply: AccessTokenReply
      readonly sentAt: EpochSeconds
      readonly result: RefreshResult
    }
  | { readonly kind: 'failed'; readonly error: BrokerError; readonly result: RefreshResult }
  /** The upstream refused the credential itself. */
  | { readonly kind: 'refused'; readonly error: BrokerError; readonly isInterrupted: boolean }

interface Refresh extends UpstreamTask {
  readonly lease: RefreshLease
}

/**
 * An access token of exactly the granted scopes, from a refresh token (RFC 6749 §6). A rotated refresh token is
 * durable before the access token is returned (P16), also when the access token itself is refused. One refusal marks
 * nothing: only when the refresh token that is current then is refused too, the credential is called broken (P17). One
 * that was refused after a former answer was lost is lost itself, and is not sent again.
 */
export function createMintFromRefreshToken(deps: RefreshTokenDeps): MintAtUpstream {
  const { storeUnstored, endLease } = createStoreRotatedToken(deps)

  const begin = async (task: UpstreamTask): Promise<Refresh> => {
    const { name, version } = task.grant.credential
    const { deadlineMs, reached } = task
    const mayOverlap = reached.upstream.refreshTokenRotates !== 'always'
    const lease = await acquireRefreshLease(
      { ...deps, storeUnstored },
      { name, version, mayOverlap, deadlineMs },
    )
    return { ...task, lease }
  }

  const perform = async (refresh: Refresh): Promise<Outcome> => {
    try {
      refuseNarrowing(refresh, deps.clock.now())
      return judgeReply(refresh, await postRefresh(deps, refresh), deps.clock.now())
    } catch (error) {
      // What we refuse ourselves was never sent.
      if (isBrokerError(error)) return { kind: 'failed', error, result: untouched(refresh.lease) }
      await endLease(refresh.lease, { keepIntent: true })
      throw error
    }
  }

  const settle = async ({ lease }: Refresh, outcome: Exclude<Outcome, { kind: 'refused' }>) => {
    const end = nearEnd(lease, outcome.result, deps.clock.now())
    const result = end === undefined ? outcome.result : withNotice(outcome.result, end)
    await endLease(lease, result)
    if (outcome.kind === 'failed') throw outcome.error
    if (end !== undefined) deps.log('warn', noticeOf(end), { credential: lease.name, version: lease.version })
    return outcome
  }

  /** After the rotated token is durable: the keys of an upstream may be slow to come. */
  const confirm = async (
    { lease, grant, reached, deadlineMs }: Refresh,
    { reply, sentAt }: Outcome & { kind: 'replied' },
  ): Promise<MintedToken> => {
    const isWhole = isWholeConsent(lease, grant)
    const confirmed = await deps.confirmScopes({
      reply,
      asked: grant.scopes,
      sentAt,
      drawnFrom: [lease.version],
      reached,
      client: await clientOf(deps.credentials, lease.secret.client, grant.credential),
      credential: lease.name,
      mayKeepRoles:
        deps.showConfirmed !== undefined ||
        isWhole ||
        reached.upstream.acceptsRoles ||
        lease.narrowing?.way === 'by_token',
      deadlineMs,
    })
    const learned = isWhole ? undefined : learnedOf(confirmed, lease.narrowing, deps.clock.now())
    if (learned !== undefined) await noteQuietly(deps, lease.name, learned)
    if (confirmed.ok) {
      deps.showConfirmed?.(confirmed.value)
      return confirmed.value.token
    }
    throw replyHas(confirmed.fault, isWhole ? undefined : { rememberFor: refusalRemembered })
  }

  return async (task) => {
    refuseWhatItCannotGive(task.grant)
    const first = await begin(task)
    const outcome = await perform(first)
    if (outcome.kind !== 'refused') return confirm(first, await settle(first, outcome))
    // Acquiring the lease anew reads what is current now: somebody may have stored a newer token meanwhile.
    await endLease(first.lease, { keepIntent: outcome.isInterrupted })
    const second = await begin(task)
    // A token whose answer was lost has come twice by now, and what came twice looks like theft: it is not sent again.
    const isSame = second.lease.generation === first.lease.generation
    const again = outcome.isInterrupted && isSame ? outcome : await perform(second)
    if (again.kind !== 'refused') return confirm(second, await settle(second, again))
    const error = again.isInterrupted ? interrupted(again.error, second.lease) : again.error
    await endLease(second.lease, {
      health: { status: 'broken', reason: error.reason },
      // So that the next request tells the same true reason.
      keepIntent: again.isInterrupted,
      isLost: again.isInterrupted && task.reached.upstream.refreshTokenRotates === 'always',
    })
    throw error
  }
}

function refuseWhatItCannotGive(grant: Grant): void {
  const { credential, tokenType, subject } = grant
  const refuse = (why: string): never => {
    throw new BrokerError('target_unavailable', {
      reason: `credential ${credential.name}: a refresh token ${why}`,
    })
  }
  if (tokenType !== 'access_token') refuse(`gives no ${tokenType} of choice`)
  if (subject !== undefined) refuse('cannot act for another user')
  // RFC 6749 §6: without a scope the upstream would give everything the user ever consented to.
  requireScopes(grant)
}

/**
 * An upstream that takes no scope with a refresh gives all that was consented: a grant of less cannot be kept. Policy
 * refuses it beforehand; here it is held against what is stored.
 */
function refuseNarrowing({ lease, grant, reached: { upstream } }: Refresh, now: EpochSeconds): void {
  if (isWholeConsent(lease, grant)) return
  const refused = refusedNarrowing(lease, now)
  if (refused !== undefined) throw refused
  if (upstream.scopeInRefresh === 'send') return
  throw new BrokerError('scope_refused', {
    reason: `credential ${lease.name}: upstream ${upstream.name} cannot narrow a refresh, so only callers that are granted every consented scope get its token`,
  })
}

function isWholeConsent({ consentedScopes = [] }: RefreshLease, { scopes }: Grant): boolean {
  return consentedScopes.length === scopes.length && scopesBeyond(consentedScopes, scopes).length === 0
}

/** The token is good or refused either way: what was learned is learned again. */
async function noteQuietly(
  { credentials, log }: RefreshTokenDeps,
  name: string,
  learned: Narrowing,
): Promise<void> {
  try {
    await credentials.noteNarrowing(name, learned)
  } catch (error) {
    const reason = isBrokerError(error) ? error.reason : error
    log('warn', 'whether a refresh can be narrowed was not noted', { credential: name, reason })
  }
}

function untouched({ interruptedAt }: RefreshLease): RefreshResult {
  return { keepIntent: interruptedAt !== undefined }
}

async function postRefresh(
  deps: RefreshTokenDeps,
  { lease, grant, reached, deadlineMs }: Refresh,
): Promise<TokenReply> {
  const client = await clientOf(deps.credentials, lease.secret.client, grant.credential)
  const { scopeInRefresh, scopeSeparator, refreshTokenRotates } = reached.upstream
  return deps.ask({
    reached,
    client,
    credential: lease.name,
    form: {
      grant_type: 'refresh_token',
      refresh_token: lease.secret.refreshToken.reveal(),
      ...(scopeInRefresh === 'send' && { scope: grant.scopes.join(scopeSeparator) }),
    },
    repeatable: refreshTokenRotates === 'never' ? 'always' : onceAfterLostAnswer(lease),
    deadlineMs,
  })
}

/** Who sends it because an earlier request's answer was lost is the one more time. */
function onceAfterLostAnswer({ interruptedAt }: RefreshLease): Repeatable {
  return interruptedAt === undefined ? 'once' : 'never'
}

function judgeReply(
  { lease, reached: { upstream } }: Refresh,
  { reply, secrets }: TokenReply,
  now: EpochSeconds,
): Outcome {
  const mayBeLost = upstream.refreshTokenRotates !== 'never' && reply.uncertain
  const isInterrupted = mayBeLost || lease.interruptedAt !== undefined
  const granting = grantingAnswer(reply, upstream)
  if (granting === undefined) {
    const { error, blamesCredential } = judgeFailure(reply, {
      now,
      secrets: [...secrets, lease.secret.refreshToken],
      invalidGrantErrors: upstream.invalidGrantErrors,
    })
    if (blamesCredential) return { kind: 'refused', error, isInterrupted }
    return { kind: 'failed', error, result: { keepIntent: isInterrupted } }
  }
  const members = parseReplyMembers(granting.answer)
  // From here on the upstream did act: a refresh token that we cannot read is lost.
  if (!members.ok) return failed(members.fault, { keepIntent: true })
  const refreshToken = parseRefreshToken(members.value)
  if (!refreshToken.ok) return failed(refreshToken.fault, { keepIntent: true })
  const kept = keptOf(refreshToken.value, lease, granting.sentAt)
  const token = parseAccessToken(withoutEmptyScope(members.value, upstream), upstream)
  if (!token.ok) return failed(token.fault, kept)
  const result: RefreshResult = { ...kept, health: { status: 'healthy' } }
  return { kind: 'replied', reply: token.value, sentAt: granting.sentAt, result }
}

/** Where nothing can be narrowed, an empty scope means that the upstream has none to tell. */
function withoutEmptyScope(members: Members, { scopeInRefresh }: Upstream): Members {
  const { scope, ...rest } = members
  return scopeInRefresh === 'omit' && scope === '' ? rest : members
}

function keptOf(
  { token, expiresIn }: RefreshTokenReply,
  { secret }: RefreshLease,
  sentAt: EpochSeconds,
): RefreshResult {
  const isOther = token !== undefined && token.reveal() !== secret.refreshToken.reveal()
  return {
    ...(isOther && { rotated: token }),
    ...(expiresIn !== undefined && { expiresAt: later(sentAt, expiresIn) }),
  }
}

function failed(fault: string, result: RefreshResult): Outcome {
  return { kind: 'failed', error: replyHas(fault), result }
}

function replyHas(fault: string, more: Pick<BrokerErrorDetails, 'rememberFor'> = {}): BrokerError {
  const reason = `the token endpoint's reply to a refresh has ${fault}`
  return new BrokerError('upstream_nonsense', { reason, ...more })
}

function interrupted({ reason }: BrokerError, { interruptedAt }: RefreshLease): BrokerError {
  const when = interruptedAt === undefined ? 'just now' : `at ${interruptedAt} (seconds since 1970)`
  return new BrokerError('target_unavailable', {
    reason: `${reason}; a rotation was interrupted ${when} and its refresh token was lost: consent and enrol again`,
  })
}

/** Upstream and store still need this much of the deadline. */
const leftForTheRestMs = 1000
/** Leases end early: only behind a crash does one run out, and asking again then costs little. */
const retryAfterMax = seconds(2)
const pollMsMin = 50
const pollMsMax = 500

export interface AcquireRefreshLeaseDeps {
  readonly refreshLeases: RefreshLeases
  readonly clock: Clock
  readonly entropy: Entropy
  /** Throws when this instance must not refresh the credential now. */
  readonly storeUnstored: (name: string) => Promise<void>
  readonly noteLeaseWait?: () => void
}

export interface AcquireRefreshLeaseFor extends WantedRefreshLease {
  /** By the steady clock. */
  readonly deadlineMs: number
}

/**
 * Acquires the refresh lease of this credential, by jittered polls within the deadline; `lease_busy` when others kept it. Throws
 * what `begin` and `storeUnstored` throw.
 */
async function acquireRefreshLease(
  { refreshLeases, clock, entropy, storeUnstored, noteLeaseWait }: AcquireRefreshLeaseDeps,
  { deadlineMs, ...wanted }: AcquireRefreshLeaseFor,
): Promise<RefreshLease> {
  const { name } = wanted
  const untilMs = deadlineMs - leftForTheRestMs
  for (let poll = 0; ; poll += 1) {
    await storeUnstored(name)
    const lease = await refreshLeases.begin(wanted)
    if (lease.held) return lease
    if (poll === 0) noteLeaseWait?.()
    const pauseMs = Math.min(pollMsMax, pollMsMin * 2 ** poll) * (0.5 + entropy.fraction() / 2)
    if (clock.steadyMs() + pauseMs > untilMs)
      throw new BrokerError('lease_busy', {
        reason: `credential ${name} is being refreshed by another request`,
        retryAfter: seconds(Math.min(retryAfterMax, lease.retryAfter)),
      })
    await clock.sleep(pauseMs)
  }
}

/** Long enough to find whoever has to consent again. */
const noticeBefore = seconds(7 * 86_400)
/** What an end that was told in seconds from now moves, when it does not move. */
const blurred = seconds(60)

/** When the refresh token will end soon although it was just used; an end that moves with every use is no news. */
function nearEnd(
  { expiresAt: before }: RefreshLease,
  { rotated, expiresAt }: RefreshResult,
  now: EpochSeconds,
): EpochSeconds | undefined {
  const end = expiresAt ?? (rotated === undefined ? before : undefined)
  if (end === undefined || before === undefined) return undefined
  return until(end, before) < blurred && until(end, now) < noticeBefore ? end : undefined
}

function noticeOf(end: EpochSeconds): string {
  return `its refresh token ends at ${end} (seconds since 1970), and no use prolongs it: consent and enrol again`
}

/** A healthy credential says when its refresh token ends. */
function withNotice(result: RefreshResult, end: EpochSeconds): RefreshResult {
  return result.health?.status === 'healthy'
    ? { ...result, health: { status: 'healthy', reason: noticeOf(end) } }
    : result
}
