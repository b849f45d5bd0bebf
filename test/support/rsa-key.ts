import { exportPKCS8, generateKeyPair } from 'jose'

/** A new RSA key in PKCS#8, as Google's files have it, and in PKCS#1, as older tools write it. */
export async function createRsaKeyPem(
  bits = 2048,
): Promise<{ readonly pkcs8: string; readonly pkcs1: string }> {
  const pkcs8 = await exportPkcs8(bits)
  const der = octetsOf(pkcs8)
  // The OCTET STRING after version and AlgorithmIdentifier: 4 + 3 + 15 + 4 octets for keys of this size.
  const pkcs1 = pemOf('RSA PRIVATE KEY', der.slice(26))
  return { pkcs8, pkcs1 }
}

export async function createEcKeyPem(): Promise<string> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  return exportPKCS8(privateKey)
}

async function exportPkcs8(modulusLength: number): Promise<string> {
  // jose makes no key below 2048 bits.
  const algorithm = {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength,
    publicExponent: Uint8Array.of(1, 0, 1),
  }
  const { privateKey } = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  return pemOf('PRIVATE KEY', new Uint8Array(await crypto.subtle.exportKey('pkcs8', privateKey)))
}

export function octetsOf(pem: string): Uint8Array {
  return Uint8Array.from(atob(pem.replace(/-----[^-]+-----|\s+/g, '')), (char) => char.charCodeAt(0))
}

export function pemOf(label: string, der: Uint8Array): string {
  const text = btoa(Array.from(der, (octet) => String.fromCharCode(octet)).join(''))
  return `-----BEGIN ${label}-----\n${(text.match(/.{1,64}/g) ?? []).join('\n')}\n-----END ${label}-----\n`
}
