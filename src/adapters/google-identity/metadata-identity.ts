import type { Clock } from '../../ports/clock.ts'
import type { HttpClient } from '../../ports/http-client.ts'
import { createHeldToken, type GoogleIdentity } from './held-token.ts'
import { identityError } from './identity-error.ts'
import { askForToken, parseIdentityReply } from './identity-reply.ts'

export interface MetadataIdentityDeps {
  readonly http: HttpClient
  readonly clock: Clock
  /** `HOST` or `HOST:PORT`; default `metadata.google.internal`. */
  readonly host?: string
  /** Cloud Run gives no more than these; Compute Engine what the machine was made with. */
  readonly scopes: readonly string[]
}

const defaultHost = 'metadata.google.internal'
const path = '/computeMetadata/v1/instance/service-accounts/default/token'

/** The token of the service account that Cloud Run or Compute Engine runs us as; only for Node. */
export function createMetadataIdentity(deps: MetadataIdentityDeps): GoogleIdentity {
  const { http, host = defaultHost, scopes } = deps
  const query = scopes.length === 0 ? '' : `?scopes=${scopes.map(encodeURIComponent).join(',')}`

  const fetchToken = async () => {
    const url = `http://${host}${path}${query}`
    const answer = await askForToken(http, { method: 'GET', url, headers: { 'metadata-flavor': 'Google' } })
    // Whoever else answers at that address, a captive portal or another cloud, does not know this header.
    if (answer.header('metadata-flavor') !== 'Google')
      throw identityError(
        `${host} is not Google's metadata server; set DOWNSCOPE_GOOGLE_CREDENTIALS elsewhere`,
      )
    return parseIdentityReply(answer)
  }
  return createHeldToken({ ...deps, fetchToken, sharesWork: true })
}
