import { exportJWK, generateKeyPair, type JWK } from 'jose'
import { beforeAll, describe, expect, it } from 'vitest'
import { algorithmsFitting, parsePublicJwk } from '../../src/domain/jwk.ts'

describe('a registered public key', () => {
  const keys = new Map<string, JWK>()
  beforeAll(async () => {
    for (const alg of ['ES256', 'ES384', 'ES512', 'EdDSA', 'RS256']) {
      const { publicKey } = await generateKeyPair(alg, { extractable: true })
      keys.set(alg, await exportJWK(publicKey))
    }
  })
  const jwk = (alg: string, changes: Readonly<Record<string, unknown>> = {}) => ({
    ...keys.get(alg),
    ...changes,
  })
  const octets = (length: number, first = 0xff) =>
    btoa(String.fromCharCode(first, ...Array.from({ length: length - 1 }, () => 0xff)))
      .replaceAll('+', '-')
      .replaceAll('/', '_')
      .replaceAll('=', '')

  it.each([
    ['ES256', ['ES256']],
    ['ES384', ['ES384']],
    ['ES512', ['ES512']],
    ['EdDSA', ['EdDSA']],
    ['RS256', ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']],
  ])('P2: of a %s signer verifies what its type and curve allow', (alg, expected) => {
    const judged = parsePublicJwk(jwk(alg, { kid: 'k1', use: 'sig', key_ops: ['verify'] }))
    expect(judged).toMatchObject({ ok: true, value: { kid: 'k1' } })
    if (judged.ok) expect(algorithmsFitting(judged.value)).toEqual(expected)
  })

  it('P2: with an algorithm of its own verifies that one only', () => {
    for (const [alg, own, expected] of [
      ['RS256', 'PS384', 'PS384'],
      ['ES256', 'ES256', 'ES256'],
      ['EdDSA', 'EdDSA', 'EdDSA'],
      ['EdDSA', 'Ed25519', 'EdDSA'],
    ] as const) {
      const judged = parsePublicJwk(jwk(alg, { alg: own }))
      expect(judged.ok && algorithmsFitting(judged.value)).toEqual([expected])
    }
  })

  it.each([
    ['RS256', 'ES256'],
    ['RS256', 'RS1'],
    ['RS256', 'RSA-OAEP'],
    ['RS256', 'HS256'],
    ['ES256', 'ES384'],
    ['ES256', 'none'],
    ['EdDSA', 'Ed448'],
    ['EdDSA', ''],
  ])('P2: of a %s signer with "alg" %j is refused', (alg, own) => {
    expect(parsePublicJwk(jwk(alg, { alg: own })).ok).toBe(false)
    expect(parsePublicJwk(jwk(alg)).ok).toBe(true)
  })

  it.each(['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'])(
    'P2: with the private member "%s" is refused',
    (member) => {
      expect(parsePublicJwk(jwk('RS256', { [member]: 'AAAA' }))).toMatchObject({ ok: false })
    },
  )

  it('P2: for anything but verifying signatures is refused', () => {
    for (const changes of [
      { use: 'enc' },
      { use: 1 },
      { key_ops: ['sign'] },
      { key_ops: 'verify' },
      { key_ops: [] },
    ])
      expect(parsePublicJwk(jwk('ES256', changes)).ok).toBe(false)
  })

  it('P2: of RSA has 2048 to 8192 bits and an odd exponent from 3', () => {
    for (const n of [octets(256), octets(1024), octets(257, 0)])
      expect(parsePublicJwk(jwk('RS256', { n })).ok).toBe(true)
    for (const n of [octets(128), octets(256, 0x7f), octets(1025), '', 'AAAA', '=', undefined, 1])
      expect(parsePublicJwk(jwk('RS256', { n })).ok).toBe(false)
    for (const e of ['Aw', 'AQAB']) expect(parsePublicJwk(jwk('RS256', { e })).ok).toBe(true)
    for (const e of ['AQ', 'Ag', 'AAAA', 'AQAA', '____________', '', undefined])
      expect(parsePublicJwk(jwk('RS256', { e })).ok).toBe(false)
  })

  it('P2: of a curve has the right curve and coordinates of its size', () => {
    const { x } = jwk('ES256')
    for (const changes of [
      { crv: 'P-384' },
      { crv: 'secp256k1' },
      { y: undefined },
      { x: `${x}AA` },
      { x: 'AAAA' },
      { x: '*' },
    ])
      expect(parsePublicJwk(jwk('ES256', changes)).ok).toBe(false)
    for (const changes of [{ crv: 'X25519' }, { crv: 'Ed448' }, { x: 'AAAA' }])
      expect(parsePublicJwk(jwk('EdDSA', changes)).ok).toBe(false)
  })

  it('P2: is an object of a known type with names that are strings', () => {
    for (const value of [
      null,
      [],
      'x',
      1,
      {},
      { kty: 'oct', k: 'AAAA' },
      { kty: 'rsa' },
      jwk('ES256', { kid: 1 }),
      jwk('ES256', { kid: '' }),
    ])
      expect(parsePublicJwk(value).ok).toBe(false)
  })

  it('keeps nothing that verifying does not need', () => {
    const judged = parsePublicJwk(
      jwk('ES256', { kid: 'k1', x5c: ['AAAA'], x5u: 'https://evil.example', ext: true }),
    )
    expect(judged.ok && Object.keys(judged.value).toSorted()).toEqual(['crv', 'kid', 'kty', 'x', 'y'])
  })
})
