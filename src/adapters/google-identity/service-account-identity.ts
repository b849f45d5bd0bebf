import { importPKCS8, SignJWT, type CryptoKey } from 'jose'

import { assertionAudience, assertionLife, jwtBearerGrant } from '../../domain/google.ts'
import { parseJsonObject } from '../../domain/json-object.ts'
import { Secret } from '../../domain/secret.ts'
import type { Clock } from '../../ports/clock.ts'
import type { HttpAnswer, HttpClient } from '../../ports/http-client.ts'
import { identityError } from './identity-error.ts'
import { askForToken, isToken, parseIdentityReply, requireSuccess } from './identity-reply.ts'
import type { IdentitySource } from './identity-source.ts'
import type { OwnKey } from './own-key.ts'

export interface ServiceAccountSourceDeps {
  readonly key: OwnKey
  readonly http: HttpClient
  readonly clock: Clock
  readonly tokenUrl: string
}

/** Google's clock may be behind ours. */
const issuedBefore = 10

/** The broker by its own service-account key (RFC 7523); the key is imported once. */
export function createServiceAccountSource(deps: ServiceAccountSourceDeps): IdentitySource {
  const { key, http, clock, tokenUrl } = deps
  let imported: CryptoKey | undefined

  const ask = async (wish: Readonly<Record<string, string>>): Promise<HttpAnswer> => {
    // Two requests may import at once: on Workers one must not await the other's promise.
    imported ??= await importKey(key)
    const iat = clock.now() - issuedBefore
    const claims = { iss: key.clientEmail, aud: assertionAudience, iat, exp: iat + assertionLife, ...wish }
    const header = { alg: 'RS256', typ: 'JWT', kid: key.keyId }
    const assertion = new Secret(await new SignJWT(claims).setProtectedHeader(header).sign(imported))
    return await askForToken(http, {
      method: 'POST',
      url: tokenUrl,
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: new URLSearchParams({ grant_type: jwtBearerGrant, assertion: assertion.reveal() }).toString(),
    })
  }

  return {
    heedsScopes: true,
    accessToken: async (scopes) => parseIdentityReply(await ask({ scope: scopes.join(' ') })),
    idToken: async (audience) => parseIdToken(await ask({ target_audience: audience })),
    serviceAccount: async () => key.clientEmail,
  }
}

function parseIdToken(answer: HttpAnswer): Secret {
  requireSuccess(answer)
  const { id_token: token } = parseJsonObject(answer.body) ?? {}
  if (!isToken(token)) throw identityError('the reply has no usable id_token')
  return new Secret(token)
}

async function importKey({ privateKey, keyId }: OwnKey): Promise<CryptoKey> {
  try {
    return await importPKCS8(privateKey.reveal(), 'RS256')
  } catch {
    // The cause may quote the text.
    throw identityError(`the private key ${keyId} cannot be imported`)
  }
}
