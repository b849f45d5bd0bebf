import { createFederatedSource } from '../adapters/google-identity/federated-identity.ts'
import { createHeldToken, type GoogleIdentity } from '../adapters/google-identity/held-token.ts'
import type { IdentitySource } from '../adapters/google-identity/identity-source.ts'
import { createMetadataSource } from '../adapters/google-identity/metadata-identity.ts'
import { createOwnIdentity } from '../adapters/google-identity/own-identity.ts'
import { createServiceAccountSource } from '../adapters/google-identity/service-account-identity.ts'
import { createSignAssertion } from '../adapters/google-identity/sign-assertion.ts'
import type { FederationSettings, Settings } from '../config.ts'
import { BrokerError } from '../domain/broker-error.ts'
import { cloudPlatformScope } from '../domain/google.ts'
import type { Platform } from './platform.ts'

export interface GooglePlatform extends Pick<Platform, 'http' | 'clock' | 'entropy' | 'sharesWork'> {
  /** Who the broker is, for all that it does at Google; absent where it is nobody. */
  readonly identitySource: IdentitySource | undefined
}

/** A token of the broker itself towards Google, held in memory. Throws `not_supported` when it is nobody there. */
export function createGoogleIdentity(platform: GooglePlatform, scopes: readonly string[]): GoogleIdentity {
  const { identitySource } = platform
  if (identitySource === undefined)
    throw new BrokerError('not_supported', {
      reason:
        'DOWNSCOPE_GOOGLE_CREDENTIALS or DOWNSCOPE_GOOGLE_FEDERATION is required: there is no metadata server here',
    })
  return createHeldToken({ ...platform, fetchToken: () => identitySource.accessToken(scopes) })
}

/** The broker itself as something to mint from; absent when it is nobody to Google. Nothing is asked yet. */
export function openOwnIdentity(
  { google: { tokeninfoUrl } }: Settings,
  platform: GooglePlatform,
): Pick<Platform, 'ownIdentity'> {
  const { identitySource: source } = platform
  if (source === undefined) return {}
  const acting = createGoogleIdentity(platform, [cloudPlatformScope])
  return { ownIdentity: createOwnIdentity({ ...platform, source, acting, tokeninfoUrl }) }
}

export interface IdentitySourcePlatform extends Pick<Platform, 'http' | 'clock' | 'entropy'> {
  /** Whether there may be one: not on Workers. */
  readonly hasMetadataServer: boolean
}

/**
 * Who the broker is towards Google, on either runtime: by its key file, else by federation, else by the metadata
 * server. The settings refuse the first two together. A platform opens it once, for it imports its key once.
 */
export function openIdentitySource(
  settings: Settings,
  platform: IdentitySourcePlatform,
): IdentitySource | undefined {
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
  platform: IdentitySourcePlatform,
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
