import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { openIdentitySource, openKeyRing } from '../../src/compose/google-cloud.ts'
import { createNodePlatform, type NodePlatform } from '../../src/compose/node-platform.ts'
import { readSettings, type Settings } from '../../src/config.ts'
import type { Environment } from '../../src/config/setting.ts'
import { Secret } from '../../src/domain/secret.ts'
import type { KeyRing } from '../../src/ports/key-ring.ts'
import { startGoogleStandIn, type GoogleStandIn } from '../support/google/stand-in.ts'
import { federatedPrincipal } from '../support/google/workload-pools.ts'
import { createPrivateJwk, keySetText, poolProvider, readKeys } from '../support/signing-key-set.ts'
import { describeKeyRing, refusalOf } from '../adapters/key-ring-contract.ts'
import type { ServiceAccountFile } from '../support/google/service-accounts.ts'

const place = 'credentials/reports-sa#1'
const text = new Secret('a private key')
const keyName = 'projects/acme/locations/eu/keyRings/downscope/cryptoKeys/store'
const issuer = 'https://tokens.acme.example'

let google: GoogleStandIn
let file: ServiceAccountFile
let platform: NodePlatform

beforeAll(async () => {
  google = await startGoogleStandIn()
  file = await google.createServiceAccount({ email: 'downscope@acme.iam.gserviceaccount.com' })
  platform = createNodePlatform(settingsWith({ DOWNSCOPE_KEY_RING: 'local:' }))
  for (const name of [keyName, `${keyName}2`]) {
    google.createCryptoKey(name)
    google.allowCryptoKey(file.client_email, name)
  }
})

beforeEach(() => {
  google.clearScripts()
  google.calls.reset()
  google.allowCryptoKey(file.client_email, keyName)
})

afterAll(async () => {
  await google.close()
  await platform.close()
})

describeKeyRing('Cloud KMS over HTTP', () => ({
  ring: open(),
  keyId: `${keyName}/cryptoKeyVersions/1`,
  stranger: open({ DOWNSCOPE_KEY_RING: `gcp-kms://${keyName}2` }),
  secrets: [],
}))

describe('gcp-kms:// in the settings', () => {
  test('the broker says who it is by its key file, with the scope of Cloud KMS alone', async () => {
    await open().seal(text, place)

    expect(google.tokens().at(-1)).toMatchObject({
      subject: file.client_email,
      scopes: ['https://www.googleapis.com/auth/cloudkms'],
    })
    expect(google.calls.where({ endpoint: 'kms' }).map(({ path }) => path)).toEqual([
      `/kms/v1/${keyName}:encrypt`,
    ])
  })

  test('or by federation, without a key of Google', async () => {
    const jwk = await createPrivateJwk('first')
    const [{ published }] = readKeys(jwk)
    google.putPoolProvider({ audience: poolProvider, issuer, jwks: { keys: [{ ...published }] } })
    google.allowCryptoKey(federatedPrincipal(poolProvider, 'downscope'), keyName)
    const ring = open({
      DOWNSCOPE_GOOGLE_CREDENTIALS: '',
      DOWNSCOPE_SIGNING_KEYS: keySetText(jwk),
      DOWNSCOPE_GOOGLE_FEDERATION: poolProvider,
    })

    await expect(ring.ping()).resolves.toBeUndefined()
  })

  test('and as nobody else: the key of its identity is imported once for all that it does at Google', async () => {
    const importKey = vi.spyOn(crypto.subtle, 'importKey')
    const broker = createNodePlatform(settingsWith({}))
    await broker.keyRing.ping()
    await broker.ownIdentity?.actingToken()

    expect(importKey.mock.calls.filter(([format]) => format === 'pkcs8')).toHaveLength(1)
    importKey.mockRestore()
    await broker.close()
  })

  test('without an identity, where there is no metadata server, it does not start', () => {
    expect(() => open({ DOWNSCOPE_GOOGLE_CREDENTIALS: '' }, { hasMetadataServer: false })).toThrow(
      'DOWNSCOPE_GOOGLE_CREDENTIALS or DOWNSCOPE_GOOGLE_FEDERATION is required',
    )
  })

  test('a store moves from local keys to Cloud KMS, and back', async () => {
    const keys = { DOWNSCOPE_KEYS: `k1:${btoa('k'.repeat(32))}` }
    const local = await open({ ...keys, DOWNSCOPE_KEY_RING: 'local:' }).seal(text, place)
    const there = open(keys)
    const wrapped = await there.seal(text, place)
    const back = open({ ...keys, DOWNSCOPE_KEY_RING: `local:,gcp-kms://${keyName}` })

    expect(there.keyIdOf(wrapped, place)).toBe(`${keyName}/cryptoKeyVersions/1`)
    expect(back.keyIdOf(await back.seal(text, place), place)).toBe('k1')
    for (const ring of [there, back])
      for (const sealed of [local, wrapped])
        expect((await ring.open(sealed, place)).reveal()).toBe(text.reveal())
  })
})

