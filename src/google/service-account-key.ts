import { importPKCS8, SignJWT, type CryptoKey } from 'jose'
import { assertionAudience, assertionLife } from '../domain/google.ts'
import { parseJsonObject, type Members } from '../domain/json.ts'
import { parsePrivateKeyPem } from '../domain/pem.ts'
import { fault, type Result } from '../domain/result.ts'
import { Secret } from '../domain/secret.ts'
import { later, seconds, type EpochSeconds } from '../domain/time.ts'
import { textFault } from '../domain/text.ts'

/** What a service account signs with. */
export interface ServiceAccountKey {
  readonly clientEmail: string
  readonly keyId: string
  /** PKCS#8 in PEM. */
  readonly privateKey: Secret
}

/** What is wrong with a member of a key file, without a word of its value. */
export interface KeyFileFault {
  readonly member: 'client_email' | 'private_key_id' | 'private_key'
  readonly why: string
}

const emailPattern = /^[^@\s]{1,64}@[^@\s]+\.[^@\s]+$/

/** Reads Google's key file of a service account; `token_uri` and other addresses in it are data (P29). */
export function parseKeyFile(
  file: Members,
):
  | { readonly ok: true; readonly key: ServiceAccountKey }
  | { readonly ok: false; readonly faults: readonly KeyFileFault[] } {
  const { client_email: clientEmail, private_key_id: keyId, private_key: privateKey } = file
  const pem =
    typeof privateKey === 'string' && privateKey.trim() !== '' ? parsePrivateKeyPem(privateKey) : undefined
  const faults: readonly KeyFileFault[] = [
    memberFault('client_email', textFault(clientEmail) ?? emailFault(String(clientEmail))),
    memberFault('private_key_id', textFault(keyId)),
    memberFault('private_key', pem === undefined ? textFault(privateKey) : faultOf(pem)),
  ].flat()
  if (faults.length > 0 || !pem?.ok) return { ok: false, faults }
  const key = { clientEmail: String(clientEmail), keyId: String(keyId), privateKey: new Secret(pem.value) }
  return { ok: true, key }
}

function memberFault(member: KeyFileFault['member'], why: string | undefined): readonly KeyFileFault[] {
  return why === undefined ? [] : [{ member, why }]
}

function faultOf(pem: Result<string>): string | undefined {
  return pem.ok ? undefined : pem.fault
}

function emailFault(text: string): string | undefined {
  return emailPattern.test(text) ? undefined : 'is not an e-mail address'
}

/** Reads the key file of the broker's own service account. A fault never repeats the text. */
export function parseOwnKey(text: string): Result<ServiceAccountKey> {
  const file = parseJsonObject(text)
  if (file === undefined) return fault('is no JSON object: it must be the whole key file')
  if (file['type'] !== 'service_account') return fault('is no key file of a service account ("type")')
  const parsed = parseKeyFile(file)
  if (parsed.ok) return { ok: true, value: parsed.key }
  return fault(parsed.faults.map(({ member, why }) => `"${member}" ${why}`).join('; '))
}

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
  return new Secret(await signClaims({ clientEmail, keyId, key }, payload))
}

/** A JWT of exactly these claims. */
export function signClaims({ keyId, key }: AssertionKey, claims: Members): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: keyId }).sign(key)
}

/** The signature of a text's octets (RSASSA-PKCS1-v1_5, SHA-256), in Base64. */
export async function signText({ key }: AssertionKey, text: string): Promise<string> {
  const signature = await crypto.subtle.sign(key.algorithm.name, key, new TextEncoder().encode(text))
  return btoa(String.fromCharCode(...new Uint8Array(signature)))
}

/** The private key of a service account from PKCS#8 in PEM; throws `fault`, because jose's error may quote the text. */
export async function importAssertionKey(pkcs8Pem: Secret, fault: () => Error): Promise<CryptoKey> {
  try {
    return await importPKCS8(pkcs8Pem.reveal(), 'RS256')
  } catch {
    throw fault()
  }
}
