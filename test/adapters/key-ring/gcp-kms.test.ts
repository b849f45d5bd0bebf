import { describe, expect, test } from 'vitest'
import { createKmsRingKeys } from '../../../src/adapters/key-ring/kms-ring-keys.ts'
import { createKeyRing } from '../../../src/adapters/key-ring/key-ring.ts'
import { createLocalRingKeys } from '../../../src/adapters/key-ring/local-keys.ts'
import { BrokerError } from '../../../src/domain/broker-error.ts'
import { parseJsonObject } from '../../../src/domain/json.ts'
import { Secret } from '../../../src/domain/secret.ts'
import { seconds } from '../../../src/domain/time.ts'
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts'
import { createFakeKms, refuse, storeKey, type FakeKms } from '../../support/fake-kms.ts'
import { answer, failure } from '../../support/routed-http.ts'
import { base64, describeKeyRing, refusalOf } from '../key-ring-contract.ts'

const place = 'tokens/abc#secret'
const text = new Secret('ya29.a-token-nobody-may-see')
const hourMs = 3_600_000
const down = failure('network')
const version = (number: number): string => `${storeKey}/cryptoKeyVersions/${number}`

describeKeyRing('Cloud KMS', () => ({
  ring: open().ring,
  keyId: version(1),
  stranger: open({ kms: createFakeKms(`${storeKey}2`) }).ring,
  secrets: ['kms-token'],
}))

describe('data keys', () => {
  test('each sealed text carries its wrapped key, so that any instance opens it alone', async () => {
    const kms = createFakeKms()
    const sealed = await open({ kms }).ring.seal(text, place)

    expect(headerOf(sealed)).toEqual({
      alg: 'dir',
      enc: 'A256GCM',
      kid: version(1),
      dek: expect.stringMatching(/^[A-Za-z0-9+/]+=*$/) as unknown,
    })
    expect((await open({ kms }).ring.open(sealed, place)).reveal()).toBe(text.reveal())
  })

  test('one of them seals for an hour, and then another', async () => {
    const { ring, kms, clock } = open()
    const first = await ring.seal(text, place)
    await clock.advance(hourMs - 1)
    const second = await ring.seal(text, place)
    await clock.advance(1)
    const third = await ring.seal(text, place)

    expect(headerOf(second)['dek']).toBe(headerOf(first)['dek'])
    expect(headerOf(third)['dek']).not.toBe(headerOf(first)['dek'])
    expect(callsOf(kms)).toEqual(['encrypt', 'encrypt'])
  })

  test('one of them seals 10,000 texts, and then another', async () => {
    const { keys, kms } = open()
    for (let count = 0; count < 10_000; count += 1) await keys.sealing()
    expect(callsOf(kms)).toHaveLength(1)

    await keys.sealing()
    expect(callsOf(kms)).toHaveLength(2)
  })

  test('what an instance sealed it opens without asking; what another sealed it asks for once an hour', async () => {
    const kms = createFakeKms()
    const one = open({ kms })
    const sealed = await Promise.all([1, 2, 3].map((id) => one.ring.seal(text, `tokens/${id}#t`)))
    await one.ring.open(sealed[0] ?? '', 'tokens/1#t')
    expect(callsOf(kms)).toEqual(['encrypt'])

    const other = open({ kms })
    for (const [index, each] of sealed.entries()) await other.ring.open(each, `tokens/${index + 1}#t`)
    expect(callsOf(kms)).toEqual(['encrypt', 'decrypt'])
    await other.clock.advance(hourMs)
    await other.ring.open(sealed[0] ?? '', 'tokens/1#t')
    expect(callsOf(kms)).toEqual(['encrypt', 'decrypt', 'decrypt'])
  })

  test('20 texts at once share one call each way, and on Workers none waits for another', async () => {
    const calls = async (sharesWork: boolean) => {
      const kms = createFakeKms()
      const writer = open({ kms, sharesWork })
      const sealed = await Promise.all(Array.from({ length: 20 }, () => writer.ring.seal(text, place)))
      const reader = open({ kms, sharesWork })
      await Promise.all(sealed.map((each) => reader.ring.open(each, place)))
      return callsOf(kms)
    }

    expect(await calls(true)).toEqual(['encrypt', 'decrypt'])
    expect((await calls(false)).filter((method) => method === 'encrypt')).toHaveLength(20)
  })

  test('P24: no more than 1,000 unwrapped keys are held', async () => {
    const { keys, kms, clock } = open()
    const names = []
    for (let count = 0; count < 1001; count += 1) {
      const { kid, wrapped } = await keys.sealing()
      names.push({ kid, ...(wrapped === undefined ? {} : { wrapped }) })
      await clock.advance(hourMs)
      await keys.renew()
    }
    const before = callsOf(kms).length

    await keys.opening(names[0] ?? { kid: '' })
    expect(callsOf(kms).length).toBe(before + 1)
  })

  test('a text that names a version of the key and carries no data key is refused', async () => {
    const { keys } = open()

    expect(() => keys.opening({ kid: version(1) })).toThrow('carries no data key')
  })
})

