import type { MaybePromise } from '../domain/promises.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import { createRecentlyUsed } from '../domain/recently-used.ts'
import type { Credentials } from './credentials.ts'
import {
  byAge,
  createRefreshingValue,
  type RefreshingDeps,
  type RefreshingValue,
} from '../domain/refreshing-value.ts'

/** Names that no rule gives have a view of their own, so this bounds an operator's mistake, not an attacker. */
const namesMax = 10_000

export interface CredentialViewDeps extends RefreshingDeps {
  readonly credentials: Pick<Credentials, 'find'>
  /** How long the last reading serves while the store cannot be read: tokens in memory are served on (P20, P26). */
  readonly outageMs: number
}

type View = RefreshingValue<CredentialSummary | undefined>

export interface CredentialView {
  readonly current: (name: string) => MaybePromise<CredentialSummary | undefined>
  /** After this instance changed that credential; as of any refreshing value. */
  readonly readAgain: (name: string) => Promise<void>
}

// Disabling takes effect within 10 s (P26): 5 s of age and 2 s of reading.
const freshMs = 5_000
const bounds = { deadlineMs: 2_000, pauseMs: 2_000 }

/**
 * The credentials as this instance sees them, at most 7 s behind the store while the store answers. Absence is
 * remembered like presence. Throws `store_unavailable` for a name never read before, or `outageMs` ago.
 */
export function createCredentialView({ credentials, outageMs, ...deps }: CredentialViewDeps): CredentialView {
  const views = createRecentlyUsed<View>({ sizeMax: namesMax })
  const freshness = byAge({ freshMs, staleMs: outageMs })

  const viewOf = (name: string): View => {
    const known = views.get(name)
    if (known !== undefined) return known
    const read = () => credentials.find(name)
    const view = createRefreshingValue({ ...deps, ...bounds, read, freshness })
    views.set(name, view)
    return view
  }

  return {
    current: (name) => viewOf(name).current(),
    readAgain: async (name) => views.get(name)?.readAgain(),
  }
}
