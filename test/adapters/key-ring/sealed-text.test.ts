import { base64url, flattenedDecrypt, FlattenedEncrypt, type CryptoKey } from 'jose'
import { describe, expect, test } from 'vitest'
import { importDataKey, openText, parseSealed, sealText } from '../../../src/adapters/key-ring/key-ring.ts'
import { Secret } from '../../../src/domain/secret.ts'
import { refusalOf } from '../key-ring-contract.ts'

const place = 'credentials/reports-sa#1 ключ'
const texts = ['', 'a', 'ключ \u{1F511} \u0000\n', 'x'.repeat(100_000)]
const octetsOf = (text: string) => new TextEncoder().encode(text)

describe('a sealed text is a JWE', () => {
  test.each(texts)('that jose opens: %#', async (text) => {
    const key = await importDataKey(new Uint8Array(32).fill(7))
    const [header = '', empty, iv = '', ciphertext = '', tag = ''] = (
      await sealText({ kid: 'k1', wrapped: 'd3JhcHBlZA==', key }, new Secret(text), place)
    ).split('.')

    const { plaintext, protectedHeader } = await flattenedDecrypt(
      { protected: header, iv, ciphertext, tag, aad: base64url.encode(octetsOf(place)) },
      key,
    )

    expect(new TextDecoder().decode(plaintext)).toBe(text)
    expect(protectedHeader).toEqual({ alg: 'dir', enc: 'A256GCM', kid: 'k1', dek: 'd3JhcHBlZA==' })
    expect(empty).toBe('')
  })

  test.each(texts)('and what jose sealed opens here: %#', async (text) => {
    const key = await importDataKey(new Uint8Array(32).fill(7))
    const sealed = await sealByJose(key, text, { alg: 'dir', enc: 'A256GCM', kid: 'k1' })

    expect((await openText(parseSealed(sealed, place), key, place)).reveal()).toBe(text)
  })

  test('with anything critical in its header, or compressed, it opens nothing', async () => {
    const key = await importDataKey(new Uint8Array(32).fill(7))
    const header = { alg: 'dir', enc: 'A256GCM', kid: 'k1' }
    const critical = await sealByJose(key, 'a', { ...header, crit: ['exp'], exp: 1 }, { exp: true })

    expect(await refusalOf(openText(parseSealed(critical, place), key, place))).toContain('does not open')
  })

  test.each([
    ['a shorter tag', 4, 12],
    ['a shorter nonce', 2, 8],
  ])('with %s it opens nothing', async (_, part, length) => {
    const key = await importDataKey(new Uint8Array(32).fill(7))
    const parts = (await sealText({ kid: 'k1', key }, new Secret('a'), place)).split('.')
    const cut = base64url.encode(base64url.decode(parts[part] ?? '').subarray(0, length))
    const text = parseSealed(parts.with(part, cut).join('.'), place)

    expect(await refusalOf(openText(text, key, place))).toContain('does not open')
  })
})

async function sealByJose(
  key: CryptoKey,
  text: string,
  header: { readonly alg: string; readonly enc: string; readonly [name: string]: unknown },
  crit: Readonly<Record<string, boolean>> = {},
): Promise<string> {
  const jwe = await new FlattenedEncrypt(octetsOf(text))
    .setProtectedHeader(header)
    .setAdditionalAuthenticatedData(octetsOf(place))
    .encrypt(key, { crit })
  return [jwe.protected, '', jwe.iv, jwe.ciphertext, jwe.tag].join('.')
}
