import type * as FirestoreSdk from '@google-cloud/firestore'
import type { Firestore, Settings } from '@google-cloud/firestore'

import { firestoreError } from '../status.ts'
import type { CallDeadlines } from './call-deadline.ts'

export interface SdkClient {
  readonly sdk: typeof FirestoreSdk
  readonly firestore: Firestore
}

export interface SdkClientOptions {
  readonly projectId: string
  readonly databaseId: string
  /** `HOST:PORT` of an emulator, spoken to without TLS and without credentials. */
  readonly emulatorHost?: string
  readonly transformCall: CallDeadlines['transformCall']
}

export interface LazySdkClient {
  /** Loads the SDK at the first call (0.3 s of CPU), the same client ever after. */
  readonly open: () => Promise<SdkClient>
  /** Refuses from now on, and ends the connections when `settled` resolves. */
  readonly close: (settled: () => Promise<void>) => Promise<void>
}

/** The SDK's client when it is first needed; nothing of it is loaded before. */
export function createLazySdkClient(options: SdkClientOptions): LazySdkClient {
  let opened: Promise<SdkClient> | undefined
  let isClosed = false
  return {
    open: async () => {
      if (isClosed) throw firestoreError(undefined, new Error('the store is closed'))
      opened ??= openClient(options)
      return await opened
    },
    close: async (settled) => {
      isClosed = true
      await settled()
      await opened?.then(
        ({ firestore }) => firestore.terminate(),
        () => undefined,
      )
    },
  }
}

async function openClient({
  projectId,
  databaseId,
  emulatorHost,
  transformCall,
}: SdkClientOptions): Promise<SdkClient> {
  const sdk = await import('@google-cloud/firestore')
  const settings: Settings = {
    projectId,
    databaseId,
    'grpc.callInvocationTransformer': transformCall,
    // Without it every failed read, refused ones too, is repeated after 3 s and after 8 s (retry-request).
    gaxServerStreamingRetries: true,
    ...(emulatorHost === undefined ? {} : { host: emulatorHost, ssl: false, auth: noCredentials }),
  }
  return { sdk, firestore: new sdk.Firestore(settings) }
}

/** Stands in for google-auth-library, which would ask the metadata server whether it is there, emulator or not. */
const noCredentials = { getUniverseDomain: async () => 'googleapis.com' }
