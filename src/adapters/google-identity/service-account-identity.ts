import type { CryptoKey } from 'jose'
import { jwtBearerGrant } from '../../domain/google.ts'
import { parseJsonObject } from '../../domain/json.ts'
import { Secret } from '../../domain/secret.ts'
import { formRequest, createSendBriefly, type SendBrieflyDeps } from '../../google/api-request.ts'
import {
  importAssertionKey,
  signAssertion,
  type ServiceAccountKey,
} from '../../google/service-account-key.ts'
import { isTokenText } from '../../oauth/token-response.ts'
import type { HttpAnswer } from '../../ports/http-client.ts'
import {
  identityError,
  parseIdentityReply,
  requireAnswer,
  requireSuccess,
  type IdentitySource,
} from './identity-source.ts'

export interface ServiceAccountSourceDeps extends SendBrieflyDeps {
  readonly key: ServiceAccountKey
  readonly tokenUrl: string
}

/** The broker by its own service-account key (RFC 7523); the key is imported once. */
export function createServiceAccountSource(deps: ServiceAccountSourceDeps): IdentitySource {
  const { key, clock, tokenUrl } = deps
  let imported: CryptoKey | undefined

  const ask = async (claims: Readonly<Record<string, string>>): Promise<HttpAnswer> => {
    // Two requests may import at once: on Workers one must not await the other's promise.
    imported ??= await importAssertionKey(key.privateKey, () =>
      identityError(`the private key ${key.keyId} cannot be imported`),
    )
    const assertion = await signAssertion({ ...key, key: imported }, claims, clock.now())
    const form = { grant_type: jwtBearerGrant, assertion: assertion.reveal() }
    return requireAnswer(await createSendBriefly(deps)(() => formRequest(tokenUrl, form)))
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
  if (!isTokenText(token)) throw identityError('the reply has no usable id_token')
  return new Secret(token)
}
