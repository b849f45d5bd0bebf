import * as fc from 'fast-check'
import { compactVerify, importJWK, type CryptoKey } from 'jose'
import { describe, expect, it } from 'vitest'
import { isSignedBy } from '../../src/authentication/verify-signature.ts'
import { signingAlgorithms, type SigningAlgorithm } from '../../src/domain/jwk.ts'
import { createSigner, type Signer } from '../support/signer.ts'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

async function publicKeyOf({ jwk, alg }: Signer): Promise<CryptoKey> {
  const key = await importJWK({ ...jwk }, alg)
  if (key instanceof Uint8Array) throw new TypeError('a public key was expected')
  return key
}

async function joseAccepts(token: string, key: CryptoKey, alg: SigningAlgorithm): Promise<boolean> {
  return compactVerify(token, key, { algorithms: [alg] }).then(
    () => true,
    () => false,
  )
}

describe('P1: signatures', () => {
  it.each(signingAlgorithms)('%s: what was signed verifies, here and by jose', async (alg) => {
    const signer = await createSigner(alg, 'key')
    const key = await publicKeyOf(signer)
    const token = await signer.sign({ iss: 'billing' })
    expect(await isSignedBy({ token, key, algorithm: alg })).toBe(true)
    expect(await joseAccepts(token, key, alg)).toBe(true)
  })

  it.each(signingAlgorithms)('%s: another key of the same kind verifies nothing', async (alg) => {
    const key = await publicKeyOf(await createSigner(alg, 'key'))
    const token = await (await createSigner(alg, 'key')).sign({ iss: 'billing' })
    expect(await isSignedBy({ token, key, algorithm: alg })).toBe(false)
  })

  it.each(['RS256', 'PS256', 'ES256', 'EdDSA'] as const)(
    '%s: whatever character of a token is changed, the verdict is that of jose',
    async (alg) => {
      const signer = await createSigner(alg, 'key')
      const key = await publicKeyOf(signer)
      const token = await signer.sign({ iss: 'billing', sub: 'billing' })
      const position = fc.integer({ min: token.indexOf('.') + 1, max: token.length - 1 })
      const letter = fc.integer({ min: 0, max: 63 }).map((value) => alphabet.charAt(value))
      await fc.assert(
        fc.asyncProperty(position, letter, async (at, other) => {
          fc.pre(token[at] !== '.' && token[at] !== other)
          const changed = token.slice(0, at) + other + token.slice(at + 1)
          const verdict = await isSignedBy({ token: changed, key, algorithm: alg })
          expect(verdict).toBe(await joseAccepts(changed, key, alg))
        }),
        { numRuns: 150 },
      )
    },
  )

  it.each([
    ['a shorter signature', (signature: string) => signature.slice(0, -4)],
    ['a longer signature', (signature: string) => `${signature}AAAA`],
    ['no signature', () => ''],
    ['a signature of zeros', (signature: string) => 'A'.repeat(signature.length)],
  ])('%s verifies nothing and throws nothing', async (_, change) => {
    const signer = await createSigner('ES256', 'key')
    const key = await publicKeyOf(signer)
    const token = await signer.sign({ iss: 'billing' })
    const end = token.lastIndexOf('.') + 1
    const changed = token.slice(0, end) + change(token.slice(end))
    expect(await isSignedBy({ token: changed, key, algorithm: 'ES256' })).toBe(false)
  })

  it('a key imported for one algorithm verifies nothing under another', async () => {
    const signer = await createSigner('RS256', 'key')
    const key = await publicKeyOf(signer)
    const token = await signer.sign({ iss: 'billing' })
    expect(await isSignedBy({ token, key, algorithm: 'PS256' })).toBe(false)
    expect(await isSignedBy({ token, key, algorithm: 'ES256' })).toBe(false)
  })
})
