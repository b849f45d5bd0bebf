import { LRUCache } from 'lru-cache'
import { isBrokerError, type BrokerError } from '../domain/broker-error.ts'
import type { Clock } from '../ports/clock.ts'
import type { HttpClient } from '../ports/http-client.ts'
import { createKeptCurrent } from '../records/kept-current.ts'
import { readMetadata } from './read-metadata.ts'

export interface DiscoverEndpointsDeps {
  readonly http: HttpClient
  readonly clock: Clock
  /** Whether a request may await what another one fetches: never on Workers. */
  readonly sharesWork: boolean
}

const bounds = {
  // An endpoint moves once in years, and then the old one answers for a while.
  freshMs: 3_600_000,
  staleMs: 86_400_000,
  // The two documents have 1.4 s each.
  deadlineMs: 3_000,
  pauseMs: 30_000,
}
/** Only issuers of a policy come here; this bounds what replaced policies leave behind. */
const issuersMax = 1_000

interface Place {
  readonly current: () => string | Promise<string>
  failure?: { readonly error: BrokerError; readonly untilMs: number }
}

/**
 * The token endpoint that an issuer's metadata names, at most an hour old while the issuer answers and a day when it
 * does not. After a failure with nothing at hand it is not asked again for 30 s. Throws `upstream_unavailable` and
 * `upstream_nonsense`.
 */
export function createDiscoverEndpoints({
  http,
  clock,
  sharesWork,
}: DiscoverEndpointsDeps): (issuer: string) => Promise<string> {
  const places = new LRUCache<string, Place>({ max: issuersMax })

  const placeOf = (issuer: string): Place => {
    const known = places.get(issuer)
    if (known !== undefined) return known
    const read = async () => (await readMetadata(http, issuer)).tokenEndpoint
    const place = { current: createKeptCurrent({ read, clock, bounds, sharesWork }) }
    places.set(issuer, place)
    return place
  }

  return async (issuer) => {
    const place = placeOf(issuer)
    if (place.failure !== undefined && clock.steadyMs() < place.failure.untilMs) throw place.failure.error
    try {
      const endpoint = await place.current()
      delete place.failure
      return endpoint
    } catch (error) {
      if (isBrokerError(error)) place.failure = { error, untilMs: clock.steadyMs() + bounds.pauseMs }
      throw error
    }
  }
}
