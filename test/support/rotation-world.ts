import { createHttpClient } from '../../src/adapters/system/fetch-http-client.ts'
import { grantedCredential } from '../../src/domain/grant.ts'
import type { CredentialSummary } from '../../src/domain/credential.ts'
import { createDriveRotation, type DriveRotation } from '../../src/rotation/drive-rotation.ts'
import { createIamKeys } from '../../src/google/iam-keys.ts'
import { createKeyPairs, type CreateKeyPair, type NewKeyPair } from '../../src/rotation/key-pair.ts'
import { createRemoveVersions } from '../../src/rotation/retire-versions.ts'
import type { RevokeVersion } from '../../src/enrolment/revoke-credential.ts'
import type { HttpClient } from '../../src/ports/http-client.ts'
import type { DocumentStore } from '../../src/ports/document-store.ts'
import { createRotations } from '../../src/records/rotations.ts'
import { startMintWorld } from './mint-world.ts'

export const name = 'reports-sa'

export type RotationWorld = Awaited<ReturnType<typeof startRotationWorld>>

/**
 * A service account whose key is enrolled, and brokers that rotate it: each a holder of leases of its own, over the
 * same store and the same stand-in. Time passes only when the test says so.
 */
export async function startRotationWorld() {
  const world = await startMintWorld()
  const { clock, google, entropy, credentials } = world
  const file = await google.createServiceAccount()
  google.allowKeyAdministration(file.client_email, file.client_email)
  await world.enrol(name, file)
  clock.skip(3600_000)
  world.google.tune({ keyPropagation: 20 })
  const keyPairs = createPooledKeyPairs(createKeyPairs({ clock, entropy }))

  const createInstance = (holder: string, faults: Faults = {}) => {
    const store = faults.store?.(world.store) ?? world.store
    const http = faults.http?.(createHttpClient()) ?? createHttpClient()
    const rotations = createRotations({ ...world.deps, store, holder })
    const { mint } = world.createInstance(holder)
    const exchange = async (credential: CredentialSummary, version: string, scopes: readonly string[]) =>
      mint({
        caller: { issuer: 'i', issuerName: 'i', subject: 's', claims: {} },
        rule: 'maintenance',
        credential: { ...grantedCredential(credential), version },
        scopes,
        tokenType: 'access_token',
      })
    const iamKeys = createIamKeys({ http, iamUrl: google.endpoints.GOOGLE_IAM_URL })
    const iamToken = async (credential: CredentialSummary) =>
      (await exchange(credential, credential.version, [cloudPlatform])).secret
    const { beforeSettle } = faults
    const settling =
      beforeSettle === undefined
        ? rotations
        : {
            ...rotations,
            settle: async (...given: Parameters<typeof rotations.settle>) => {
              await beforeSettle()
              return rotations.settle(...given)
            },
          }
    const drive = createDriveRotation({
      rotations: settling,
      credentials,
      clock,
      log: world.book.log,
      notice: () => undefined,
      iamKeys,
      createKeyPair: keyPairs,
      iamToken,
      prove: async (credential, version, scopes = [cloudPlatform]) => {
        // As in a broker, the standby proves nothing.
        const { standby: _, ...alone } = credential
        await exchange(alone, version, scopes)
      },
      revoke: faults.revoke ?? (() => Promise.reject(new Error('not part of this test'))),
    })
    const removeVersions = createRemoveVersions({
      iamKeys,
      iamToken,
      credentials,
      clock,
      log: world.book.log,
    })
    return { rotations, drive, removeVersions }
  }

  return {
    ...world,
    file,
    createRotator: createInstance,
    read: () => world.administration.read(name),
    /** Drives it, and lets time pass whenever it has to wait, until it is over or `until` holds. */
    rotate: (drive: DriveRotation, until: (summary: CredentialSummary) => boolean = isOver) =>
      driveToEnd({ drive, clock, read: () => world.administration.read(name), until }),
    /** The ids of the account's user-managed keys, as Google has them. */
    keysUpstream: () => google.keysOf(file.client_email),
  }
}

interface Faults {
  readonly store?: (store: DocumentStore) => DocumentStore
  readonly http?: (http: HttpClient) => HttpClient
  readonly revoke?: RevokeVersion
  /** Runs after a step was taken and before that is written. */
  readonly beforeSettle?: () => Promise<void>
}

const cloudPlatform = 'https://www.googleapis.com/auth/cloud-platform'

function isOver({ rotation }: CredentialSummary): boolean {
  return rotation === undefined
}

interface Driving {
  readonly drive: DriveRotation
  readonly clock: { readonly now: () => number; readonly skip: (ms: number) => void }
  readonly read: () => Promise<CredentialSummary>
  readonly until: (summary: CredentialSummary) => boolean
}

async function driveToEnd({ drive, clock, read, until }: Driving): Promise<CredentialSummary> {
  for (let turn = 0; turn < 200; turn += 1) {
    await drive(name)
    const summary = await read()
    if (until(summary)) return summary
    // A lease that was left behind holds it up to 13 s longer than it says.
    clock.skip(Math.max(1, (summary.rotation?.nextTryAt ?? 0) - clock.now()) * 1000)
  }
  throw new Error(`the rotation does not come to its end: ${JSON.stringify((await read()).rotation)}`)
}

// Mutable at module level: an RSA key costs 0.1 s, and tests need hundreds.
const pool: Promise<NewKeyPair>[] = []

/** Real keys and certificates, made once for all tests of a process; never the same one twice from one source. */
function createPooledKeyPairs(create: CreateKeyPair): CreateKeyPair {
  let next = 0
  return (commonName) => {
    const pair = pool[next] ?? create(commonName)
    pool[next] = pair
    next += 1
    return pair
  }
}
