import { type Fault, fault } from '../../domain/result.ts'
import type { CryptoKey } from 'jose'
import { jwtBearerGrant } from '../../domain/google.ts'
import { importAssertionKey, signAssertion } from '../../google/assertion.ts'
import { parseJsonObject } from '../../domain/json.ts'
import { Secret } from '../../domain/secret.ts'
import type { Clock } from '../../ports/clock.ts'
import type { HttpAnswer, HttpClient } from '../../ports/http-client.ts'
import {
  identityError,
  askForToken,
  isToken,
  parseIdentityReply,
  requireSuccess,
  type IdentitySource,
} from './identity-source.ts'

export interface ServiceAccountSourceDeps {
  readonly key: OwnKey
  readonly http: HttpClient
  readonly clock: Clock
  readonly tokenUrl: string
}

/** The broker by its own service-account key (RFC 7523); the key is imported once. */
export function createServiceAccountSource(deps: ServiceAccountSourceDeps): IdentitySource {
  const { key, http, clock, tokenUrl } = deps
  let imported: CryptoKey | undefined

  const ask = async (claims: Readonly<Record<string, string>>): Promise<HttpAnswer> => {
    // Two requests may import at once: on Workers one must not await the other's promise.
    imported ??= await importAssertionKey(key.privateKey, () =>
      identityError(`the private key ${key.keyId} cannot be imported`),
    )
    const assertion = await signAssertion({ ...key, key: imported }, claims, clock.now())
    return await askForToken(http, {
      method: 'POST',
      url: tokenUrl,
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: new URLSearchParams({ grant_type: jwtBearerGrant, assertion: assertion.reveal() }).toString(),
    })
  }

  return {
    respectsScopes: true,
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

/** The broker's own key towards Google. */
export interface OwnKey {
  readonly clientEmail: string
  readonly keyId: string
  /** PKCS#8 in PEM. */
  readonly privateKey: Secret
}

export type OwnKeyReading = { readonly ok: true; readonly key: OwnKey } | Fault

const pkcs8Pem = /^\s*-----BEGIN PRIVATE KEY-----[\sA-Za-z0-9+/=]+-----END PRIVATE KEY-----\s*$/

/** Reads Google's key file. A fault never repeats the text. The file's `token_uri` is data, and never followed (P29). */
export function parseOwnKey(text: string): OwnKeyReading {
  const file = parseJsonObject(text)
  if (file === undefined) return fault('is no JSON object: it must be the whole key file')
  const { type, client_email: clientEmail, private_key_id: keyId, private_key: privateKey } = file
  if (type !== 'service_account') return fault('is no key file of a service account ("type")')
  if (typeof clientEmail !== 'string' || !/^[^\s@]{1,200}@[^\s@]{1,200}$/.test(clientEmail))
    return fault('has no usable "client_email"')
  if (typeof keyId !== 'string' || !/^[\w-]{1,100}$/.test(keyId))
    return fault('has no usable "private_key_id"')
  if (typeof privateKey !== 'string' || !pkcs8Pem.test(privateKey))
    return fault('has no "private_key" in PKCS#8 (BEGIN PRIVATE KEY, with its line breaks as \\n)')
  return { ok: true, key: { clientEmail, keyId, privateKey: new Secret(privateKey) } }
}
