import { importPKCS8, SignJWT, type CryptoKey } from 'jose'
import { assertionAudience, assertionLife } from '../domain/google.ts'
import { Secret } from '../domain/secret.ts'
import { later, seconds, type EpochSeconds } from '../domain/time.ts'

/** Google's clock may be behind ours (docs/google.md §1.2). */
const issuedBefore = seconds(-10)

/** An imported service account key: everything that an assertion needs. */
export interface AssertionKey {
  readonly clientEmail: string
  readonly keyId: string
  readonly key: CryptoKey
}

/**
 * An assertion of a service account for Google's token endpoint (RFC 7523, docs/google.md §1.2), good for an hour.
 * `claims`: `scope`, or `target_audience` for an ID token, and `sub` for a user whom the account acts for.
 */
export async function signAssertion(
  { clientEmail, keyId, key }: AssertionKey,
  claims: Readonly<Record<string, string>>,
  now: EpochSeconds,
): Promise<Secret> {
  const iat = later(now, issuedBefore)
  const payload = { iss: clientEmail, aud: assertionAudience, iat, exp: later(iat, assertionLife), ...claims }
  const header = { alg: 'RS256', typ: 'JWT', kid: keyId }
  return new Secret(await new SignJWT(payload).setProtectedHeader(header).sign(key))
}

/** The private key of a service account from PKCS#8 in PEM; throws `fault`, because jose's error may quote the text. */
export async function importAssertionKey(pkcs8Pem: Secret, fault: () => Error): Promise<CryptoKey> {
  try {
    return await importPKCS8(pkcs8Pem.reveal(), 'RS256')
  } catch {
    throw fault()
  }
}