describe('what is asked', () => {
  test('the purpose is bound to each key, with checksums both ways, by the broker’s own token', async () => {
    const kms = createFakeKms()
    await open({ kms }).ring.open(await open({ kms }).ring.seal(text, place), place)

    const [encrypt, decrypt] = kms.requests
    expect(encrypt).toMatchObject({
      method: 'POST',
      url: `https://cloudkms.googleapis.com/v1/${storeKey}:encrypt`,
      headers: { authorization: 'Bearer kms-token', 'content-type': 'application/json' },
      timeoutMs: 1000,
      maxBytes: 65_536,
    })
    const sent = JSON.parse(encrypt?.body ?? '') as Record<string, string>
    expect(Object.keys(sent)).toEqual([
      'plaintext',
      'plaintextCrc32c',
      'additionalAuthenticatedData',
      'additionalAuthenticatedDataCrc32c',
    ])
    expect(atob(sent['additionalAuthenticatedData'] ?? '')).toBe('downscope data key 1')
    expect(atob(sent['plaintext'] ?? '')).toHaveLength(32)
    expect(decrypt?.url).toBe(`https://cloudkms.googleapis.com/v1/${storeKey}:decrypt`)
    expect(Object.keys(JSON.parse(decrypt?.body ?? '') as object)).toEqual([
      'ciphertext',
      'ciphertextCrc32c',
      'additionalAuthenticatedData',
      'additionalAuthenticatedDataCrc32c',
    ])
  })

  test('a token that is refused is replaced once', async () => {
    const { ring, kms } = open({ tokens: ['stale', 'kms-token'] })

    await expect(ring.seal(text, place)).resolves.toBeDefined()
    expect(kms.requests.map(({ headers }) => headers?.['authorization'])).toEqual([
      'Bearer stale',
      'Bearer kms-token',
    ])
  })

  test('without another token the refusal stands', async () => {
    const { ring, kms } = open({ tokens: ['stale'] })

    expect(await refusalOf(ring.seal(text, place))).toContain('Cloud KMS answered 401')
    expect(kms.requests).toHaveLength(1)
  })

  test.each([
    ['network trouble', down],
    ['a timeout', failure('timeout')],
    ['a redirect', failure('redirect')],
    ['500', answer('', 500)],
    ['503', answer('', 503)],
    ['a page', answer('<html>')],
    [
      'damage on the way there',
      refuse(
        400,
        'INVALID_ARGUMENT',
        'The checksum in field plaintext_crc32c did not match the data in field plaintext.',
      ),
    ],
  ])('%s once is endured', async (_, reply) => {
    const { ring, kms } = open()
    kms.fail(reply, 1)

    await expect(ring.seal(text, place)).resolves.toBeDefined()
    expect(callsOf(kms)).toEqual(['encrypt', 'encrypt'])
  })

  test.each([
    [{ verifiedPlaintextCrc32c: undefined }, 'does not say that what was sent arrived whole'],
    [{ verifiedAdditionalAuthenticatedDataCrc32c: false }, 'does not say that what was sent arrived whole'],
    [{ name: `${storeKey}2/cryptoKeyVersions/1` }, 'names no version of that key'],
    [{ name: storeKey }, 'names no version of that key'],
    [{ ciphertext: 'a*' }, 'has no usable ciphertext'],
    [{ ciphertext: '' }, 'has no usable ciphertext'],
    [{ ciphertext: 'A'.repeat(4000) }, 'has no usable ciphertext'],
    [{ ciphertext: 'AAAA' }, 'has a ciphertext of another checksum'],
    [{ ciphertextCrc32c: 1 }, 'has a ciphertext of another checksum'],
  ])('an answer to encrypt that is not as it should be is refused: %#', async (members, fault) => {
    const { ring, kms } = open()
    kms.amend(members)

    expect(await refusalOf(ring.seal(text, place))).toBe(`encrypt with ${storeKey}: the answer ${fault}`)
    expect(callsOf(kms)).toEqual(['encrypt', 'encrypt'])
  })

  test.each([
    [{ plaintext: undefined }, 'holds no data key'],
    [{ plaintext: 'AAAA' }, 'holds no data key'],
    [{ plaintext: btoa('k'.repeat(32)) }, 'has a plaintext of another checksum'],
    [{ plaintextCrc32c: undefined }, 'has a plaintext of another checksum'],
  ])('an answer to decrypt that is not as it should be is refused: %#', async (members, fault) => {
    const kms = createFakeKms()
    const sealed = await open({ kms }).ring.seal(text, place)
    kms.amend(members)

    expect(await refusalOf(open({ kms }).ring.open(sealed, place))).toBe(
      `decrypt with ${storeKey}: the answer ${fault}`,
    )
  })

  test('P23: a refusal is quoted without what was sent, and says what to do', async () => {
    const { ring, kms } = open()
    kms.echo((sent) => refuse(403, 'PERMISSION_DENIED', `Denied: ${plaintextIn(sent)}`))

    const reason = await refusalOf(ring.seal(text, place))

    expect(reason).toBe(
      `encrypt with ${storeKey}: Cloud KMS answered 403 (PERMISSION_DENIED: Denied: [cut]); the broker's identity needs roles/cloudkms.cryptoKeyEncrypterDecrypter on that key`,
    )
  })

  test('a wait that Cloud KMS asks for is passed on, and it is not asked again meanwhile', async () => {
    const { ring, kms } = open()
    kms.fail(refuse(429, 'RESOURCE_EXHAUSTED'))

    await expect(ring.seal(text, place)).rejects.toMatchObject({
      code: 'key_ring_unavailable',
      retryAfter: 2,
    })
    expect(callsOf(kms)).toHaveLength(1)
  })

  test('P20: all attempts settle within two seconds', async () => {
    const clock = createFakeClock()
    const spent: number[] = []
    const { ring } = open({
      clock,
      http: async ({ timeoutMs }) => {
        spent.push(timeoutMs)
        await clock.advance(timeoutMs)
        return failure('timeout')
      },
      tokenTakesMs: 600,
    })

    await refusalOf(ring.seal(text, place))

    expect(spent).toEqual([1000, 400])
  })

  test('when the token took all the time it says so', async () => {
    const { ring, kms } = open({ tokenTakesMs: 2000 })

    expect(await refusalOf(ring.seal(text, place))).toContain('what came before took all of 2000 ms')
    expect(callsOf(kms)).toEqual([])
  })

  test('an identity that cannot be had is a fault of the key ring', async () => {
    const { ring } = open({ tokens: [] })

    await expect(ring.seal(text, place)).rejects.toMatchObject({
      code: 'key_ring_unavailable',
      retryAfter: 2,
      reason: `encrypt with ${storeKey}: there is no identity`,
    })
  })
})

