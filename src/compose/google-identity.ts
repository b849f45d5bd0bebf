import { createFederatedIdentity } from '../adapters/google-identity/federated-identity.ts'
import type { GoogleIdentity } from '../adapters/google-identity/held-token.ts'
import { createMetadataIdentity } from '../adapters/google-identity/metadata-identity.ts'
import { createServiceAccountIdentity } from '../adapters/google-identity/service-account-identity.ts'
import { createSignAssertion } from '../adapters/google-identity/signing-keys.ts'
import type { Platform } from '../compose.ts'
import type { FederationSettings, Settings } from '../config.ts'
import { BrokerError } from '../domain/broker-error.ts'

export type IdentityPlatform = Pick<Platform, 'http' | 'clock' | 'entropy' | 'sharesWork'> & {
  /** Whether there may be one: not on Workers. */
  readonly hasMetadataServer: boolean
}

/**
 * Who the broker itself is towards Google, on either runtime: by its key file, else by federation, else by the
 * metadata server. The settings refuse the first two together. Throws `not_supported` when there is none.
 */
export function createGoogleIdentity(
  settings: Settings,
  platform: IdentityPlatform,
  scopes: readonly string[],
): GoogleIdentity {
  const { googleCredentials: key, federation, google, metadataHost } = settings
  if (key !== undefined)
    return createServiceAccountIdentity({ ...platform, key, tokenUrl: google.oauthTokenUrl, scopes })
  if (federation !== undefined) return createFederated(settings, federation, { ...platform, scopes })
  if (!platform.hasMetadataServer)
    throw new BrokerError('not_supported', {
      reason:
        'DOWNSCOPE_GOOGLE_CREDENTIALS or DOWNSCOPE_GOOGLE_FEDERATION is required: there is no metadata server here',
    })
  const host = metadataHost === undefined ? {} : { host: metadataHost }
  return createMetadataIdentity({ ...platform, ...host, scopes })
}

function createFederated(
  { issuer, google }: Settings,
  { keys, provider, serviceAccount }: FederationSettings,
  platform: IdentityPlatform & { readonly scopes: readonly string[] },
): GoogleIdentity {
  return createFederatedIdentity({
    ...platform,
    signAssertion: createSignAssertion({ ...platform, keys, issuer, provider }),
    provider,
    serviceAccount,
    stsUrl: google.stsTokenUrl,
    iamCredentialsUrl: google.iamCredentialsUrl,
  })
}
