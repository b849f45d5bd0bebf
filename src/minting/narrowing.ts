import { BrokerError } from '../domain/broker-error.ts'
import type { Narrowing } from '../domain/credential.ts'
import { later, seconds, until, type EpochSeconds } from '../domain/time.ts'
import type { RefreshLease } from '../records/refresh-leases.ts'
import type { ConfirmedToken } from './confirm-scopes.ts'
import type { Judged } from '../oauth/token-response.ts'

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
