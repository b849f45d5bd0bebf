import { describe, expect, test } from 'vitest'
import { decodeLocalKey, parseLocalKeys } from '../../../src/adapters/key-ring/local-keys.ts'

const one = key(32, 1)
const two = key(32, 251)

describe('DOWNSCOPE_KEYS', () => {
  test('keys come in the order in which they are written', () => {
    const reading = parseLocalKeys(`k2:${two}, k1:${one}\n`)

    expect(reading.ok && reading.value.map(({ kid, key }) => [kid, key.reveal()])).toEqual([
      ['k2', two],
      ['k1', one],
    ])
    expect(reading.ok && reading.value.map(({ key }) => decodeLocalKey(key)?.[0])).toEqual([251, 1])
  })

  test('every fault is found at once, by position and name', () => {
    const entries = [
      `k1:${one}`,
      `k1:${two}`,
      `short:${key(16, 1)}`,
      'odd:no*base64',
      'none:',
      '',
      `:${one}`,
      one,
    ]

    expect(faultsOf(entries.join(','))).toEqual([
      'key 2 (k1) has the name of an earlier key',
      'key 3 (short) has 16 bytes instead of 32',
      'key 4 (odd) is not base64 (RFC 4648 §4, with its padding)',
      'key 5 (none) has an empty key',
      'key 6 is empty',
      expect.stringMatching(/^key 7 has a name that is not /),
      'key 8 has no ":" between its name and its key',
    ])
  })

  test.each(['', ' \n'])('no key at all is a fault: %j', (text) => {
    expect(faultsOf(text)).toEqual(['there is no key'])
  })

  test.each([
    ['without padding', one.replace('=', '')],
    ['in the URL alphabet', two.replaceAll('+', '-').replaceAll('/', '_')],
    ['with bits left over', `${one.slice(0, -2)}F=`],
    ['with white space inside', `${one.slice(0, 8)} ${one.slice(8)}`],
  ])('base64 is strict: %s', (_, text) => {
    expect(text).not.toBe(one)
    expect(faultsOf(`k1:${text}`)).toEqual(['key 1 (k1) is not base64 (RFC 4648 §4, with its padding)'])
  })

  test.each([
    `${one}:k1`,
    `${one.replace('=', '')}:k1`,
    one,
    `k1:${key(31, 7)}`,
    `k1:${key(64, 7)}`,
    `k1:${one}:x`,
    `k 1:${one}`,
    `k1;${one}`,
  ])('P23: a fault never repeats a key: %#', (text) => {
    const faults = faultsOf(text).join('\n')

    expect(faults).not.toBe('')
    for (const part of text.split(/[:;=]/).filter((part) => part.length > 8))
      expect(faults).not.toContain(part)
  })
})

function key(bytes: number, fill: number): string {
  return btoa(String.fromCharCode(...new Uint8Array(bytes).fill(fill)))
}

function faultsOf(text: string): readonly string[] {
  const reading = parseLocalKeys(text)
  return reading.ok ? [] : reading.faults
}
