import type { CryptoKey } from 'jose'

export const dataKeyBytes = 32

/** A key that seals and opens, and that nobody gets out of the platform again. */
export function importDataKey(octets: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  return crypto.subtle.importKey('raw', octets, 'AES-GCM', false, ['encrypt', 'decrypt'])
}
