import { Secret } from '../../domain/secret.ts'
import { isServiceAccountEmail } from '../../domain/google.ts'
import { createSendBriefly, type SendBrieflyDeps } from '../../google/api-request.ts'
import { isTokenText } from '../../oauth/token-response.ts'
import type { HttpAnswer } from '../../ports/http-client.ts'
import {
  identityError,
  parseIdentityReply,
  requireAnswer,
  requireSuccess,
  type IdentitySource,
} from './identity-source.ts'

export interface MetadataSourceDeps extends SendBrieflyDeps {
  /** `HOST` or `HOST:PORT`; default `metadata.google.internal`. */
  readonly host?: string
}

const defaultHost = 'metadata.google.internal'
const account = '/computeMetadata/v1/instance/service-accounts/default'

/**
 * The service account that Cloud Run, Knative or Compute Engine runs us as; only for Node. Cloud Run and Knative give
 * the asked scopes and no more, Compute Engine always those that the machine was made with.
 */
export function createMetadataSource({ host = defaultHost, ...deps }: MetadataSourceDeps): IdentitySource {
  const ask = async (path: string): Promise<HttpAnswer> => {
    const url = `http://${host}${account}/${path}`
    const request = { method: 'GET', url, headers: { 'metadata-flavor': 'Google' } } as const
    const answer = requireAnswer(await createSendBriefly(deps)(() => request))
    // Whoever else answers at that address, a captive portal or another cloud, does not know this header.
    if (answer.header('metadata-flavor') !== 'Google')
      throw identityError(
        `${host} is not Google's metadata server; set DOWNSCOPE_GOOGLE_CREDENTIALS elsewhere`,
      )
    return answer
  }

  return {
    respectsScopes: false,
    accessToken: async (scopes) => {
      const query = scopes.length === 0 ? '' : `?scopes=${scopes.map(encodeURIComponent).join(',')}`
      return parseIdentityReply(await ask(`token${query}`))
    },
    idToken: async (audience) => {
      const answer = await ask(`identity?audience=${encodeURIComponent(audience)}&format=full`)
      requireSuccess(answer)
      const token = answer.body.trim()
      if (!isTokenText(token)) throw identityError('the metadata server gave no usable ID token')
      return new Secret(token)
    },
    serviceAccount: async () => {
      const answer = await ask('email')
      requireSuccess(answer)
      const email = answer.body.trim()
      if (!isServiceAccountEmail(email))
        throw identityError('the metadata server names no service account: none is attached')
      return email
    },
  }
}
