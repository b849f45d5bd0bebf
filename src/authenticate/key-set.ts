import { importJWK, type CryptoKey, type JWK } from 'jose'

import type { AtHand } from '../domain/at-hand.ts'
import type { SigningAlgorithm } from '../domain/signing-algorithm.ts'
import { algorithmsFitting, type PublicJwk } from '../domain/public-jwk.ts'

/** The keys of one issuer as they were at one time. Another object means that the keys may be others. */
export interface KeySet {
  readonly keys: readonly VerificationKey[]
}

export interface VerificationKey {
  readonly kid: string | undefined
  /** What it may verify, by its type, curve and own `alg`; a header adds nothing to it (P2). */
  readonly algorithms: readonly SigningAlgorithm[]
  /** The key as the platform verifies with it, imported once per algorithm; `undefined` when it is not on its curve. */
  importedFor(algorithm: SigningAlgorithm): AtHand<CryptoKey | undefined>
}

/** A set of these keys. Keys that share a `kid` are all left out: nobody can say which was meant. */
export function createKeySet(jwks: readonly PublicJwk[]): KeySet {
  const ambiguous = repeatedKids(jwks)
  return {
    keys: jwks.filter(({ kid }) => kid === undefined || !ambiguous.has(kid)).map(createVerificationKey),
  }
}

export function repeatedKids(jwks: readonly PublicJwk[]): ReadonlySet<string> {
  const seen = new Set<string>()
  const repeated = new Set<string>()
  for (const { kid } of jwks) {
    if (kid === undefined) continue
    if (seen.has(kid)) repeated.add(kid)
    seen.add(kid)
  }
  return repeated
}

function createVerificationKey(jwk: PublicJwk): VerificationKey {
  // Values and not promises: on Workers a request must not wait for one that another request made.
  const imported = new Map<SigningAlgorithm, CryptoKey>()
  const { kid, alg: _alg, ...material } = jwk
  const importOnce = async (algorithm: SigningAlgorithm): Promise<CryptoKey | undefined> => {
    const key = await importPublic(material, algorithm)
    if (key !== undefined) imported.set(algorithm, key)
    return key
  }
  return {
    kid,
    algorithms: algorithmsFitting(jwk),
    importedFor: (algorithm) => imported.get(algorithm) ?? importOnce(algorithm),
  }
}

async function importPublic(material: JWK, algorithm: SigningAlgorithm): Promise<CryptoKey | undefined> {
  try {
    const key = await importJWK(material, algorithm)
    // jose gives octets for symmetric keys, and none of those is registered (P2).
    return key instanceof Uint8Array ? undefined : key
  } catch {
    return undefined
  }
}
