import { describe, expect, test } from 'vitest'
import { BrokerError } from '../../src/domain/broker-error.ts'
import { Secret } from '../../src/domain/secret.ts'
import type { KeyRing } from '../../src/ports/key-ring.ts'

const place = 'tokens/abc#secret'
const plaintext = 'ya29.a-token-nobody-may-see'

export interface RingScene {
  readonly ring: KeyRing
  /** The id of the key that seals. */
  readonly keyId: string
  /** A ring of the same kind that has none of its keys. */
  readonly stranger: KeyRing
  /** What must be in no sealed text and in no reason. */
  readonly secrets: readonly string[]
}

/** What `src/ports/key-ring.ts` promises; every kind of key ring runs it. */
export function describeKeyRing(name: string, open: () => RingScene): void {
  describe(`the key ring: ${name}`, () => {
    describeSealing(open)
    describeRefusals(open)
  })
}

function describeSealing(open: () => RingScene): void {
  test.each(['', 'a', plaintext, 'ключ 🔑 \u0000\n', 'x'.repeat(100_000)])(
    'what it seals it opens at the same place: %#',
    async (text) => {
      const { ring } = open()

      const opened = await ring.open(await ring.seal(new Secret(text), place), place)

      expect(opened.reveal()).toBe(text)
    },
  )

  test('one text sealed twice makes two texts', async () => {
    const { ring } = open()
    const sealed = await Promise.all(
      Array.from({ length: 50 }, () => ring.seal(new Secret(plaintext), place)),
    )

    expect(new Set(sealed).size).toBe(50)
  })

  test('P23: a sealed text holds neither the plaintext, nor the place, nor a key', async () => {
    const { ring, secrets } = open()
    const sealed = await ring.seal(new Secret(plaintext), place)

    expect(sealed.split('.')).toHaveLength(5)
    for (const part of [sealed, ...sealed.split('.').map((text) => atob(base64(text)))])
      for (const secret of [plaintext, place, ...secrets]) expect(part).not.toContain(secret)
  })

  test('a sealed text says which key sealed it, and it is the one that seals', async () => {
    const { ring, keyId } = open()

    expect(ring.keyIdOf(await ring.seal(new Secret(plaintext), place), place)).toBe(keyId)
    expect(await ring.renew()).toBe(keyId)
  })

  test('it answers a ping', async () => {
    await expect(open().ring.ping()).resolves.toBeUndefined()
  })

  test('an empty place is a bug', async () => {
    await expect(open().ring.seal(new Secret('x'), '')).rejects.toThrow(TypeError)
  })
}

function describeRefusals(open: () => RingScene): void {
  test('P23: a ciphertext moved to another record, or to another field of it, does not open', async () => {
    const { ring, keyId } = open()
    const sealed = await ring.seal(new Secret(plaintext), place)

    for (const elsewhere of ['tokens/abd#secret', 'tokens/abc#other', 'credentials/abc#secret', `${place} `])
      expect(await refusalOf(ring.open(sealed, elsewhere))).toBe(
        `key "${keyId}" does not open ${elsewhere}: it was changed, or moved there, or another key of that name sealed it`,
      )
  })

  test('a text changed in any of its characters does not open', async () => {
    const { ring, secrets } = open()
    const sealed = await ring.seal(new Secret('short'), place)

    for (let at = 0; at < sealed.length; at += 1) {
      if (sealed[at] === '.') continue
      // Half of the alphabet away, so that the bits that count change also in a part's last character.
      const changed = sealed.slice(0, at) + farFrom(sealed.charAt(at)) + sealed.slice(at + 1)
      const reason = await refusalOf(ring.open(changed, place))
      for (const secret of secrets) expect(reason).not.toContain(secret)
    }
  })

  test('a key that is not in the ring is told from a text that does not open', async () => {
    const { ring, stranger } = open()
    const sealed = await stranger.seal(new Secret(plaintext), place)

    const reason = await refusalOf(ring.open(sealed, place))

    expect(reason).toBe(
      `there is no key "${stranger.keyIdOf(sealed, place)}" in the ring to open ${place} with`,
    )
  })

  test.each([
    '',
    plaintext,
    '....',
    'a.b.c.d.e',
    `${btoa('{"alg":"dir","enc":"A256GCM"}')}..AAAA.AAAA.AAAA`,
    `${btoa('{"alg":"dir","enc":"A256GCM","kid":"k\\u0001"}')}..AAAA.AAAA.AAAA`,
    `${btoa('{"alg":"dir","enc":"A256GCM","kid":"k1","dek":7}')}..AAAA.AAAA.AAAA`,
    `${btoa('{"alg":"dir","enc":"A256GCM","kid":"k1"}')}.AAAA.AAAA.AAAA.AAAA`,
    `${btoa('{"alg":"dir","enc":"A256GCM","kid":"k1"}')}..AAAA.AAAA.AAAA.AAAA`,
  ])('what is no sealed text is refused without repeating it: %#', async (text) => {
    const { ring } = open()

    expect(await refusalOf(ring.open(text, place))).toBe(`what lies at ${place} is no sealed text`)
    expect(() => ring.keyIdOf(text, place)).toThrow(`what lies at ${place} is no sealed text`)
  })

  test.each([{ alg: 'A256GCMKW' }, { enc: 'A128GCM' }, { zip: 'DEF' }])(
    'a header that names another algorithm opens nothing: %j',
    async (change) => {
      const { ring } = open()
      const [header = '', ...rest] = (await ring.seal(new Secret(plaintext), place)).split('.')
      const members: unknown = JSON.parse(atob(base64(header)))
      const changed = btoa(JSON.stringify({ ...Object(members), ...change })).replaceAll('=', '')

      expect(await refusalOf(ring.open([changed, ...rest].join('.'), place))).toMatch(/does not open/)
    },
  )
}

/** The reason of the refusal, which must not show the plaintext. */
export async function refusalOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof BrokerError)) throw new Error('it opened, or failed unplanned', { cause: error })
  expect(error.code).toBe('key_ring_unavailable')
  expect(error.message).not.toContain(plaintext)
  return error.reason
}

export function base64(text: string): string {
  return text.replaceAll('-', '+').replaceAll('_', '/')
}

function farFrom(char: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return alphabet.charAt((alphabet.indexOf(char) + 32) % 64)
}
