import type { KeyUse } from '../domain/public-jwk.ts'
import type { HttpClient } from '../ports/http-client.ts'
import { isFetchable, parseMetadata } from './jwks-document.ts'

/** Where an issuer publishes its keys. */
export interface KeyLocation {
  readonly from: 'jwks_uri' | 'discovery'
  readonly url: string
  readonly issuer: string
  /** Which of the published keys count; absent, those for signatures. */
  readonly use?: KeyUse
}

export type FetchedJwks =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly fault: string }

export const fetchTimeoutMs = 5_000
const documentBytesMax = 65_536

/** The text of the issuer's JWK set, unread; by way of its metadata document when that is what policy names. */
export async function fetchJwks(http: HttpClient, location: KeyLocation): Promise<FetchedJwks> {
  if (location.from === 'jwks_uri') return fetchDocument(http, location.url)
  const metadata = await fetchDocument(http, location.url)
  if (!metadata.ok) return metadata
  const judgement = parseMetadata(metadata.text, location)
  return judgement.ok ? fetchDocument(http, judgement.jwksUri) : judgement
}

// No retry: the next look is, 30 s from now, and until then the keys at hand serve.
async function fetchDocument(http: HttpClient, url: string): Promise<FetchedJwks> {
  if (!isFetchable(url)) return { ok: false, fault: 'the address is not https' }
  const result = await http({
    method: 'GET',
    url,
    headers: { accept: 'application/json, application/jwk-set+json' },
    timeoutMs: fetchTimeoutMs,
    maxBytes: documentBytesMax,
  })
  if (result.kind === 'failure') return { ok: false, fault: `${result.cause}: ${result.detail}` }
  if (result.status !== 200) return { ok: false, fault: `status ${result.status}` }
  return { ok: true, text: result.body }
}
