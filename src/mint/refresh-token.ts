import { BrokerError } from '../domain/broker-error.ts'
import type { Grant } from '../domain/grant.ts'
import { formatScope } from '../domain/scopes.ts'
import type { Secret } from '../domain/secret.ts'
import type { MintedToken } from '../domain/token.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { RefreshResult, RefreshTurn } from '../records/refresh-turns.ts'
import type { AskUpstream, UpstreamReply } from './ask-upstream.ts'
import { awaitTurn } from './await-turn.ts'
import { judgeAccessToken } from './judge-access-token.ts'
import { createKeepRotatedToken, type KeepRotatedTokenDeps } from './keep-rotated-token.ts'
import { parseRefreshToken, parseReplyMembers } from './parse-token-reply.ts'
import { judgeFailure, nonsense } from './upstream-failure.ts'

export interface RefreshTokenDeps extends KeepRotatedTokenDeps {
  readonly ask: AskUpstream
  readonly tokenUrl: string
}

/** What came of one refresh, and what the credential's document is to keep of it. */
type Outcome =
  | { readonly kind: 'minted'; readonly token: MintedToken; readonly result: RefreshResult }
  | { readonly kind: 'failed'; readonly error: BrokerError; readonly result: RefreshResult }
  /** The upstream refused the credential itself. */
  | { readonly kind: 'refused'; readonly error: BrokerError; readonly isInterrupted: boolean }

interface Refresh {
  readonly turn: RefreshTurn
  readonly grant: Grant
  readonly deadlineMs: number
}

/**
 * An access token of exactly the granted scopes, from a refresh token (RFC 6749 §6). A rotated refresh token is
 * durable before the access token is returned (P16), also when the access token itself is refused. One refusal marks
 * nothing: only when the refresh token that is current then is refused too, the credential is called broken (P17).
 */
export function createMintFromRefreshToken(
  deps: RefreshTokenDeps,
): (grant: Grant, deadlineMs: number) => Promise<MintedToken> {
  const { refuseWhileOwed, endTurn } = createKeepRotatedToken(deps)

  const begin = async (grant: Grant, deadlineMs: number): Promise<Refresh> => {
    const { name, version } = grant.credential
    const turn = await awaitTurn({ ...deps, refuseWhileOwed }, { name, version, deadlineMs })
    return { turn, grant, deadlineMs }
  }

  const perform = async (refresh: Refresh): Promise<Outcome> => {
    try {
      return judgeReply(refresh, await postRefresh(deps, refresh), deps.clock.now())
    } catch (bug) {
      await endTurn(refresh.turn, { keepIntent: true })
      throw bug
    }
  }

  const settle = async ({ turn }: Refresh, outcome: Exclude<Outcome, { kind: 'refused' }>) => {
    await endTurn(turn, outcome.result)
    if (outcome.kind === 'failed') throw outcome.error
    return outcome.token
  }

  return async (grant, deadlineMs) => {
    refuseWhatItCannotGive(grant)
    const first = await begin(grant, deadlineMs)
    const outcome = await perform(first)
    if (outcome.kind !== 'refused') return settle(first, outcome)
    // A new turn reads what is current now: somebody may have stored a newer token meanwhile.
    await endTurn(first.turn, { keepIntent: outcome.isInterrupted })
    const second = await begin(grant, deadlineMs)
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

function refuseWhatItCannotGive({ credential, tokenType, subject, scopes }: Grant): void {
  const refuse = (why: string): never => {
    throw new BrokerError('target_unavailable', {
      reason: `credential ${credential.name}: a refresh token ${why}`,
    })
  }
  if (tokenType !== 'access_token') refuse(`gives no ${tokenType} of choice`)
  if (subject !== undefined) refuse('cannot act for another user')
  // RFC 6749 §6: without a scope the upstream would give everything the user ever consented to.
  if (scopes.length === 0)
    throw new BrokerError('scope_refused', { reason: 'the grant holds no scope to ask for' })
}

function postRefresh(
  { ask, tokenUrl }: RefreshTokenDeps,
  { turn, grant, deadlineMs }: Refresh,
): Promise<UpstreamReply> {
  return ask({
    url: tokenUrl,
    form: {
      grant_type: 'refresh_token',
      client_id: turn.secret.clientId,
      client_secret: turn.secret.clientSecret.reveal(),
      refresh_token: turn.secret.refreshToken.reveal(),
      scope: formatScope(grant.scopes),
    },
    credential: turn.name,
    repeatable: false,
    deadlineMs,
  })
}

function judgeReply({ turn, grant }: Refresh, reply: UpstreamReply, now: EpochSeconds): Outcome {
  const isInterrupted = reply.uncertain || turn.interruptedAt !== undefined
  if (reply.kind !== 'answer' || reply.answer.status !== 200) {
    const secrets = [turn.secret.clientSecret, turn.secret.refreshToken]
    const { error, blamesCredential } = judgeFailure(reply, { now, secrets })
    if (blamesCredential) return { kind: 'refused', error, isInterrupted }
    return { kind: 'failed', error, result: { keepIntent: isInterrupted } }
  }
  const members = parseReplyMembers(reply.answer)
  // From here on the upstream did act: a refresh token that we cannot read is lost.
  if (!members.ok) return failed(members.fault, { keepIntent: true })
  const refreshToken = parseRefreshToken(members.value)
  if (!refreshToken.ok) return failed(refreshToken.fault, { keepIntent: true })
  const kept = rotatedToken(refreshToken.value, turn)
  const token = judgeAccessToken(members.value, {
    asked: grant.scopes,
    sentAt: reply.sentAt,
    drawnFrom: [turn.version],
  })
  if (!token.ok) return failed(token.fault, kept)
  return { kind: 'minted', token: token.value, result: { ...kept, health: { status: 'healthy' } } }
}

function rotatedToken(returned: Secret | undefined, { secret }: RefreshTurn): RefreshResult {
  const isOther = returned !== undefined && returned.reveal() !== secret.refreshToken.reveal()
  return isOther ? { rotated: returned } : {}
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
