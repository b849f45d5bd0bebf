import { importPKCS8, SignJWT, type CryptoKey } from 'jose'

import { Secret } from '../../domain/secret.ts'
import type { Clock } from '../../ports/clock.ts'
import type { HttpClient } from '../../ports/http-client.ts'
import { createHeldToken, type GoogleIdentity } from './held-token.ts'
import { identityError } from './identity-error.ts'
import { askForToken, parseIdentityReply } from './identity-reply.ts'
import type { ServiceAccountKey } from './service-account-key.ts'

export interface ServiceAccountIdentityDeps {
  readonly key: ServiceAccountKey
  readonly http: HttpClient
  readonly clock: Clock
  readonly tokenUrl: string
  readonly scopes: readonly string[]
  /** Whether a request may await what another one began: never on Workers. */
  readonly sharesWork: boolean
}

/** docs/google.md §1.2: what Google checks, wherever the endpoint is configured to be. */
const audience = 'https://oauth2.googleapis.com/token'
const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
/** Google's clock may be behind ours, and takes no more than an hour. */
const issuedBefore = 10
const lifetime = 3600

/** The broker's own token by its own service-account key (RFC 7523); the key is imported once. */
export function createServiceAccountIdentity(deps: ServiceAccountIdentityDeps): GoogleIdentity {
  const { key, http, clock, tokenUrl, scopes } = deps
  let imported: CryptoKey | undefined

  const fetchToken = async () => {
    // Two requests may import at once: on Workers one must not await the other's promise.
    imported ??= await importKey(key)
    const iat = clock.now() - issuedBefore
    const claims = { iss: key.clientEmail, aud: audience, iat, exp: iat + lifetime, scope: scopes.join(' ') }
    const header = { alg: 'RS256', typ: 'JWT', kid: key.keyId }
    const assertion = new Secret(await new SignJWT(claims).setProtectedHeader(header).sign(imported))
    const answer = await askForToken(http, {
      method: 'POST',
      url: tokenUrl,
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: new URLSearchParams({ grant_type: jwtBearer, assertion: assertion.reveal() }).toString(),
    })
    return parseIdentityReply(answer)
  }
  return createHeldToken({ ...deps, fetchToken })
}

async function importKey({ privateKey, keyId }: ServiceAccountKey): Promise<CryptoKey> {
  try {
    return await importPKCS8(privateKey.reveal(), 'RS256')
  } catch {
    // The cause may quote the text.
    throw identityError(`the private key ${keyId} cannot be imported`)
  }
}
