import { createFederatedSource } from '../adapters/google-identity/federated-identity.ts'
import { createHeldToken, type GoogleIdentity } from '../adapters/google-identity/held-token.ts'
import type { IdentitySource } from '../adapters/google-identity/identity-source.ts'
import { createMetadataSource } from '../adapters/google-identity/metadata-identity.ts'
import { createOwnIdentity } from '../adapters/google-identity/own-identity.ts'
import { createServiceAccountSource } from '../adapters/google-identity/service-account-identity.ts'
import { createSignAssertion } from '../adapters/google-identity/signing-keys.ts'
import type { FederationSettings, Settings } from '../config.ts'
import { BrokerError } from '../domain/broker-error.ts'
import type { Platform } from './platform.ts'

export type IdentityPlatform = Pick<Platform, 'http' | 'clock' | 'entropy' | 'sharesWork'> & {
  /** Whether there may be one: not on Workers. */
  readonly hasMetadataServer: boolean
}

/** What acts for service accounts (docs/google.md §3.1). */
const actingScopes: readonly string[] = ['https://www.googleapis.com/auth/cloud-platform']

/** A token of the broker itself towards Google, held in memory. Throws `not_supported` when it is nobody there. */
export function createGoogleIdentity(
  settings: Settings,
  platform: IdentityPlatform,
  scopes: readonly string[],
): GoogleIdentity {
  const source = createIdentitySource(settings, platform)
  if (source === undefined)
    throw new BrokerError('not_supported', {
      reason:
        'DOWNSCOPE_GOOGLE_CREDENTIALS or DOWNSCOPE_GOOGLE_FEDERATION is required: there is no metadata server here',
    })
  return createHeldToken({ ...platform, fetchToken: () => source.accessToken(scopes) })
}

/** The broker itself as something to mint from; absent when it is nobody to Google. Nothing is asked yet. */
export function openOwnIdentity(
  settings: Settings,
  platform: IdentityPlatform,
): Pick<Platform, 'ownIdentity'> {
  const source = createIdentitySource(settings, platform)
  if (source === undefined) return {}
  const acting = createHeldToken({ ...platform, fetchToken: () => source.accessToken(actingScopes) })
  const { tokeninfoUrl } = settings.google
  return { ownIdentity: createOwnIdentity({ ...platform, source, acting, tokeninfoUrl }) }
}

/**
 * Who the broker is towards Google, on either runtime: by its key file, else by federation, else by the metadata
 * server. The settings refuse the first two together.
 */
function createIdentitySource(settings: Settings, platform: IdentityPlatform): IdentitySource | undefined {
  const { googleCredentials: key, federation, google, metadataHost: host } = settings
  if (key !== undefined)
    return createServiceAccountSource({ ...platform, key, tokenUrl: google.oauthTokenUrl })
  if (federation !== undefined) return createFederated(settings, federation, platform)
  if (!platform.hasMetadataServer) return undefined
  return createMetadataSource({ ...platform, ...(host === undefined ? {} : { host }) })
}

function createFederated(
  { issuer, google }: Settings,
  { keys, provider, serviceAccount }: FederationSettings,
  platform: IdentityPlatform,
): IdentitySource {
  return createFederatedSource({
    ...platform,
    signAssertion: createSignAssertion({ ...platform, keys, issuer, provider }),
    provider,
    serviceAccount,
    stsUrl: google.stsTokenUrl,
    iamCredentialsUrl: google.iamCredentialsUrl,
  })
}
