import { fault, type Result } from '../../domain/result.ts'
import { parseKeyFile, type ServiceAccountKey } from '../../google/key-file.ts'
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
  readonly key: ServiceAccountKey
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

/** Reads the key file of the broker's own service account. A fault never repeats the text. */
export function parseOwnKey(text: string): Result<ServiceAccountKey> {
  const file = parseJsonObject(text)
  if (file === undefined) return fault('is no JSON object: it must be the whole key file')
  if (file['type'] !== 'service_account') return fault('is no key file of a service account ("type")')
  const parsed = parseKeyFile(file)
  if (parsed.ok) return { ok: true, value: parsed.key }
  return fault(parsed.faults.map(({ member, why }) => `"${member}" ${why}`).join('; '))
}
