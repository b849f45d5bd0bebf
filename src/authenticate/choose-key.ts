import type { SigningAlgorithm } from '../domain/signing-algorithm.ts'
import type { JoseHeader } from './compact-jws.ts'
import type { KeySet, VerificationKey } from './key-set.ts'

export type KeyChoice =
  | { readonly ok: true; readonly key: VerificationKey }
  | {
      readonly ok: false
      readonly fault: string
      /** The issuer may have published such a key since we last looked. */
      readonly mayBeNew: boolean
    }

/**
 * The one key of the set that may have signed under this header, if there is exactly one: by `kid` when the header
 * has one, else the only key that fits the algorithm. Source: RFC 7515 §6, RFC 8725 §3.1 (P2).
 */
export function chooseKey(set: KeySet, header: JoseHeader, algorithm: SigningAlgorithm): KeyChoice {
  const { kid } = header
  const named = kid === undefined ? set.keys : set.keys.filter((key) => key.kid === kid)
  if (named.length === 0) return { ok: false, fault: 'no key of that name', mayBeNew: true }
  const [key, ...more] = named.filter(({ algorithms }) => algorithms.includes(algorithm))
  if (key === undefined)
    return { ok: false, fault: `the key is not for ${algorithm}`, mayBeNew: kid === undefined }
  if (more.length > 0) return { ok: false, fault: 'no "kid", and several keys fit', mayBeNew: false }
  return { ok: true, key }
}

/** The issuer's own word for the header's `alg`, if it is one that the issuer may use. */
export function allowedAlgorithm(
  { alg }: JoseHeader,
  allowed: readonly SigningAlgorithm[],
): SigningAlgorithm | undefined {
  // RFC 9864 §2.2: `Ed25519` is the fully specified name of what EdDSA means with the one curve we accept.
  const name = alg === 'Ed25519' ? 'EdDSA' : alg
  return allowed.find((algorithm) => algorithm === name)
}
