import { seconds, until, type EpochSeconds } from '../domain/time.ts'
import type { RefreshResult, RefreshTurn } from '../records/refresh-turns.ts'

/** Long enough to find whoever has to consent again. */
const noticeBefore = seconds(7 * 86_400)
/** What an end that was told in seconds from now moves, when it does not move. */
const blurred = seconds(60)

/** When the refresh token will end soon although it was just used; an end that moves with every use is no news. */
export function nearEnd(
  { expiresAt: before }: RefreshTurn,
  { rotated, expiresAt }: RefreshResult,
  now: EpochSeconds,
): EpochSeconds | undefined {
  const end = expiresAt ?? (rotated === undefined ? before : undefined)
  if (end === undefined || before === undefined) return undefined
  return until(end, before) < blurred && until(end, now) < noticeBefore ? end : undefined
}

export function noticeOf(end: EpochSeconds): string {
  return `its refresh token ends at ${end} (seconds since 1970), and no use prolongs it: consent and enrol again`
}

/** A credential that fares well for now, and says for how long. */
export function withNotice(result: RefreshResult, end: EpochSeconds): RefreshResult {
  return result.health?.status === 'healthy'
    ? { ...result, health: { status: 'healthy', reason: noticeOf(end) } }
    : result
}
