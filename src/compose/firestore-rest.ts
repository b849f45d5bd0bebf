import { createFirestoreRestStore } from '../adapters/firestore/rest/firestore-rest-store.ts'
import type { Settings } from '../config.ts'
import type { DocumentStore } from '../ports/document-store.ts'
import { createGoogleIdentity, type GooglePlatform } from './google-identity.ts'

const scopes = ['https://www.googleapis.com/auth/datastore'] as const

/** Firestore over REST, on either runtime. Throws `not_supported` when the broker could not say who it is. */
export function openFirestoreRest(
  place: { readonly project: string; readonly database: string },
  settings: Settings,
  platform: GooglePlatform,
): DocumentStore {
  const { firestoreEmulatorHost: emulatorHost } = settings
  const server =
    emulatorHost === undefined ? { accessToken: createGoogleIdentity(platform, scopes) } : { emulatorHost }
  return createFirestoreRestStore({
    ...platform,
    ...server,
    projectId: place.project,
    databaseId: place.database,
  })
}
