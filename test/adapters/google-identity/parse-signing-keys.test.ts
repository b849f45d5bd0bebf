import { beforeAll, describe, expect, test } from 'vitest'
import { parseSigningKeys } from '../../../src/adapters/google-identity/signing-keys.ts'
import { createPrivateJwk, keySetText, privateTexts, readKeys } from '../../support/signing-key-set.ts'

type Refusal = readonly [what: string, text: () => string, fault: string]

let ec: Readonly<Record<string, unknown>>
let rsa: Readonly<Record<string, unknown>>
let p384: Readonly<Record<string, unknown>>

beforeAll(async () => {
  ec = await createPrivateJwk('ec-1')
  rsa = await createPrivateJwk('rsa-1', 'RS256')
  p384 = await createPrivateJwk('p384', 'ES384')
})

describe("the broker's signing keys", () => {
  test('P-256 and RSA keys are read in their order, each with its public half', () => {
    const [first, second] = readKeys(ec, rsa)

    expect(first.published).toStrictEqual({
      kty: 'EC',
      crv: 'P-256',
      x: ec['x'],
      y: ec['y'],
      kid: 'ec-1',
      alg: 'ES256',
    })
    expect(second?.published).toStrictEqual({
      kty: 'RSA',
      n: rsa['n'],
      e: 'AQAB',
      kid: 'rsa-1',
      alg: 'RS256',
    })
  })

  test('`alg`, `use` and `key_ops` may be absent, and `key_ops` may be what WebCrypto writes', () => {
    const { alg: _, use: __, ...bare } = ec

    expect(readKeys(bare)[0].published.alg).toBe('ES256')
    expect(readKeys({ ...bare, key_ops: ['sign'], ext: true })[0].published).not.toHaveProperty('key_ops')
  })

  test('P23: keys that are read print nothing private', () => {
    const keys = readKeys(ec, rsa)
    const printed = `${JSON.stringify(keys)} ${String(keys[0].privateJwk)}`

    for (const secret of privateTexts([ec, rsa])) expect(printed).not.toContain(secret)
    expect(keys[0].privateJwk.reveal()).toContain(ec['d'])
  })

  test.each([
    ['nothing', () => '', 'is no JWK set'],
    ['a single JWK', () => JSON.stringify(ec), 'is no JWK set'],
    ['a list', () => JSON.stringify([ec]), 'is no JWK set'],
    ['no key', () => '{"keys":[]}', 'has no key'],
    [
      'too many keys',
      () => keySetText(...Array.from({ length: 6 }, (_, n) => ({ ...ec, kid: `k${n}` }))),
      'more than 5',
    ],
    ['a key that is none', () => keySetText(ec, 'text'), 'key 2: must be a JSON object'],
    ['no kid', () => keySetText({ ...ec, kid: undefined }), 'key 1: "kid" is required'],
    ['a kid of other characters', () => keySetText({ ...ec, kid: 'a b' }), 'key 1: "kid" is required'],
    ['one kid twice', () => keySetText(ec, { ...rsa, kid: 'ec-1' }), 'two keys of one "kid"'],
    ['a public key', () => keySetText({ ...ec, d: undefined }), 'key 1: the private member "d"'],
    ['half an RSA key', () => keySetText(ec, { ...rsa, qi: undefined }), 'key 2: the private member "qi"'],
    ['an RSA key of three primes', () => keySetText({ ...rsa, oth: [] }), 'key 1: an RSA key must have two'],
    ['a private member that is no text', () => keySetText({ ...ec, d: 7 }), 'key 1: the private member "d"'],
    ['a time in words', () => keySetText({ ...ec, nbf: 'tomorrow' }), 'key 1: "nbf" must be'],
    ['a time in fractions', () => keySetText({ ...ec, nbf: 1.5 }), 'key 1: "nbf" must be'],
    ['a time before 1970', () => keySetText({ ...ec, nbf: -1 }), 'key 1: "nbf" must be'],
    ['a time in milliseconds', () => keySetText({ ...ec, nbf: 1_800_000_000_000 }), 'key 1: "nbf" must be'],
    ['another curve', () => keySetText(p384), 'key 1: "crv" must be P-256'],
    ['another algorithm', () => keySetText({ ...rsa, alg: 'PS256' }), 'key 1: "alg" must be RS256'],
    [
      'the algorithm of the other type',
      () => keySetText({ ...ec, alg: 'RS256' }),
      'key 1: "alg" must be ES256',
    ],
    ['a key for encryption', () => keySetText({ ...ec, use: 'enc' }), 'key 1: "use" must be "sig"'],
    ['a key for verifying only', () => keySetText({ ...ec, key_ops: ['verify'] }), 'key 1: "key_ops"'],
    [
      'a symmetric key',
      () => keySetText({ kty: 'oct', k: ec['d'], kid: 'k' }),
      'key 1: "kty" must be EC or RSA',
    ],
    ['a short RSA key', () => keySetText({ ...rsa, n: String(rsa['n']).slice(0, 171) }), 'must have 2048'],
    ['an odd point', () => keySetText({ ...ec, x: 'AAAA' }), 'key 1: "x" and "y" must be 32 octets'],
  ] satisfies readonly Refusal[])(
    'P23: %s is refused, and the fault repeats nothing of it',
    (_, text, fault) => {
      const reading = parseSigningKeys(text())

      expect(reading).toStrictEqual({ ok: false, faults: [expect.stringContaining(fault)] })
      for (const secret of privateTexts([ec, rsa])) expect(JSON.stringify(reading)).not.toContain(secret)
    },
  )

  test('every fault is told at once', () => {
    const reading = parseSigningKeys(keySetText({ ...ec, d: undefined }, rsa, p384))

    expect(reading).toMatchObject({ ok: false, faults: [/key 1/, /key 3/].map((each) => matching(each)) })
  })
})

const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern)
