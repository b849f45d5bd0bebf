import { isBrokerError, type BrokerError } from '../domain/broker-error.ts'
import { createRecentlyUsed } from '../domain/recently-used.ts'
import type { Clock } from '../ports/clock.ts'
import type { HttpClient } from '../ports/http-client.ts'
import { readMetadata, type Metadata } from './read-metadata.ts'

export interface DiscoverEndpointsDeps {
  readonly http: HttpClient
  readonly clock: Clock
  /** False on Workers. */
  readonly sharesWork: boolean
}

/** An endpoint moves once in years, and then the old one answers for a while. */
const freshMs = 3_600_000
const staleMs = 86_400_000
/** Between two looks at an issuer that failed. */
const pauseMs = 30_000
/** Only issuers of a policy come here; this bounds what replaced policies leave behind. */
const issuersMax = 1_000

interface Place {
  held?: { readonly metadata: Metadata; readonly readAtMs: number }
  failed?: { readonly error: BrokerError; readonly atMs: number }
  reading?: Promise<Metadata>
}

/**
 * The endpoints that an issuer's metadata names, at most an hour old while the issuer answers and a day when it
 * does not. After a failure it is not asked again for 30 s. Throws `upstream_unavailable` and `upstream_nonsense`.
 */
export function createDiscoverEndpoints({
  http,
  clock,
  sharesWork,
}: DiscoverEndpointsDeps): (issuer: string) => Promise<Metadata> {
  const places = createRecentlyUsed<Place>({ sizeMax: issuersMax })

  const placeOf = (issuer: string): Place => {
    const known = places.get(issuer) ?? {}
    places.set(issuer, known)
    return known
  }

  const read = async (issuer: string, place: Place): Promise<Metadata> => {
    const startedAtMs = clock.steadyMs()
    const metadata = await readMetadata(http, issuer)
    place.held = { metadata, readAtMs: startedAtMs }
    delete place.failed
    return metadata
  }

  const readShared = (issuer: string, place: Place): Promise<Metadata> => {
    place.reading ??= read(issuer, place).finally(() => {
      delete place.reading
    })
    return place.reading
  }

  return async (issuer) => {
    const place = placeOf(issuer)
    const { held, failed } = place
    const now = clock.steadyMs()
    const age = held === undefined ? Infinity : now - held.readAtMs
    if (held !== undefined && age <= freshMs) return held.metadata
    try {
      if (failed !== undefined && now - failed.atMs < pauseMs) throw failed.error
      return await (sharesWork ? readShared(issuer, place) : read(issuer, place))
    } catch (error) {
      if (!isBrokerError(error)) throw error
      if (place.failed?.error !== error) place.failed = { error, atMs: clock.steadyMs() }
      if (held !== undefined && age <= staleMs) return held.metadata
      throw error
    }
  }
}
