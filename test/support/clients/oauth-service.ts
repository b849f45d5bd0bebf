import { exportJWK, generateKeyPair, type CryptoKey } from 'jose'
import { type SigningAlgorithm, parsePublicJwk } from '../../../src/domain/jwk.ts'
import type { SelfIssuer } from './client-world.ts'

/** A service that proves itself with a key of its own by private_key_jwt (RFC 7523). */
export interface OAuthService extends SelfIssuer {
  readonly key: CryptoKey
}

/** Its private key cannot leave WebCrypto. */
export async function createOAuthService(
  name: string,
  alg: SigningAlgorithm,
  audiences?: SelfIssuer['audiences'],
): Promise<OAuthService> {
  const { publicKey, privateKey } = await generateKeyPair(alg, alg === 'EdDSA' ? { crv: 'Ed25519' } : {})
  const judged = parsePublicJwk({ ...(await exportJWK(publicKey)), kid: `${name}-1` })
  if (!judged.ok) throw new Error(judged.fault)
  return { name, jwk: judged.value, key: privateKey, ...(audiences === undefined ? {} : { audiences }) }
}
