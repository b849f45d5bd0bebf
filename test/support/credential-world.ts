import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { Secret } from '../../src/domain/secret.ts'
import { epochSeconds } from '../../src/domain/time.ts'
import { createCredentials, type NewCredential } from '../../src/records/credentials.ts'
import { createRefreshLeases } from '../../src/records/refresh-leases.ts'
import { createRotations } from '../../src/records/rotations.ts'
import { createFakeClock } from './fake-clock.ts'
import { createFaultyStore } from './faulty-store.ts'
import { createPlainKeyRing } from './plain-key-ring.ts'
import { createSequence } from './sequence.ts'

/** Credentials over a store that can fail, seen by as many instances as the test asks for. */
export function createCredentialWorld() {
  const clock = createFakeClock()
  const store = createFaultyStore(createMemoryStore({ clock }))
  const keyRing = createPlainKeyRing()
  const malformed: string[] = []
  const entropy = createSequence(0)
  const deps = { store, clock, keyRing, entropy }
  const credentials = createCredentials({ ...deps, onMalformed: ({ reason }) => malformed.push(reason) })
  /** `off` seconds from the others by its wall clock. */
  const createLeases = (holder: string, off = 0) =>
    createRefreshLeases({ ...deps, clock: { ...clock, now: () => epochSeconds(clock.now() + off) }, holder })
  const createRotationsOf = (holder: string) => createRotations({ ...deps, holder })
  return { clock, store, keyRing, malformed, credentials, createLeases, createRotations: createRotationsOf }
}

export const keyCredential: NewCredential = {
  name: 'reports-sa',
  upstream: 'google',
  identity: 'reports@acme.iam.gserviceaccount.example',
  keyId: 'k1',
  secret: {
    kind: 'service_account_key',
    clientEmail: 'reports@acme.iam.gserviceaccount.example',
    keyId: 'k1',
    privateKey: new Secret('the private key'),
  },
}

export const refreshCredential: NewCredential = {
  name: 'calendar-user',
  upstream: 'google',
  identity: 'client-1',
  consentedScopes: ['a', 'b'],
  secret: {
    kind: 'refresh_token',
    client: { id: 'client-1', proof: 'secret', secret: new Secret('the client secret') },
    refreshToken: new Secret('refresh-1'),
  },
}