describe('P20: while Cloud KMS is down', () => {
  test('what is cached seals and opens on, for half a day', async () => {
    const { ring, kms, clock } = open()
    const sealed = await ring.seal(text, place)
    kms.fail(down)
    await clock.advance(12 * hourMs - 1)

    expect((await ring.open(sealed, place)).reveal()).toBe(text.reveal())
    expect((await ring.open(await ring.seal(text, place), place)).reveal()).toBe(text.reveal())

    await clock.advance(1)
    await refusalOf(ring.open(sealed, place))
    await refusalOf(ring.seal(text, place))
  })

  test('nothing else does; it is asked every two seconds at most, and recovers by itself', async () => {
    const kms = createFakeKms()
    const sealed = await open({ kms }).ring.seal(text, place)
    const { ring, clock } = open({ kms })
    kms.fail(down)

    for (let count = 0; count < 50; count += 1)
      await expect(ring.open(sealed, place)).rejects.toMatchObject({ code: 'key_ring_unavailable' })
    await refusalOf(ring.seal(text, place))
    expect(callsOf(kms)).toEqual(['encrypt', 'decrypt', 'decrypt'])

    kms.fail(undefined)
    await clock.advance(2000)
    expect((await ring.open(sealed, place)).reveal()).toBe(text.reveal())
  })
})

