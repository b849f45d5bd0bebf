import { base64url, type CryptoKey } from 'jose'

import type { SigningAlgorithm } from '../domain/signing-algorithm.ts'

export interface SignedOctets {
  /** A compact JWS that parseCompactJws has accepted. */
  readonly token: string
  /** Imported by jose for `algorithm`: a key of another type, curve or hash does not get here. */
  readonly key: CryptoKey
  readonly algorithm: SigningAlgorithm
}

/**
 * Whether the key signed the token under that algorithm; never rejects. Source: RFC 7515 §5.2, RFC 7518 §3, RFC 8037.
 *
 * jose imports the keys, and the platform verifies what we have taken apart more strictly than jose would: its
 * compactVerify decodes and parses the token once more, which costs 5 % of a request. A test holds both to one verdict.
 */
export async function isSignedBy({ token, key, algorithm }: SignedOctets): Promise<boolean> {
  const end = token.lastIndexOf('.')
  const signature = base64url.decode(token.slice(end + 1))
  const input = encoder.encode(token.slice(0, end))
  try {
    return await crypto.subtle.verify(parametersOf[algorithm], key, signature, input)
  } catch {
    // A point off its curve, a signature of the wrong length: no proof is no proof.
    return false
  }
}

const encoder = new TextEncoder()

interface Parameters {
  readonly name: string
  readonly hash?: string
  readonly saltLength?: number
}

// RFC 7518 §3.3 to §3.5; the salt of PSS is as long as its hash. RFC 8037 §3.1 for EdDSA.
const parametersOf = {
  RS256: { name: 'RSASSA-PKCS1-v1_5' },
  RS384: { name: 'RSASSA-PKCS1-v1_5' },
  RS512: { name: 'RSASSA-PKCS1-v1_5' },
  PS256: { name: 'RSA-PSS', saltLength: 32 },
  PS384: { name: 'RSA-PSS', saltLength: 48 },
  PS512: { name: 'RSA-PSS', saltLength: 64 },
  ES256: { name: 'ECDSA', hash: 'SHA-256' },
  ES384: { name: 'ECDSA', hash: 'SHA-384' },
  ES512: { name: 'ECDSA', hash: 'SHA-512' },
  EdDSA: { name: 'Ed25519' },
} as const satisfies Record<SigningAlgorithm, Parameters>
