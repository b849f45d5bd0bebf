import { BrokerError, isBrokerError } from '../domain/broker-error.ts'
import type { Grant } from '../domain/grant.ts'
import type { Members } from '../domain/json-object.ts'
import { scopesBeyond } from '../domain/scopes.ts'
import type { MintedToken } from '../domain/token.ts'
import { later, type EpochSeconds } from '../domain/time.ts'
import type { Upstream } from '../domain/upstream.ts'
import type { RefreshResult, RefreshTurn } from '../records/refresh-turns.ts'
import { grantingAnswer, type AskTokenEndpoint, type TokenReply } from './ask-token-endpoint.ts'
import { awaitTurn } from './await-turn.ts'
import { judgeAccessToken } from './judge-access-token.ts'
import { createKeepRotatedToken, type KeepRotatedTokenDeps } from './keep-rotated-token.ts'
import { parseRefreshToken, parseReplyMembers, type RefreshTokenReply } from './parse-token-reply.ts'
import type { ReachedUpstream } from './reach-upstream.ts'
import { nearEnd, noticeOf, withNotice } from './refresh-token-end.ts'
import { requireScopes } from './require-scopes.ts'
import { judgeFailure, nonsense } from './upstream-failure.ts'

export interface RefreshTokenDeps extends KeepRotatedTokenDeps {
  readonly ask: AskTokenEndpoint
}

export interface RefreshTask {
  readonly grant: Grant
  readonly reached: ReachedUpstream
  /** By the steady clock. */
  readonly deadlineMs: number
}

/** What came of one refresh, and what the credential's document is to keep of it. */
type Outcome =
  | { readonly kind: 'minted'; readonly token: MintedToken; readonly result: RefreshResult }
  | { readonly kind: 'failed'; readonly error: BrokerError; readonly result: RefreshResult }
  /** The upstream refused the credential itself. */
  | { readonly kind: 'refused'; readonly error: BrokerError; readonly isInterrupted: boolean }

interface Refresh extends RefreshTask {
  readonly turn: RefreshTurn
}

/**
 * An access token of exactly the granted scopes, from a refresh token (RFC 6749 §6). A rotated refresh token is
 * durable before the access token is returned (P16), also when the access token itself is refused. One refusal marks
 * nothing: only when the refresh token that is current then is refused too, the credential is called broken (P17).
 */
