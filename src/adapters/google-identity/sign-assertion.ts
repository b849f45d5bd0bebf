import { CompactSign, compactVerify, importJWK, SignJWT, type CryptoKey, type JWK } from 'jose'

import { Secret } from '../../domain/secret.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Entropy } from '../../ports/entropy.ts'
import { epochSeconds, type EpochSeconds } from '../../domain/time.ts'
import { identityError } from './identity-error.ts'
import type { BrokerKey, BrokerKeys } from './parse-signing-keys.ts'

export interface SignAssertionDeps {
  readonly keys: BrokerKeys
  /** The broker's own: where its keys are published. */
  readonly issuer: string
  /** The pool provider's full resource name: `//iam.googleapis.com/projects/…`. */
  readonly provider: string
  readonly clock: Clock
  readonly entropy: Pick<Entropy, 'uuid'>
}

/** Who the broker says it is; Google knows it as `principal://…/workloadIdentityPools/POOL/subject/downscope`. */
const subject = 'downscope'
/** Google's clock may be behind ours. */
const issuedBefore = 10
const lifetime = 300

/**
 * An assertion of who the broker is, for one pool provider and for five minutes, by the key that signs now; each key is
 * imported once. Throws `store_unavailable` when that key cannot be used.
 */
export function createSignAssertion(deps: SignAssertionDeps): () => Promise<Secret> {
  const { keys, issuer, provider, clock, entropy } = deps
  const imported = new Map<string, CryptoKey>()

  return async () => {
    const now = clock.now()
    const key = signingKeyAt(keys, now)
    const { alg, kid } = key.published
    // Two requests may import at once: on Workers one must not await the other's promise.
    const privateKey = imported.get(kid) ?? (await importPair(key))
    imported.set(kid, privateKey)
    const iat = now - issuedBefore
    const claims = {
      iss: issuer,
      sub: subject,
      // What a provider accepts that names no audiences of its own: its resource name, with or without `https:`.
      aud: `https:${provider}`,
      iat,
      exp: iat + lifetime,
      jti: entropy.uuid(),
    }
    return new Secret(await new SignJWT(claims).setProtectedHeader({ alg, kid, typ: 'JWT' }).sign(privateKey))
  }
}

/**
 * Of the keys whose time has come the latest, of equals the first. While none may sign yet the one that may soonest
 * does: a clock that is behind must not leave the broker without an identity.
 */
function signingKeyAt(keys: BrokerKeys, now: EpochSeconds): BrokerKey {
  const timeOf = ({ signsFrom = epochSeconds(0) }: BrokerKey): EpochSeconds => signsFrom
  const [latest] = keys
    .filter((key) => timeOf(key) <= now)
    .toSorted((one, other) => timeOf(other) - timeOf(one))
  const [soonest = keys[0]] = keys.toSorted((one, other) => timeOf(one) - timeOf(other))
  return latest ?? soonest
}

/** The private key, after its signature verified by what is published of it: Google would only say "invalid_grant". */
async function importPair({ published, privateJwk }: BrokerKey): Promise<CryptoKey> {
  const { alg, kid } = published
  try {
    const members: unknown = JSON.parse(privateJwk.reveal())
    const privateKey = await importKey({ ...published, ...(typeof members === 'object' ? members : {}) }, alg)
    const probe = new CompactSign(new TextEncoder().encode(subject)).setProtectedHeader({ alg })
    await compactVerify(await probe.sign(privateKey), await importKey(published, alg))
    return privateKey
  } catch {
    // The cause may quote the text.
    throw identityError(
      `the signing key ${kid} cannot be used, or its private and public members are not of one key`,
    )
  }
}

async function importKey(jwk: JWK, alg: string): Promise<CryptoKey> {
  const key = await importJWK(jwk, alg)
  if (key instanceof Uint8Array) throw new TypeError('a symmetric key')
  return key
}
