import type { HttpClient } from '../ports/http-client.ts'
import type { Log } from '../ports/log.ts'
import { fetchJwks, type KeyLocation } from './fetch-jwks.ts'
import { parseJwks } from './jwks-document.ts'
import { createKeySet, type KeySet } from './key-set.ts'

/** A key set with the text it was read from. */
export interface PublishedKeys {
  readonly text: string
  readonly set: KeySet
}

/**
 * One look at what an issuer publishes: its keys, or `undefined` when there was nothing to read. Each look leaves at
 * most one line in the log. An unchanged text gives the same set again, so that imported keys and verified
 * assertions stay, and nothing is logged a second time.
 */
export function createLookForKeys(deps: {
  readonly http: HttpClient
  readonly log: Log
}): (location: KeyLocation, last: PublishedKeys | undefined) => Promise<PublishedKeys | undefined> {
  const { http, log } = deps

  return async (location, last) => {
    const { issuer, url, use } = location
    const fetched = await fetchJwks(http, location)
    if (fetched.ok && fetched.text === last?.text) return last
    const judgement = fetched.ok ? parseJwks(fetched.text, use) : fetched
    if (!judgement.ok) {
      log('warn', 'keys of an issuer unavailable', { issuer, url, reason: judgement.fault })
      return undefined
    }
    const { text, keys, skipped } = judgement
    if (skipped.length > 0) log('warn', 'keys of an issuer skipped', { issuer, url, reasons: skipped })
    return { text, set: createKeySet(keys) }
  }
}
