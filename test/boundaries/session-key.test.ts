import { expect, test } from 'vitest'
import { base64Of } from '../../src/domain/pem.ts'
import { bytesField, join, numberField, type Octets } from '../../src/boundaries/protobuf.ts'
import { readSessionKey } from '../../src/boundaries/seal-boundary.ts'

interface KeyParts {
  readonly id?: number
  readonly status?: number
  readonly prefix?: number
  readonly type?: string
  readonly octets?: number
  readonly version?: number
  readonly material?: number
}

function keyOf(parts: KeyParts = {}): Octets {
  const { id = 7, status = 1, prefix = 1, octets = 16, version = 0, material = 1 } = parts
  const { type = 'type.googleapis.com/google.crypto.tink.AesGcmKey' } = parts
  const value = join([numberField(1, version), bytesField(3, new Uint8Array(octets).fill(9))])
  const data = join([bytesField(1, type), bytesField(2, value), numberField(3, material)])
  return join([bytesField(1, data), numberField(2, status), numberField(3, id), numberField(4, prefix)])
}

function keyset(keys: readonly Octets[], primary = 7): string {
  return base64Of(join([numberField(1, primary), ...keys.map((key) => bytesField(2, key))]))
}

const fieldsOf = (text: string) => {
  const read = readSessionKey(text)
  return read.ok ? { prefix: [...read.value.prefix], octets: read.value.key.length } : read.fault
}

test.each<[string, KeyParts, readonly number[]]>([
  ['TINK', { prefix: 1, id: 0x01020304 }, [1, 1, 2, 3, 4]],
  ['LEGACY', { prefix: 2, id: 0xfffffffe }, [0, 255, 255, 255, 254]],
  ['RAW', { prefix: 3 }, []],
  ['CRUNCHY', { prefix: 4 }, [0, 0, 0, 0, 7]],
])('a ciphertext of a %s key begins as Tink has it', (_, parts, prefix) => {
  expect(fieldsOf(keyset([keyOf(parts)], parts.id))).toEqual({ prefix, octets: 16 })
})

test('the enabled primary key seals, whatever stands beside it disabled', () => {
  const other = keyOf({ id: 8, status: 2, type: 'type.googleapis.com/google.crypto.tink.HmacKey' })

  expect(fieldsOf(keyset([other, keyOf({ octets: 32 })]))).toEqual({ prefix: [1, 0, 0, 0, 7], octets: 32 })
})

test.each([true, false])('padding is optional: %s', (isPadded) => {
  const text = keyset([keyOf()])

  expect(fieldsOf(isPadded ? text : text.replaceAll('=', ''))).toMatchObject({ octets: 16 })
})

test.each<[string, string]>([
  ['', 'not Base64'],
  ['a', 'not Base64'],
  [`${keyset([keyOf()])}=`, 'not Base64'],
  [keyset([keyOf()]).replace(/.{8}$/, '\n$&'), 'not Base64'],
  [
    keyset([keyOf({ id: 0xfffffffe })], 0xfffffffe)
      .replaceAll('/', '_')
      .replaceAll('+', '-'),
    'not Base64',
  ],
  ['A'.repeat(70_000), 'too long'],
  [keyset([keyOf()]).slice(0, 40), 'no keyset'],
  [keyset([]), 'primary key is missing'],
  [keyset([keyOf()], 8), 'primary key is missing'],
  [keyset([keyOf({ status: 2 })]), 'not enabled'],
  [keyset([keyOf(), keyOf()]), 'two primary keys'],
  [keyset(Array.from({ length: 33 }, (_, id) => keyOf({ id }))), 'too many keys'],
  [keyset([keyOf({ type: 'type.googleapis.com/google.crypto.tink.AesGcmSivKey' })]), 'another type'],
  [
    keyset([keyOf(), keyOf({ id: 8, type: 'type.googleapis.com/google.crypto.tink.HmacKey' })]),
    'another type',
  ],
  [keyset([keyOf({ version: 1 })]), 'another version'],
  [keyset([keyOf({ octets: 24 })]), 'neither of 128 nor of 256 bits'],
  [keyset([keyOf({ octets: 0 })]), 'neither of 128 nor of 256 bits'],
  [keyset([keyOf({ prefix: 0 })]), 'unknown prefix'],
  [keyset([keyOf({ material: 3 })]), 'cannot be read'],
])('a keyset that cannot be used is refused without a word of what is in it', (text, fault) => {
  expect(fieldsOf(text)).toContain(fault)
})
