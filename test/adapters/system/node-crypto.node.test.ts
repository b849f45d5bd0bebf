import { expect, test } from 'vitest'
import { importWebAesGcmKey } from '../../../src/adapters/system/clock-and-entropy.ts'
import { importNodeAesGcmKey, nodeSha256 } from '../../../src/adapters/system/node-crypto.ts'

test('SHA-256 in lower-case hex, of the UTF-8 octets', async () => {
  expect(nodeSha256('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  expect(nodeSha256('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  const octets = await crypto.subtle.digest('SHA-256', new TextEncoder().encode('ключ 🔑'))
  expect(nodeSha256('ключ 🔑')).toBe(Buffer.from(octets).toString('hex'))
})

test.each([16, 32])(
  'AES-GCM with a key of %i octets is what WebCrypto makes of it, tag and all',
  async (length) => {
    const random = (count: number) => crypto.getRandomValues(new Uint8Array(count))
    const [key, nonce] = [random(length), random(12)]
    const byWeb = await importWebAesGcmKey(key)
    for (const count of [0, 1, 250]) {
      const plaintext = random(count)
      const sealed = await importNodeAesGcmKey(key)(nonce, plaintext)
      expect(sealed).toHaveLength(count + 16)
      expect(Buffer.from(await byWeb(nonce, plaintext))).toEqual(sealed)
    }
  },
)
