import { createFirestoreRestStore } from '../adapters/firestore/rest/firestore-rest-store.ts'
import type { GoogleIdentity } from '../adapters/google-identity/held-token.ts'
import { createMetadataIdentity } from '../adapters/google-identity/metadata-identity.ts'
import { createServiceAccountIdentity } from '../adapters/google-identity/service-account-identity.ts'
import type { Platform } from '../compose.ts'
import type { Settings } from '../config.ts'
import { BrokerError } from '../domain/broker-error.ts'
import type { DocumentStore } from '../ports/document-store.ts'

export type RestPlatform = Pick<Platform, 'http' | 'clock' | 'entropy' | 'sharesWork'> & {
  /** Whether there may be one: not on Workers. */
  readonly hasMetadataServer: boolean
}

const scopes = ['https://www.googleapis.com/auth/datastore'] as const

/** Firestore over REST, on either runtime. Throws `not_supported` when the broker could not say who it is. */
export function openFirestoreRest(
  place: { readonly project: string; readonly database: string },
  settings: Settings,
  platform: RestPlatform,
): DocumentStore {
  const { firestoreEmulatorHost: emulatorHost } = settings
  const server =
    emulatorHost === undefined ? { accessToken: createIdentity(settings, platform) } : { emulatorHost }
  return createFirestoreRestStore({
    ...platform,
    ...server,
    projectId: place.project,
    databaseId: place.database,
  })
}

function createIdentity(
  { googleCredentials: key, google, metadataHost }: Settings,
  platform: RestPlatform,
): GoogleIdentity {
  if (key !== undefined)
    return createServiceAccountIdentity({ ...platform, key, tokenUrl: google.oauthTokenUrl, scopes })
  if (!platform.hasMetadataServer)
    throw new BrokerError('not_supported', {
      reason: 'DOWNSCOPE_GOOGLE_CREDENTIALS is required: there is no metadata server here',
    })
  const host = metadataHost === undefined ? {} : { host: metadataHost }
  return createMetadataIdentity({ ...platform, ...host, scopes })
}