export function createMintFromRefreshToken(
  deps: RefreshTokenDeps,
): (task: RefreshTask) => Promise<MintedToken> {
  const { settleOwed, endTurn } = createKeepRotatedToken(deps)

  const begin = async (task: RefreshTask): Promise<Refresh> => {
    const { name, version } = task.grant.credential
    const { deadlineMs, reached } = task
    const mayOverlap = reached.upstream.mayRepeatRefresh !== 'never'
    const turn = await awaitTurn({ ...deps, settleOwed }, { name, version, mayOverlap, deadlineMs })
    return { ...task, turn }
  }

  const perform = async (refresh: Refresh): Promise<Outcome> => {
    try {
      refuseNarrowing(refresh)
      return judgeReply(refresh, await postRefresh(deps, refresh), deps.clock.now())
    } catch (error) {
      // What we refuse ourselves was never sent.
      if (isBrokerError(error)) return { kind: 'failed', error, result: untouched(refresh.turn) }
      await endTurn(refresh.turn, { keepIntent: true })
      throw error
    }
  }

  const settle = async ({ turn }: Refresh, outcome: Exclude<Outcome, { kind: 'refused' }>) => {
    const end = nearEnd(turn, outcome.result, deps.clock.now())
    const result = end === undefined ? outcome.result : withNotice(outcome.result, end)
    await endTurn(turn, result)
    if (outcome.kind === 'failed') throw outcome.error
    if (end !== undefined) deps.log('warn', noticeOf(end), { credential: turn.name, version: turn.version })
    return outcome.token
  }

  return async (task) => {
    refuseWhatItCannotGive(task.grant)
    const first = await begin(task)
    const outcome = await perform(first)
    if (outcome.kind !== 'refused') return settle(first, outcome)
    // A new turn reads what is current now: somebody may have stored a newer token meanwhile.
    await endTurn(first.turn, { keepIntent: outcome.isInterrupted })
    const second = await begin(task)
    const again = await perform(second)
    if (again.kind !== 'refused') return settle(second, again)
    const error = again.isInterrupted ? interrupted(again.error, second.turn) : again.error
    await endTurn(second.turn, {
      health: { status: 'broken', reason: error.reason },
      // So that the next request tells the same true reason.
      keepIntent: again.isInterrupted,
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
function refuseNarrowing({ turn, grant, reached: { upstream } }: Refresh): void {
  if (upstream.scopeInRefresh === 'send') return
  const consented = turn.consentedScopes ?? []
  const isWhole =
    consented.length === grant.scopes.length && scopesBeyond(consented, grant.scopes).length === 0
  if (isWhole) return
  throw new BrokerError('scope_refused', {
    reason: `credential ${turn.name}: upstream ${upstream.name} cannot narrow a refresh, so its token goes only to who is granted all consented scopes`,
  })
}

function untouched({ interruptedAt }: RefreshTurn): RefreshResult {
  return { keepIntent: interruptedAt !== undefined }
}

function postRefresh(
  { ask }: RefreshTokenDeps,
  { turn, grant, reached, deadlineMs }: Refresh,
): Promise<TokenReply> {
  const { scopeInRefresh, scopeSeparator, mayRepeatRefresh } = reached.upstream
  return ask({
    reached,
    client: turn.secret.client,
    credential: turn.name,
    form: {
      grant_type: 'refresh_token',
      refresh_token: turn.secret.refreshToken.reveal(),
      ...(scopeInRefresh === 'send' ? { scope: grant.scopes.join(scopeSeparator) } : {}),
    },
    repeatable: mayRepeatRefresh,
    deadlineMs,
  })
}

function judgeReply(
  { turn, grant, reached: { upstream } }: Refresh,
  { reply, secrets }: TokenReply,
  now: EpochSeconds,
): Outcome {
  const mayBeLost = upstream.mayRepeatRefresh !== 'always' && reply.uncertain
  const isInterrupted = mayBeLost || turn.interruptedAt !== undefined
  const granting = grantingAnswer(reply, upstream)
  if (granting === undefined) {
    const { error, blamesCredential } = judgeFailure(reply, {
      now,
      secrets: [...secrets, turn.secret.refreshToken],
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
  const kept = keptOf(refreshToken.value, turn, granting.sentAt)
  const token = judgeAccessToken(withoutEmptyScope(members.value, upstream), {
    asked: grant.scopes,
    sentAt: granting.sentAt,
    drawnFrom: [turn.version],
    form: upstream,
  })
  if (!token.ok) return failed(token.fault, kept)
  return { kind: 'minted', token: token.value, result: { ...kept, health: { status: 'healthy' } } }
}

/** Where nothing can be narrowed, an empty scope means that the upstream has none to tell. */
function withoutEmptyScope(members: Members, { scopeInRefresh }: Upstream): Members {
  const { scope, ...rest } = members
  return scopeInRefresh === 'omit' && scope === '' ? rest : members
}

function keptOf(
  { token, expiresIn }: RefreshTokenReply,
  { secret }: RefreshTurn,
  sentAt: EpochSeconds,
): RefreshResult {
  const isOther = token !== undefined && token.reveal() !== secret.refreshToken.reveal()
  return {
    ...(isOther ? { rotated: token } : {}),
    ...(expiresIn === undefined ? {} : { expiresAt: later(sentAt, expiresIn) }),
  }
}

function failed(fault: string, result: RefreshResult): Outcome {
  return { kind: 'failed', error: nonsense(`the token endpoint's reply to a refresh has ${fault}`), result }
}

function interrupted({ reason }: BrokerError, { interruptedAt }: RefreshTurn): BrokerError {
  const when = interruptedAt === undefined ? 'just now' : `at ${interruptedAt} (seconds since 1970)`
  return new BrokerError('target_unavailable', {
    reason: `${reason}; a rotation was interrupted ${when} and its refresh token was lost: consent and enrol again`,
  })
}
