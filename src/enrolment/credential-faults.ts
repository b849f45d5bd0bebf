import { type Fault, fault } from '../domain/result.ts'
import { type CredentialSecret, credentialName, type CredentialSummary } from '../domain/credential.ts'
import { BrokerError } from '../domain/broker-error.ts'
import { base64url, compactVerify, CompactSign, exportJWK, importJWK, type CryptoKey, type JWK } from 'jose'
import type { Members } from '../domain/json.ts'
import { algorithmsFitting, parsePublicJwk, type PublicJwk, type SigningAlgorithm } from '../domain/jwk.ts'
import type { Secret } from '../domain/secret.ts'
import { importPrivateKey } from '../oauth/token-endpoint.ts'

/** What would go wrong with a secret once it is used, as far as that can be told without asking an upstream. */
export async function faultsInUse(secret: CredentialSecret): Promise<readonly string[]> {
  switch (secret.kind) {
    case 'service_account_key':
      return keyFaults(await proveRsaKey(secret.privateKey))
    case 'refresh_token':
    case 'oauth_client':
    case 'client_credentials': {
      // Of the rest only the upstream could say, and asking it may rotate the token.
      const { client } = secret
      return client.proof === 'key' ? keyFaults(await proveKey(client.privateKey, client.algorithm)) : []
    }
    case 'impersonation':
    case 'broker_identity':
    case 'api_key':
      return []
  }
}

function keyFaults(proof: KeyProof): readonly string[] {
  return proof.ok ? [] : [`secret.private_key: ${proof.fault}`]
}

/** What was found under a name; throws `not_found` for nothing. */
export function foundCredential(name: string, summary: CredentialSummary | undefined): CredentialSummary {
  if (summary === undefined) throw noSuchCredential(name)
  return summary
}

/** Shows no text that could not be a name. */
export function noSuchCredential(name: string): BrokerError {
  const shown = credentialName.test(name) ? name : 'of that name'
  return new BrokerError('not_found', { reason: `there is no credential ${shown}` })
}

export type KeyProof = { readonly ok: true } | Fault

/**
 * Proves that a PKCS#8 key is a private RSA key of at least 2048 bits whose signature its own public half verifies.
 * A fault says what is wrong and nothing of the key.
 */
async function proveRsaKey(pkcs8Pem: Secret): Promise<KeyProof> {
  const proof = await proveKey(pkcs8Pem, 'RS256')
  if (!proof.ok && proof.fault === notImported) return fault(describeUnusable(pkcs8Pem))
  return proof
}

/**
 * Likewise of any key that a client may sign with, in PKCS#8 or as a JWK: that it fits the algorithm, is strong enough
 * and signs what its own public half verifies.
 */
async function proveKey(privateKey: Secret, algorithm: SigningAlgorithm): Promise<KeyProof> {
  const key = await importPrivateKey(privateKey, algorithm, { extractable: true })
  if (key === undefined) return fault(notImported)
  const jwk = await exportJWK(key)
  const { kty, crv, n, e, x, y } = jwk
  const publicHalf = parsePublicJwk(withoutAbsent({ kty, crv, n, e, x, y }))
  if (!publicHalf.ok) return fault(`is not usable: ${publicHalf.fault}`)
  if (!algorithmsFitting(publicHalf.value).includes(algorithm)) return fault(`does not fit ${algorithm}`)
  if (kty === 'RSA' && !isWhole(jwk)) return fault('is damaged: its numbers do not belong together')
  return (await signsFor(key, publicHalf.value, algorithm))
    ? { ok: true }
    : fault('does not sign what its own public half verifies')
}

const notImported = 'is no private key that fits its algorithm'

function withoutAbsent(members: Members): Members {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}

async function signsFor(key: CryptoKey, publicHalf: PublicJwk, alg: SigningAlgorithm): Promise<boolean> {
  try {
    const proof = new TextEncoder().encode('enrolment')
    const signed = await new CompactSign(proof).setProtectedHeader({ alg }).sign(key)
    await compactVerify(signed, await importJWK({ ...publicHalf }, alg), { algorithms: [alg] })
    return true
  } catch {
    return false
  }
}

/**
 * RFC 8017 §3.2: n = pq, and the exponents and the coefficient belong to p and q. Some platforms sign with a damaged
 * key all the same, by the numbers that are still right; others would fail with it later.
 */
function isWhole({ n, d, p, q, dp, dq, qi }: JWK): boolean {
  const prime = { p: numberOf(p), q: numberOf(q) }
  if (prime.p < 3n || prime.q < 3n || prime.p * prime.q !== numberOf(n)) return false
  return (
    numberOf(d) % (prime.p - 1n) === numberOf(dp) &&
    numberOf(d) % (prime.q - 1n) === numberOf(dq) &&
    (numberOf(qi) * prime.q) % prime.p === 1n
  )
}

function numberOf(text = ''): bigint {
  const hex = Array.from(base64url.decode(text), (octet) => octet.toString(16).padStart(2, '0')).join('')
  return BigInt(`0x${hex || '0'}`)
}

/** DER of the OID 1.2.840.10045.2.1 (id-ecPublicKey), which stands near the beginning of an EC key. */
const ecKeyOid = '\u0006\u0007\u002a\u0086\u0048\u00ce\u003d\u0002\u0001'

function describeUnusable(pem: Secret): string {
  const body = pem.reveal().replace(/-----[^-]+-----|\s+/g, '')
  const isEc = atob(body).slice(0, 64).includes(ecKeyOid)
  return isEc
    ? 'is an EC key: a service account signs with RSA'
    : 'is not an RSA private key that can be imported'
}
