import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { accessToken, type Answer, assert, callJson } from './ask.ts'
import { crc32c } from './crc32c.ts'
import { CLOUD_KMS } from './scopes.ts'
import { type GoogleStandIn, startGoogleStandIn } from './stand-in.ts'
import type { ServiceAccountFile } from './service-accounts.ts'

const KEY = 'projects/acme/locations/eu/keyRings/downscope/cryptoKeys/store'
const PLAINTEXT = base64('a data key')
const AAD = base64('what it is for')

let google: GoogleStandIn
let file: ServiceAccountFile
let bearer: string

beforeAll(async () => {
  google = await startGoogleStandIn()
  file = await google.createServiceAccount({ email: 'downscope@acme.iam.gserviceaccount.com' })
  bearer = accessToken(await assert(google, file, { scope: CLOUD_KMS }))
})
afterAll(() => google.close())

beforeEach(() => {
  google.createCryptoKey(KEY)
  google.allowCryptoKey(file.client_email, KEY)
})

describe('the stand-in as Cloud KMS', () => {
  test('decrypts what it encrypted, and says that what came was whole', async () => {
    const encrypted = await encrypt()

    expect(encrypted).toMatchObject({
      status: 200,
      body: {
        name: `${KEY}/cryptoKeyVersions/1`,
        ciphertextCrc32c: sumOf(String(encrypted.body['ciphertext'])),
        verifiedPlaintextCrc32c: true,
        verifiedAdditionalAuthenticatedDataCrc32c: true,
      },
    })
    expect((await decrypt(encrypted)).body).toEqual({
      plaintext: PLAINTEXT,
      plaintextCrc32c: sumOf(PLAINTEXT),
      usedPrimary: true,
      protectionLevel: 'SOFTWARE',
    })
  })

  test('without checksums it verifies nothing and says so by silence', async () => {
    const { status, body } = await encrypt({
      plaintextCrc32c: undefined,
      additionalAuthenticatedDataCrc32c: undefined,
    })

    expect(status).toBe(200)
    expect(Object.keys(body).filter((name) => name.startsWith('verified'))).toEqual([])
  })

  test('a new version encrypts, and the former one decrypts on', async () => {
    const before = await encrypt()
    const version = google.rotateCryptoKey(KEY)

    expect((await encrypt()).body['name']).toBe(version)
    expect((await decrypt(before)).body).not.toHaveProperty('usedPrimary')
  })

  test.each([
    [
      'other additional data',
      { additionalAuthenticatedData: base64('x'), additionalAuthenticatedDataCrc32c: sumOf(base64('x')) },
    ],
    ['none', { additionalAuthenticatedData: undefined, additionalAuthenticatedDataCrc32c: undefined }],
  ])('decrypts nothing for %s', async (_, change) => {
    const { status, text } = await decrypt(await encrypt(), change)

    expect(status).toBe(400)
    expect(text).toContain('Decryption failed')
  })

  test('decrypts nothing that was changed, or that another key encrypted', async () => {
    const encrypted = await encrypt()
    google.createCryptoKey(`${KEY}2`)
    google.allowCryptoKey(file.client_email, `${KEY}2`)
    const elsewhere = await call(`${KEY}2:decrypt`, decryptBody(encrypted))
    const octets = Buffer.from(String(encrypted.body['ciphertext']), 'base64')
    octets.writeUInt8(octets.readUInt8(octets.length - 1) ^ 1, octets.length - 1)
    const ciphertext = octets.toString('base64')
    const changed = await decrypt(encrypted, { ciphertext, ciphertextCrc32c: sumOf(ciphertext) })

    for (const { status, text } of [elsewhere, changed])
      expect([status, text]).toEqual([400, expect.stringContaining('Decryption failed')])
  })

  test.each([
    [
      { plaintextCrc32c: '1' },
      'The checksum in field plaintext_crc32c did not match the data in field plaintext.',
    ],
    [{ additionalAuthenticatedDataCrc32c: '1' }, 'additional_authenticated_data_crc32c did not match'],
    [{ plaintextCrc32c: 7 }, "Invalid value at 'plaintextCrc32c'"],
    [{ plaintext: 'a*' }, "Invalid value at 'plaintext'"],
    [{ plaintext: '' }, "Invalid value at 'plaintext'"],
    [{ plaintext_crc32c: '1' }, 'Unknown name'],
  ])('refuses to encrypt %j', async (change, words) => {
    const { status, text } = await encrypt(change)

    expect([status, text]).toEqual([400, expect.stringContaining(words)])
  })

  test.each(['DISABLED', 'DESTROYED'] as const)('uses no version that is %s', async (state) => {
    const encrypted = await encrypt()
    google.setCryptoKeyVersionState(`${KEY}/cryptoKeyVersions/1`, state)

    for (const { status, text } of [await encrypt(), await decrypt(encrypted)])
      expect([status, text]).toEqual([400, expect.stringContaining(`current state is: ${state}`)])
  })

  test('wants a token with its scope, and the permission on that key', async () => {
    const encrypted = await encrypt()
    const other = accessToken(
      await assert(google, file, { scope: 'https://www.googleapis.com/auth/datastore' }),
    )
    const ask = (token: string | undefined) =>
      callJson(urlOf(`${KEY}:encrypt`), { body: encryptBody(), bearer: token })

    expect((await ask(undefined)).status).toBe(401)
    expect((await ask('ya29.never')).status).toBe(401)
    expect((await ask(other)).text).toContain('insufficient authentication scopes')
    google.denyCryptoKey(file.client_email, KEY, 'decrypt')
    expect((await encrypt()).status).toBe(200)
    expect((await decrypt(encrypted)).text).toContain(
      "Permission 'cloudkms.cryptoKeyVersions.useToDecrypt' denied",
    )
    google.denyCryptoKey(file.client_email, KEY)
    expect((await encrypt()).text).toContain("Permission 'cloudkms.cryptoKeyVersions.useToEncrypt' denied")
    expect((await call(`${KEY}3:encrypt`, encryptBody())).text).toContain('(or it may not exist)')
  })

  test('decrypts by the key and not by a version of it', async () => {
    expect((await call(`${KEY}/cryptoKeyVersions/1:decrypt`, decryptBody(await encrypt()))).status).toBe(501)
  })
})

type Change = Readonly<Record<string, unknown>>

function encrypt(change: Change = {}): Promise<Answer> {
  return call(`${KEY}:encrypt`, { ...encryptBody(), ...change })
}

function decrypt(encrypted: Answer, change: Change = {}): Promise<Answer> {
  return call(`${KEY}:decrypt`, { ...decryptBody(encrypted), ...change })
}

function call(path: string, body: unknown): Promise<Answer> {
  return callJson(urlOf(path), { body, bearer })
}

function urlOf(path: string): string {
  return `${google.endpoints.GOOGLE_KMS_URL}/v1/${path}`
}

function encryptBody() {
  return { plaintext: PLAINTEXT, plaintextCrc32c: sumOf(PLAINTEXT), ...aad() }
}

function decryptBody({ body }: Answer) {
  const ciphertext = String(body['ciphertext'])
  return { ciphertext, ciphertextCrc32c: sumOf(ciphertext), ...aad() }
}

function aad() {
  return { additionalAuthenticatedData: AAD, additionalAuthenticatedDataCrc32c: sumOf(AAD) }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

function sumOf(text: string): string {
  return String(crc32c(Buffer.from(text, 'base64')))
}
