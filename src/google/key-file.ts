import type { Members } from '../domain/json.ts'
import { parsePrivateKeyPem, type PemJudgement } from '../domain/pem.ts'
import { Secret } from '../domain/secret.ts'
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
    fault('client_email', textFault(clientEmail) ?? emailFault(String(clientEmail))),
    fault('private_key_id', textFault(keyId)),
    fault('private_key', pem === undefined ? textFault(privateKey) : faultOf(pem)),
  ].flat()
  if (faults.length > 0 || !pem?.ok) return { ok: false, faults }
  const key = { clientEmail: String(clientEmail), keyId: String(keyId), privateKey: new Secret(pem.pkcs8Pem) }
  return { ok: true, key }
}

function fault(member: KeyFileFault['member'], why: string | undefined): readonly KeyFileFault[] {
  return why === undefined ? [] : [{ member, why }]
}

function faultOf(pem: PemJudgement): string | undefined {
  return pem.ok ? undefined : pem.fault
}

function emailFault(text: string): string | undefined {
  return emailPattern.test(text) ? undefined : 'is not an e-mail address'
}