describe('P20: Cloud KMS in trouble', () => {
  test('that hangs is a planned failure within two seconds', async () => {
    google.script.kms.always({ do: 'hang' })
    const began = performance.now()

    expect(await refusalOf(open().seal(text, place))).toContain('no whole answer within')
    // The margin is for a slow machine's event loop; without the deadline it would be the test's own time limit.
    expect(performance.now() - began).toBeLessThan(4000)
  })

  test.each([
    ['answers 503', { do: 'unavailable', status: 503 }],
    ['answers with a page', { do: 'html', status: 200 }],
    ['answers half', { do: 'truncate' }],
    ['redirects', { do: 'redirect', to: 'https://evil.example/' }],
    ['answers without end', { do: 'oversize' }],
    ['breaks the connection', { do: 'reset' }],
  ] as const)('that %s is a planned failure, and what is cached serves on', async (_, behaviour) => {
    const ring = open()
    const sealed = await ring.seal(text, place)
    google.script.kms.always(behaviour)

    await refusalOf(open().open(sealed, place))
    expect((await ring.open(await ring.seal(text, place), place)).reveal()).toBe(text.reveal())
  })

  test('a right that is missing is named, and which version is disabled', async () => {
    const sealed = await open().seal(text, place)
    google.denyCryptoKey(file.client_email, keyName, 'decrypt')
    expect(await refusalOf(open().open(sealed, place))).toContain(
      'roles/cloudkms.cryptoKeyEncrypterDecrypter',
    )
    // An instance that may encrypt only must not say that it is ready.
    await refusalOf(open().ping())

    google.allowCryptoKey(file.client_email, keyName)
    google.setCryptoKeyVersionState(`${keyName}/cryptoKeyVersions/1`, 'DISABLED')
    expect(await refusalOf(open().open(sealed, place))).toContain('FAILED_PRECONDITION')
    google.setCryptoKeyVersionState(`${keyName}/cryptoKeyVersions/1`, 'ENABLED')
    expect((await open().open(sealed, place)).reveal()).toBe(text.reveal())
  })
})

function open(more: Environment = {}, { hasMetadataServer = true } = {}): KeyRing {
  const settings = settingsWith(more)
  const identitySource = openIdentitySource(settings, { ...platform, hasMetadataServer })
  return openKeyRing(settings, { ...platform, identitySource })
}

function settingsWith(more: Environment): Settings {
  return readSettings({
    DOWNSCOPE_ISSUER: issuer,
    DOWNSCOPE_STORE: 'memory:',
    DOWNSCOPE_KEY_RING: `gcp-kms://${keyName}`,
    DOWNSCOPE_GOOGLE_CREDENTIALS: JSON.stringify(file),
    ...(more['DOWNSCOPE_KEY_RING'] === 'local:' ? { DOWNSCOPE_KEYS: `k1:${btoa('k'.repeat(32))}` } : {}),
    ...google.endpoints,
    ...more,
  })
}
