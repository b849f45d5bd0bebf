import { describe, expect, test } from 'vitest'

import { createLocalKeyRing } from '../../../src/adapters/key-ring/local.ts'
import { BrokerError } from '../../../src/domain/broker-error.ts'
import { Secret } from '../../../src/domain/secret.ts'

const place = 'tokens/abc#secret'
const plaintext = 'ya29.a-token-nobody-may-see'

describe('the local key ring', () => {
  test.each(['', 'a', plaintext, 'ключ 🔑 \u0000\n', 'x'.repeat(100_000)])(
    'what it seals it opens at the same place: %#',
    async (text) => {
      const ring = createLocalKeyRing([localKey('k1', 1)])

      const opened = await ring.open(await ring.seal(new Secret(text), place), place)

      expect(opened.reveal()).toBe(text)
    },
  )

  test('the first key seals and all open, so that a key can be put in front of another', async () => {
    const old = createLocalKeyRing([localKey('old', 1)])
    const both = createLocalKeyRing([localKey('new', 2), localKey('old', 1)])
    const sealedBefore = await old.seal(new Secret(plaintext), place)

    const sealedAfter = await both.seal(new Secret(plaintext), place)

    expect(headerOf(sealedAfter)).toEqual({ alg: 'dir', enc: 'A256GCM', kid: 'new' })
    expect((await both.open(sealedBefore, place)).reveal()).toBe(plaintext)
    expect((await both.open(sealedAfter, place)).reveal()).toBe(plaintext)
  })

  test('one text sealed twice makes two texts', async () => {
    const ring = createLocalKeyRing([localKey('k1', 1)])
    const sealed = await Promise.all(
      Array.from({ length: 50 }, () => ring.seal(new Secret(plaintext), place)),
    )

    expect(new Set(sealed).size).toBe(50)
  })

  test('P23: a sealed text holds neither the plaintext, nor the place, nor the key', async () => {
    const key = localKey('k1', 1)
    const sealed = await createLocalKeyRing([key]).seal(new Secret(plaintext), place)

    for (const part of [sealed, ...sealed.split('.').map((text) => atob(base64(text)))]) {
      expect(part).not.toContain(plaintext)
      expect(part).not.toContain(place)
      expect(part).not.toContain(key.key.reveal())
    }
  })

  test('P23: a ciphertext moved to another record, or to another field of it, does not open', async () => {
    const ring = createLocalKeyRing([localKey('k1', 1)])
    const sealed = await ring.seal(new Secret(plaintext), place)

    for (const elsewhere of ['tokens/abd#secret', 'tokens/abc#other', 'credentials/abc#secret', `${place} `])
      expect(await refusal(ring.open(sealed, elsewhere))).toMatch(/^key "k1" does not open /)
  })

  test('a text changed in any of its characters does not open', async () => {
    const ring = createLocalKeyRing([localKey('k1', 1)])
    const sealed = await ring.seal(new Secret('short'), place)

    for (let at = 0; at < sealed.length; at += 1) {
      if (sealed[at] === '.') continue
      // Half of the alphabet away, so that the bits that count change also in a part's last character.
      const changed = sealed.slice(0, at) + farFrom(sealed.charAt(at)) + sealed.slice(at + 1)
      expect(await refusal(ring.open(changed, place))).toContain(place)
    }
  })

  test('another key of the same name does not open, and the reason says so', async () => {
    const sealed = await createLocalKeyRing([localKey('k1', 1)]).seal(new Secret(plaintext), place)

    const reason = await refusal(createLocalKeyRing([localKey('k1', 2)]).open(sealed, place))

    expect(reason).toBe(
      `key "k1" does not open ${place}: it was changed, or moved there, or another key of that name sealed it`,
    )
  })

  test('a key that is not in the ring is told from a text that does not open', async () => {
    const sealed = await createLocalKeyRing([localKey('gone', 1)]).seal(new Secret(plaintext), place)

    const reason = await refusal(createLocalKeyRing([localKey('k1', 1)]).open(sealed, place))

    expect(reason).toBe(`there is no key "gone" in the ring to open ${place} with`)
  })

  test.each([
    '',
    plaintext,
    '....',
    'a.b.c.d.e',
    `${btoa('{"alg":"dir","enc":"A256GCM"}')}..AAAA.AAAA.AAAA`,
    `${btoa('{"alg":"dir","enc":"A256GCM","kid":"k\\u0001"}')}..AAAA.AAAA.AAAA`,
    `${btoa('{"alg":"dir","enc":"A256GCM","kid":"k1"}')}.AAAA.AAAA.AAAA.AAAA`,
    `${btoa('{"alg":"dir","enc":"A256GCM","kid":"k1"}')}..AAAA.AAAA.AAAA.AAAA`,
  ])('what is no sealed text is refused without repeating it: %#', async (text) => {
    const reason = await refusal(createLocalKeyRing([localKey('k1', 1)]).open(text, place))

    expect(reason).toBe(`what lies at ${place} is no sealed text`)
  })

  test.each(['{"alg":"A256GCMKW","enc":"A256GCM","kid":"k1"}', '{"alg":"dir","enc":"A128GCM","kid":"k1"}'])(
    'a header that names another algorithm opens nothing: %s',
    async (header) => {
      const ring = createLocalKeyRing([localKey('k1', 1)])
      const [, ...rest] = (await ring.seal(new Secret(plaintext), place)).split('.')

      expect(await refusal(ring.open([btoa(header), ...rest].join('.'), place))).toMatch(/does not open/)
    },
  )

  test('it answers a ping', async () => {
    await expect(createLocalKeyRing([localKey('k1', 1)]).ping()).resolves.toBeUndefined()
  })

  test('an empty ring, a key of another size and an empty place are bugs', async () => {
    expect(() => createLocalKeyRing([])).toThrow(TypeError)
    expect(() => createLocalKeyRing([{ kid: 'k1', key: new Secret('c2hvcnQ=') }])).toThrow(TypeError)
    await expect(createLocalKeyRing([localKey('k1', 1)]).seal(new Secret('x'), '')).rejects.toThrow(TypeError)
  })
})

function localKey(kid: string, fill: number) {
  return { kid, key: new Secret(btoa(String.fromCharCode(...new Uint8Array(32).fill(fill)))) }
}

/** The reason of the refusal, which must show neither the plaintext nor a key. */
async function refusal(opening: Promise<Secret>): Promise<string> {
  const error: unknown = await opening.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof BrokerError)) throw new Error('it opened, or failed unplanned', { cause: error })
  expect(error.code).toBe('key_ring_unavailable')
  expect(error.message).not.toContain(plaintext)
  expect(error.message).not.toContain(localKey('k1', 1).key.reveal())
  return error.reason
}

function headerOf(sealed: string): unknown {
  return JSON.parse(atob(base64(sealed.split('.')[0] ?? '')))
}

function base64(text: string): string {
  return text.replaceAll('-', '+').replaceAll('_', '/')
}

function farFrom(char: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return alphabet.charAt((alphabet.indexOf(char) + 32) % 64)
}
