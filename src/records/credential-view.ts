import type { MaybePromise } from '../domain/promises.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import { createRecentlyUsed } from '../domain/recently-used.ts'
import type { Clock } from '../ports/clock.ts'
import type { Credentials } from './credentials.ts'
import { createRefreshingValue, type RefreshingValue } from '../domain/refreshing-value.ts'

/** Names that no rule gives have a view of their own, so this bounds an operator's mistake, not an attacker. */
const namesMax = 10_000

export interface CredentialViewDeps {
  readonly credentials: Pick<Credentials, 'find'>
  readonly clock: Clock
  /** How long the last reading serves while the store cannot be read: tokens in memory are served on (P20, P26). */
  readonly outageMs: number
  /** False on Workers. */
  readonly sharesWork: boolean
}

type View = RefreshingValue<CredentialSummary | undefined>

export interface CredentialView {
  readonly current: (name: string) => MaybePromise<CredentialSummary | undefined>
  /** After this instance changed that credential; as of any refreshing value. */
  readonly readAgain: (name: string) => Promise<void>
}

const bounds = {
  // Disabling takes effect within 10 s (P26): 5 s of age and 2 s of reading.
  freshMs: 5_000,
  deadlineMs: 2_000,
  pauseMs: 2_000,
}

/**
 * The credentials as this instance sees them, at most 7 s behind the store while the store answers. Absence is
 * remembered like presence. Throws `store_unavailable` for a name never read before, or `outageMs` ago.
 */
export function createCredentialView({
  credentials,
  clock,
  outageMs,
  sharesWork,
}: CredentialViewDeps): CredentialView {
  const views = createRecentlyUsed<View>({ sizeMax: namesMax })

  const viewOf = (name: string): View => {
    const known = views.get(name)
    if (known !== undefined) return known
    const read = () => credentials.find(name)
    const view = createRefreshingValue({ read, clock, bounds: { ...bounds, staleMs: outageMs }, sharesWork })
    views.set(name, view)
    return view
  }

  return {
    current: (name) => viewOf(name).current(),
    readAgain: async (name) => views.get(name)?.readAgain(),
  }
}