describe('a right that is withdrawn at Google', () => {
  test('is felt within the hour, also when Cloud KMS is down after that', async () => {
    const { ring, kms, clock } = open()
    const sealed = await ring.seal(text, place)
    kms.fail(refuse(403, 'PERMISSION_DENIED'))

    await clock.advance(hourMs - 1)
    await ring.open(sealed, place)
    await clock.advance(1)
    await refusalOf(ring.open(sealed, place))
    await refusalOf(ring.seal(text, place))
    kms.fail(down)
    await refusalOf(ring.open(sealed, place))
    await refusalOf(ring.seal(text, place))
  })

  test('a refusal of one key is no outage of the others', async () => {
    const kms = createFakeKms()
    const sealed = await open({ kms }).ring.seal(text, place)
    const { ring } = open({ kms })
    kms.fail(refuse(400, 'FAILED_PRECONDITION'), 1)

    expect(await refusalOf(ring.open(sealed, place))).toContain(
      'the version of the key is disabled or destroyed',
    )
    expect((await ring.open(sealed, place)).reveal()).toBe(text.reveal())
  })
})

describe('a new version of the key at Google', () => {
  test('needs nothing here: what was sealed opens, and the next data key is of the new version', async () => {
    const { ring, kms, clock } = open()
    const before = await ring.seal(text, place)
    kms.rotateTo(2)
    const meanwhile = await ring.seal(text, place)
    await clock.advance(hourMs)
    const after = await ring.seal(text, place)

    expect([before, meanwhile, after].map((sealed) => ring.keyIdOf(sealed, place))).toEqual([
      version(1),
      version(1),
      version(2),
    ])
    for (const sealed of [before, meanwhile, after])
      expect((await ring.open(sealed, place)).reveal()).toBe(text.reveal())
  })

  test('is found at once by who looks anew, and seals from then on', async () => {
    const { ring, kms } = open()
    await ring.seal(text, place)
    kms.rotateTo(2)

    expect(await ring.renew()).toBe(version(2))
    expect(ring.keyIdOf(await ring.seal(text, place), place)).toBe(version(2))
  })

  test('who looks anew is not told the old version when Cloud KMS cannot say', async () => {
    const { ring, kms } = open()
    await ring.seal(text, place)
    kms.fail(down)

    expect(await refusalOf(ring.renew())).toContain('as the test wants it')
  })
})

