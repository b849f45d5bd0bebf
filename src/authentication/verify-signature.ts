import { BrokerError } from '../domain/broker-error.ts'
import type { TrustedIssuer } from '../domain/policy.ts'
import { quote } from '../domain/text.ts'
import { type SigningAlgorithm, signingAlgorithms } from '../domain/jwk.ts'
import { type CompactJws, type JoseHeader, isAccessTokenTyp, parseCompactJws } from './compact-jws.ts'
import {
  type IssuerKeySource,
  isNoKeys,
  type NoKeys,
  createIssuerKeys,
  type RemoteKeysDeps,
} from './issuer-keys.ts'
import type { KeySet, VerificationKey } from './jwks.ts'
import { base64url, type CryptoKey } from 'jose'
import { createRecentlyUsed } from '../domain/recently-used.ts'
import type { Sha256 } from '../ports/entropy.ts'
import type { Claims } from '../domain/caller.ts'
import { seconds } from '../domain/time.ts'

export interface SignatureDeps {
  readonly keys: IssuerKeySource
  readonly verified: VerifiedAssertions
}

export interface SignedAssertion {
  readonly token: string
  readonly jws: CompactJws
  readonly issuer: TrustedIssuer
  /** What is remembered of this very token. */
  readonly known: VerifiedAssertion | undefined
}

/**
 * `undefined` when a key of this issuer, and of no other, signed the token under an algorithm that policy and key
 * allow; else the fault. An unknown key name makes the issuer be asked again, within P22's bound (P2, P4). Throws
 * `issuer_unavailable` where the keys were never read or may not be read again yet.
 */
export function createVerifySignature(
  deps: SignatureDeps,
): (signed: SignedAssertion) => Promise<string | undefined> {
  const { keys, verified } = deps

  return async (signed) => {
    const { token, jws, issuer, known } = signed
    const algorithm = allowedAlgorithm(jws.header, issuer.algorithms)
    if (algorithm === undefined) return 'the algorithm is not one of the issuer'
    const set = await keys.current(issuer)
    if (isNoKeys(set)) throw unreadable(issuer, set, 'its keys are unavailable')
    if (known !== undefined && known.issuer === issuer && known.keys === set) return undefined

    const wanted = { header: jws.header, algorithm, issuer }
    const choice = chooseKey(set, jws.header, algorithm)
    const found = choice.ok || !choice.mayBeNew ? { set, choice } : await lookForNewer(set, choice, wanted)
    if (!found.choice.ok) return found.choice.fault
    const key = await found.choice.key.importedFor(algorithm)
    if (key === undefined) return 'the key is not on its curve'
    if (!(await isSignedBy({ token, key, algorithm }))) return 'the signature does not verify'
    if (issuer.replay === 'allowed') await verified.remember(token, { jws, issuer, keys: found.set })
    return undefined
  }

  /** The issuer may have published such a key since we last looked. */
  async function lookForNewer(
    set: KeySet,
    choice: KeyChoice & { ok: false },
    wanted: WantedKey,
  ): Promise<{ readonly set: KeySet; readonly choice: KeyChoice }> {
    const { header, algorithm, issuer } = wanted
    const newer = await keys.refreshed(issuer)
    if (isNoKeys(newer))
      throw unreadable(issuer, newer, `${choice.fault}, and its keys may not be read again yet`)
    return newer === set ? { set, choice } : { set: newer, choice: chooseKey(newer, header, algorithm) }
  }
}

/** Nobody can tell a forged token from a good one: both are told to come back, and neither gets anything (P22, T9). */
function unreadable({ name }: TrustedIssuer, { retryAfter }: NoKeys, why: string): BrokerError {
  return new BrokerError('issuer_unavailable', {
    reason: `assertion of issuer ${quote(name)}: ${why}`,
    retryAfter,
  })
}

interface WantedKey {
  readonly header: JoseHeader
  readonly algorithm: SigningAlgorithm
  readonly issuer: TrustedIssuer
}

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
function chooseKey(set: KeySet, header: JoseHeader, algorithm: SigningAlgorithm): KeyChoice {
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
function allowedAlgorithm(
  { alg }: JoseHeader,
  allowed: readonly SigningAlgorithm[],
): SigningAlgorithm | undefined {
  // RFC 9864 §2.2: `Ed25519` is the fully specified name of what EdDSA means with the one curve we accept.
  const name = alg === 'Ed25519' ? 'EdDSA' : alg
  return allowed.find((algorithm) => algorithm === name)
}

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

/** An assertion whose signature verified, and under what. */
export interface VerifiedAssertion {
  readonly jws: CompactJws
  readonly issuer: TrustedIssuer
  readonly keys: KeySet
}

/**
 * Remembers that a signature verified, and nothing else: everything but the signature is judged anew at every use,
 * and an entry counts only for the same issuer object and the same key set. Found by the exact token alone (P14).
 */
export interface VerifiedAssertions {
  find(token: string): Promise<VerifiedAssertion | undefined>
  remember(token: string, assertion: VerifiedAssertion): Promise<void>
}

/** About: a token's parsed claims take some four times its length, and the entry around them half a kilobyte. */
const bytesMax = 16 * 1024 * 1024
/** Each entry counts for at least this much, so that 10,000 fill it. */
const entryBytesMin = Math.ceil(bytesMax / 10_000)

export function createVerifiedAssertions(sha256: Sha256): VerifiedAssertions {
  const entries = createRecentlyUsed<Entry>({ sizeMax: bytesMax, sizeOf: ({ bytes }) => bytes })

  return {
    find: async (token) => {
      // Where every issuer is `replay: once` the digest would be for nothing.
      if (entries.isEmpty()) return undefined
      return entries.get(await sha256(token))?.assertion
    },
    remember: async (token, assertion) => {
      const bytes = Math.max(entryBytesMin, 4 * token.length + 512)
      entries.set(await sha256(token), { assertion, bytes })
    },
  }
}

interface Entry {
  readonly assertion: VerifiedAssertion
  readonly bytes: number
}

interface IssuedToken {
  readonly claims: Claims
  /** Its header says that it is an access token (RFC 9068). */
  readonly isMarked: boolean
}

type VerifyIssued = (
  token: string,
  from: { readonly issuer: string; readonly keysUrl: string },
) => Promise<IssuedToken | undefined>

/**
 * The claims of a JWT that a key published at that address signed; `undefined` for any other text. Judges the signature
 * and nothing of the claims. Throws `issuer_unavailable` while the keys cannot be read.
 */
export function createVerifyIssued(deps: RemoteKeysDeps): VerifyIssued {
  const verifySignature = createVerifySignature({
    keys: createIssuerKeys(deps),
    verified: { find: () => Promise.resolve(undefined), remember: () => Promise.resolve() },
  })

  return async (token, { issuer, keysUrl }) => {
    const parsed = parseCompactJws(token)
    if (!parsed.ok) return undefined
    const jws = parsed.value
    const signed = { token, jws, issuer: signerAt(issuer, keysUrl), known: undefined }
    if ((await verifySignature(signed)) !== undefined) return undefined
    return { claims: jws.claims, isMarked: isAccessTokenTyp(jws.header.typ) }
  }
}

function signerAt(issuer: string, keysUrl: string): TrustedIssuer {
  return {
    name: issuer,
    issuer,
    selfIssued: false,
    keys: { from: 'jwks_uri', url: keysUrl },
    audiences: [],
    algorithms: signingAlgorithms,
    lifetimeMax: seconds(0),
    // Nothing is remembered of the signature: each token is judged once.
    replay: 'once',
  }
}
