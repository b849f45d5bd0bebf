import { fault, type Reading, type Result } from '../../domain/result.ts'
import { CompactSign, compactVerify, importJWK, SignJWT, type CryptoKey, type JWK } from 'jose'
import { Secret } from '../../domain/secret.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Entropy } from '../../ports/entropy.ts'
import { epochSeconds, type EpochSeconds } from '../../domain/time.ts'
import { identityError } from './own-identity.ts'
import { isMembers, parseJsonObject, type Members } from '../../domain/json.ts'
import { parsePublicJwk, type PublishedJwk } from '../../domain/jwk.ts'

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
 * The key with the latest `nbf` that is not in the future, and of equals the first. If every `nbf` is in the future, the
 * earliest signs: a clock that is behind must not leave the broker without an identity.
 */
function signingKeyAt(keys: BrokerKeys, now: EpochSeconds): BrokerKey {
  const timeOf = ({ signsFrom = epochSeconds(0) }: BrokerKey): EpochSeconds => signsFrom
  const [latest] = keys
    .filter((key) => timeOf(key) <= now)
    .toSorted((one, other) => timeOf(other) - timeOf(one))
  const [soonest = keys[0]] = keys.toSorted((one, other) => timeOf(one) - timeOf(other))
  return latest ?? soonest
}

/** The private key, once its signature has verified with the published key: Google would only say "invalid_grant". */
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

/** A key that the broker itself signs with. */
export interface BrokerKey {
  readonly published: PublishedJwk
  /** A JWK in JSON with the members of its type and no others. */
  readonly privateJwk: Secret
  /** Its `nbf`: until then it is published and does not sign; without one it may always sign. */
  readonly signsFrom?: EpochSeconds
}

/** All are published; `signingKeyAt` chooses the one that signs. */
export type BrokerKeys = readonly [BrokerKey, ...BrokerKey[]]

/** One signs, one comes next, one was before: more is a mistake, and makes the published key set long. */
const keysMax = 5
/** In 2286; more is milliseconds. */
const nbfMax = 10_000_000_000
/** RFC 7518 §6.2.2 and §6.3.2; WebCrypto wants all of them. */
const privateMembers = { EC: ['d'], RSA: ['d', 'p', 'q', 'dp', 'dq', 'qi'] } as const

/**
 * Reads a JWK set of private keys: P-256 (ES256) or RSA (RS256), which is what Google's STS verifies (docs/google.md
 * §2.1), each with a `kid` of its own, and with `nbf` (as OpenID Federation 1.0 has it for a JWK) where it signs later.
 * A fault names a key by its position, and never repeats the text.
 */
export function parseSigningKeys(text: string): Reading<BrokerKeys> {
  const entries = parseJsonObject(text)?.['keys']
  if (!Array.isArray(entries)) return { ok: false, faults: ['is no JWK set: {"keys":[…]} in JSON'] }
  if (entries.length > keysMax) return { ok: false, faults: [`has more than ${keysMax} keys`] }
  const readings = entries.map((entry: unknown) => parseKey(entry))
  const keys = readings.flatMap((reading) => (reading.ok ? [reading.value] : []))
  const faults = readings.flatMap((reading, index) =>
    reading.ok ? [] : [`key ${index + 1}: ${reading.fault}`],
  )
  if (new Set(keys.map(({ published }) => published.kid)).size < keys.length)
    faults.push('has two keys of one "kid"')
  const [first, ...others] = keys
  if (faults.length > 0) return { ok: false, faults }
  return first === undefined ? { ok: false, faults: ['has no key'] } : { ok: true, value: [first, ...others] }
}

function parseKey(members: unknown): Result<BrokerKey> {
  if (!isMembers(members)) return fault('must be a JSON object')
  const { kid, key_ops: operations, nbf } = members
  if (typeof kid !== 'string' || !/^[\w.~-]{1,100}$/.test(kid))
    return fault('"kid" is required: at most 100 letters, digits and -._~')
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('sign')))
    return fault('"key_ops" must include "sign"')
  if (nbf !== undefined && !(typeof nbf === 'number' && Number.isInteger(nbf) && nbf >= 0 && nbf < nbfMax))
    return fault('"nbf" must be a whole number of seconds since 1970')
  switch (members['kty']) {
    case 'EC':
      return withPrivate(members, privateMembers.EC, publishEc(members, kid))
    case 'RSA':
      return withPrivate(members, privateMembers.RSA, publishRsa(members, kid))
    default:
      return fault('"kty" must be EC or RSA')
  }
}

function publishEc({ crv, x, y, use, alg }: Members, kid: string): Result<PublishedJwk> {
  const judged = parsePublicJwk({ kty: 'EC', crv, x, y, use })
  if (!judged.ok) return judged
  if (judged.value.kty !== 'EC' || judged.value.crv !== 'P-256') return fault('"crv" must be P-256')
  if (alg !== undefined && alg !== 'ES256') return fault('"alg" must be ES256')
  return { ok: true, value: { ...judged.value, kid, alg: 'ES256' } }
}

function publishRsa({ n, e, use, alg }: Members, kid: string): Result<PublishedJwk> {
  const judged = parsePublicJwk({ kty: 'RSA', n, e, use })
  if (!judged.ok) return judged
  if (judged.value.kty !== 'RSA') return fault('"kty" must be RSA')
  if (alg !== undefined && alg !== 'RS256') return fault('"alg" must be RS256')
  return { ok: true, value: { ...judged.value, kid, alg: 'RS256' } }
}

function withPrivate(
  members: Members,
  names: readonly string[],
  published: Result<PublishedJwk>,
): Result<BrokerKey> {
  if (!published.ok) return published
  if ('oth' in members) return fault('an RSA key must have two primes')
  const missing = names.find((name) => !isBase64url(members[name]))
  if (missing !== undefined) return fault(`the private member "${missing}" must be base64url`)
  const own = Object.fromEntries(names.map((name) => [name, members[name]]))
  const { nbf } = members
  const privateJwk = new Secret(JSON.stringify({ ...published.value, ...own, nbf }))
  const signsFrom = typeof nbf === 'number' ? { signsFrom: epochSeconds(nbf) } : {}
  return { ok: true, value: { published: published.value, privateJwk, ...signsFrom } }
}

function isBase64url(value: unknown): boolean {
  return typeof value === 'string' && /^[\w-]+$/.test(value)
}