describe('a ping', () => {
  test('proves both ways, and then nothing for a minute', async () => {
    const { ring, kms, clock } = open()
    for (let count = 0; count < 60; count += 1) {
      await ring.ping()
      await clock.advance(999)
    }
    expect(callsOf(kms)).toEqual(['encrypt', 'decrypt'])

    await clock.advance(60)
    await ring.ping()
    expect(callsOf(kms)).toEqual(['encrypt', 'decrypt', 'decrypt'])
  })

  test('tells an outage after a minute, though what is cached serves on, and recovery within two seconds', async () => {
    const { ring, kms, clock } = open()
    await ring.ping()
    kms.fail(down)
    await clock.advance(60_000)

    for (let count = 0; count < 20; count += 1) await refusalOf(ring.ping())
    expect(callsOf(kms)).toHaveLength(4)
    await ring.seal(text, place)
    kms.fail(undefined)
    await clock.advance(2000)
    await ring.ping()
  })

  test('a refusal is asked for once in two seconds, however many ask', async () => {
    const { ring, kms } = open()
    kms.fail(refuse(403, 'PERMISSION_DENIED'))

    for (let count = 0; count < 20; count += 1) await refusalOf(ring.ping())
    expect(callsOf(kms)).toHaveLength(1)
  })
})

describe('a ring of several kinds', () => {
  const localKeys = createLocalRingKeys([{ kid: 'k1', key: new Secret(btoa('k'.repeat(32))) }])

  test('moves a store from local keys to Cloud KMS, and back', async () => {
    const { keys } = open()
    const before = createKeyRing([localKeys])
    const there = createKeyRing([keys, localKeys])
    const back = createKeyRing([localKeys, keys])
    const sealed = [
      await before.seal(text, place),
      await there.seal(text, place),
      await back.seal(text, place),
    ]

    expect(sealed.map((each) => there.keyIdOf(each, place))).toEqual(['k1', version(1), 'k1'])
    for (const ring of [there, back])
      for (const each of sealed) expect((await ring.open(each, place)).reveal()).toBe(text.reveal())
  })

  test('is not there when one of them is not', async () => {
    const { keys, kms } = open()
    kms.fail(down)

    await refusalOf(createKeyRing([localKeys, keys]).ping())
  })
})

interface Change {
  readonly kms?: FakeKms
  readonly clock?: FakeClock
  readonly http?: FakeKms['http']
  readonly sharesWork?: boolean
  /** What the broker's identity gives, one after the other; the last one stays. */
  readonly tokens?: readonly string[]
  readonly tokenTakesMs?: number
}

/** One instance: what it holds in memory is its own, and Cloud KMS may be shared. */
function open({ tokens = ['kms-token'], tokenTakesMs = 0, sharesWork = true, ...change }: Change = {}) {
  const { kms = createFakeKms(), clock = createFakeClock(), http = kms.http } = change
  let refusals = 0
  const keys = createKmsRingKeys({
    cryptoKey: kms.cryptoKey,
    kmsUrl: kms.kmsUrl,
    http,
    clock,
    sharesWork,
    accessToken: async (refused) => {
      await clock.advance(tokenTakesMs)
      if (refused !== undefined) refusals += 1
      const token = tokens[Math.min(refusals, tokens.length - 1)]
      if (token !== undefined) return new Secret(token)
      throw new BrokerError('store_unavailable', { reason: 'there is no identity', retryAfter: seconds(2) })
    },
  })
  return { keys, ring: createKeyRing([keys]), kms, clock }
}

function callsOf({ requests }: FakeKms): readonly string[] {
  return requests.map(({ url }) => url.split(':').at(-1) ?? '')
}

function plaintextIn(body: string): string {
  return String(parseJsonObject(body)?.['plaintext'])
}

function headerOf(sealed: string): Readonly<Record<string, unknown>> {
  return JSON.parse(atob(base64(sealed.split('.')[0] ?? ''))) as Record<string, unknown>
}
