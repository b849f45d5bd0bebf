import { createKmsRingKeys } from '../../src/adapters/key-ring/kms-ring-keys.ts'
import { createKeyRing } from '../../src/adapters/key-ring/key-ring.ts'
import { createLocalRingKeys } from '../../src/adapters/key-ring/local-keys.ts'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { Secret } from '../../src/domain/secret.ts'
import { later, seconds } from '../../src/domain/time.ts'
import { createRewrapKeys, type RewrapReport } from '../../src/maintenance/rewrap-keys.ts'
import type { KeyRing } from '../../src/ports/key-ring.ts'
import { createCredentials } from '../../src/records/credentials.ts'
import { createRewraps } from '../../src/records/rewraps.ts'
import { createTokens, type TokenKey } from '../../src/records/tokens.ts'
import { keyCredential } from './credential-world.ts'
import { createFakeClock, type FakeClock } from './fake-clock.ts'
import { createFakeKms } from './fake-kms.ts'
import { createFaultyStore } from './faulty-store.ts'
import { createSequence } from './sequence.ts'

/** What everything is sealed under at first. */
export const oldKey = localKey('k1', 1)

export const nameOf = (index: number): string => `credential-${String(index).padStart(4, '0')}`

/** One store, seen with whichever keys a test asks for. */
export function createRewrapWorld(clock: FakeClock = createFakeClock()) {
  const store = createFaultyStore(createMemoryStore({ clock }))
  const entropy = createSequence()
  const deps = { store, clock, entropy }
  const credentialsOf = (keyRing: KeyRing) =>
    createCredentials({ ...deps, keyRing, onMalformed: () => undefined })
  const credentials = (keys: readonly Key[]) => credentialsOf(ringOf(keys))
  const tokens = (keys: readonly Key[]) =>
    createTokens({ ...deps, keyRing: ringOf(keys), log: () => undefined, holder: 'one' })
  const token = (text: string, life: number) => ({
    secret: new Secret(`token ${text}`),
    tokenType: 'access_token' as const,
    scopes: ['a'],
    drawnFrom: ['1'],
    issuedAt: clock.now(),
    expiresAt: later(clock.now(), seconds(life)),
  })

  const rewrapUnder = async (keyRing: KeyRing, limit: number): Promise<readonly RewrapReport[]> => {
    const rewrap = createRewrapKeys({ ...deps, keyRing, rewraps: createRewraps({ ...deps, keyRing }) })
    const reports: RewrapReport[] = []
    for (let after: string | undefined; ;) {
      const report = await rewrap(after === undefined ? { limit } : { after, limit })
      reports.push(report)
      if (report.after === undefined) return reports
      after = report.after
    }
  }

  /** How many of the enrolled credentials open with these keys alone, to what they were enrolled with. */
  const readableBy = async (keyRing: KeyRing, count = Number.POSITIVE_INFINITY): Promise<number> => {
    const all = credentialsOf(keyRing)
    let readable = 0
    for (let index = 0; index < count; index += 1) {
      const found = await all.find(nameOf(index))
      if (found === undefined) break
      const { secret } = await all.openSecret(found.name, found.version)
      if (secret.kind === 'service_account_key' && secret.privateKey.reveal() === `the key of ${found.name}`)
        readable += 1
    }
    return readable
  }

  return {
    store,
    deps,
    clock,
    credentials,
    credentialsOf,
    tokens,
    token,
    enrol: async (count: number) => {
      for (let index = 0; index < count; index += 1) {
        const name = nameOf(index)
        const privateKey = new Secret(`the key of ${name}`)
        const secret = {
          kind: 'service_account_key',
          clientEmail: 'a@b.example',
          keyId: 'k1',
          privateKey,
        } as const
        await credentials([oldKey]).add({
          ...keyCredential,
          name,
          secret,
        })
      }
    },
    keepToken: async (id: string, life: number, keys: readonly Key[]) => {
      const key: TokenKey = `tokens/${id}`
      const claim = await tokens(keys).claim({ key })
      if (claim === undefined) throw new Error('a claim was expected')
      await tokens(keys).keep(claim, token(id, life))
    },
    rewrapUnder,
    rewrapAll: (keys: readonly Key[], limit: number) => rewrapUnder(ringOf(keys), limit),
    readableBy,
    readable: (keys: readonly Key[], count?: number) => readableBy(ringOf(keys), count),
    kms: () => {
      const kms = createFakeKms()
      const keys = createKmsRingKeys({
        cryptoKey: kms.cryptoKey,
        kmsUrl: kms.kmsUrl,
        http: kms.http,
        clock,
        sharesWork: true,
        accessToken: async () => new Secret('kms-token'),
      })
      return { kms, keys }
    },
  }
}

/** A clock whose sleepers wake at once, so that those who wait for each other go on. */
export function patientClock(): FakeClock {
  const clock = createFakeClock()
  return { ...clock, sleep: () => Promise.resolve() }
}

export interface Key {
  readonly kid: string
  readonly key: Secret
}

export function ringOf(keys: readonly Key[]): KeyRing {
  return createKeyRing([createLocalRingKeys(keys)])
}

export function localKey(kid: string, fill: number): Key {
  return { kid, key: new Secret(btoa(String.fromCharCode(...new Uint8Array(32).fill(fill)))) }
}

/** The part of a sealed text that names its key. */
export function headerOf(kid: string): string {
  return btoa(JSON.stringify({ alg: 'dir', enc: 'A256GCM', kid })).replaceAll('=', '')
}
