import { parseJsonObject } from '../../domain/json-object.ts'
import { Secret } from '../../domain/secret.ts'

/** The broker's own key towards Google. */
export interface OwnKey {
  readonly clientEmail: string
  readonly keyId: string
  /** PKCS#8 in PEM. */
  readonly privateKey: Secret
}

export type OwnKeyReading =
  | { readonly ok: true; readonly key: OwnKey }
  | { readonly ok: false; readonly fault: string }

const pkcs8Pem = /^\s*-----BEGIN PRIVATE KEY-----[\sA-Za-z0-9+/=]+-----END PRIVATE KEY-----\s*$/

/** Reads Google's key file. A fault never repeats the text. The file's `token_uri` is data, and never followed (P29). */
export function parseOwnKey(text: string): OwnKeyReading {
  const file = parseJsonObject(text)
  if (file === undefined) return fault('is no JSON object: it must be the whole key file')
  const { type, client_email: clientEmail, private_key_id: keyId, private_key: privateKey } = file
  if (type !== 'service_account') return fault('is no key file of a service account ("type")')
  if (typeof clientEmail !== 'string' || !/^[^\s@]{1,200}@[^\s@]{1,200}$/.test(clientEmail))
    return fault('has no usable "client_email"')
  if (typeof keyId !== 'string' || !/^[\w-]{1,100}$/.test(keyId))
    return fault('has no usable "private_key_id"')
  if (typeof privateKey !== 'string' || !pkcs8Pem.test(privateKey))
    return fault('has no "private_key" in PKCS#8 (BEGIN PRIVATE KEY, with its line breaks as \\n)')
  return { ok: true, key: { clientEmail, keyId, privateKey: new Secret(privateKey) } }
}

function fault(text: string): { readonly ok: false; readonly fault: string } {
  return { ok: false, fault: text }
}
