import { describe, expect, test } from 'vitest'
import { createKeyRing } from '../../../src/adapters/key-ring/key-ring.ts'
import { createLocalRingKeys } from '../../../src/adapters/key-ring/local-keys.ts'
import { Secret } from '../../../src/domain/secret.ts'
import type { KeyRing } from '../../../src/ports/key-ring.ts'
import { base64, describeKeyRing, refusalOf } from '../key-ring-contract.ts'

const place = 'tokens/abc#secret'
const plaintext = new Secret('ya29.a-token-nobody-may-see')

describeKeyRing('local keys', () => ({
  ring: open(localKey('k1', 1)),
  keyId: 'k1',
  stranger: open(localKey('gone', 2)),
  secrets: [localKey('k1', 1).key.reveal()],
}))

describe('local keys', () => {
  test('the first key seals and all open, so that a key can be put in front of another', async () => {
    const old = open(localKey('old', 1))
    const both = open(localKey('new', 2), localKey('old', 1))
    const sealedBefore = await old.seal(plaintext, place)

    const sealedAfter = await both.seal(plaintext, place)

    expect(headerOf(sealedAfter)).toEqual({ alg: 'dir', enc: 'A256GCM', kid: 'new' })
    expect((await both.open(sealedBefore, place)).reveal()).toBe(plaintext.reveal())
    expect((await both.open(sealedAfter, place)).reveal()).toBe(plaintext.reveal())
  })

  test('another key of the same name does not open, and the reason says so', async () => {
    const sealed = await open(localKey('k1', 1)).seal(plaintext, place)

    const reason = await refusalOf(open(localKey('k1', 2)).open(sealed, place))

    expect(reason).toBe(
      `key "k1" does not open ${place}: it was changed, or moved there, or another key of that name sealed it`,
    )
  })

  test('no key at all, and a key of another size, are bugs', () => {
    expect(() => open()).toThrow(TypeError)
    expect(() => open({ kid: 'k1', key: new Secret('c2hvcnQ=') })).toThrow(TypeError)
  })
})

function open(...keys: readonly { readonly kid: string; readonly key: Secret }[]): KeyRing {
  return createKeyRing([createLocalRingKeys(keys)])
}

function localKey(kid: string, fill: number) {
  return { kid, key: new Secret(btoa(String.fromCharCode(...new Uint8Array(32).fill(fill)))) }
}

function headerOf(sealed: string): unknown {
  return JSON.parse(atob(base64(sealed.split('.')[0] ?? '')))
}
