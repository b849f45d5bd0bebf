import { exportPKCS8, exportSPKI, generateKeyPair } from 'jose'
import { Secret } from '../domain/secret.ts'
import { later, seconds, formatTimestamp, type EpochSeconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import { base64Of, octetsOf, derElement, derSequence } from '../domain/pem.ts'

/** A key that nobody else has, with the certificate by which the upstream learns its public half. */
export interface NewKeyPair {
  /** PKCS#8 in PEM. */
  readonly privateKey: Secret
  /** Base64 of DER. */
  readonly certificate: string
}

export type CreateKeyPair = (commonName: string) => Promise<NewKeyPair>

/** Google's clock may be behind ours. */
const before = seconds(-3600)
/** Ten years: a key that nobody rotates should not end its service by itself. */
const validFor = seconds(3650 * 86_400)

/** Makes RSA keys of 2048 bits, the only ones Google makes itself; each takes some tenths of a second of CPU. */
export function createKeyPairs({
  clock,
  entropy,
}: {
  readonly clock: Pick<Clock, 'now'>
  readonly entropy: Pick<Entropy, 'uuid'>
}): CreateKeyPair {
  return async (commonName) => {
    const { privateKey, publicKey } = await generateKeyPair('RS256', {
      modulusLength: 2048,
      extractable: true,
    })
    const now = clock.now()
    const certificate = await createSelfSignedCertificate({
      publicKey: octetsOf(await exportSPKI(publicKey)) ?? new Uint8Array(),
      sign: async (octets) =>
        new Uint8Array(await crypto.subtle.sign('RSASSA-PKCS1-v1_5', privateKey, octets)),
      commonName,
      serialNumber: octetsOfHex(entropy.uuid().replaceAll('-', '')),
      notBefore: later(now, before),
      notAfter: later(now, validFor),
    })
    return { privateKey: new Secret(await exportPKCS8(privateKey)), certificate: base64Of(certificate) }
  }
}

function octetsOfHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

export interface CertificateToSign {
  /** SubjectPublicKeyInfo of an RSA key, in DER. */
  readonly publicKey: Uint8Array
  /** RSASSA-PKCS1-v1_5 with SHA-256, by the private half of that key. */
  readonly sign: (octets: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>
  readonly commonName: string
  /** At most 20 octets, at least one that is not zero. */
  readonly serialNumber: Uint8Array
  readonly notBefore: EpochSeconds
  /** Before 2050. */
  readonly notAfter: EpochSeconds
}

/**
 * A self-signed X.509 v3 certificate (RFC 5280 §4.1) in DER: a public key in the form in which Google takes one. It
 * vouches for nothing, so it has no extensions.
 */
export async function createSelfSignedCertificate(wanted: CertificateToSign): Promise<Uint8Array> {
  const name = distinguishedName(wanted.commonName)
  const toBeSigned = derElement(
    derSequence,
    version3,
    derElement(tag.integer, positive(wanted.serialNumber)),
    sha256WithRsa,
    name,
    derElement(derSequence, utcTime(wanted.notBefore), utcTime(wanted.notAfter)),
    name,
    wanted.publicKey,
  )
  const signature = derElement(tag.bitString, [0], await wanted.sign(toBeSigned))
  return derElement(derSequence, toBeSigned, sha256WithRsa, signature)
}

const tag = { integer: 0x02, bitString: 0x03, utf8String: 0x0c, utcTime: 0x17, set: 0x31 } as const

/** [0] EXPLICIT INTEGER 2. */
const version3 = [0xa0, 0x03, 0x02, 0x01, 0x02] as const
/** SEQUENCE { OID 1.2.840.113549.1.1.11, NULL }. */
const sha256WithRsa = [
  0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00,
] as const
/** OID 2.5.4.3. */
const commonNameOid = [0x06, 0x03, 0x55, 0x04, 0x03] as const

function distinguishedName(commonName: string): Uint8Array {
  const value = derElement(tag.utf8String, new TextEncoder().encode(commonName))
  return derElement(derSequence, derElement(tag.set, derElement(derSequence, commonNameOid, value)))
}

/** X.690 §8.3: no leading zeros but the one that keeps the number positive. */
function positive(octets: Uint8Array): Uint8Array {
  const significant = octets.slice(octets.findIndex((octet) => octet !== 0))
  return (significant[0] ?? 0) < 0x80 ? significant : Uint8Array.from([0, ...significant])
}

/** RFC 5280 §4.1.2.5.1: YYMMDDHHMMSSZ. */
function utcTime(instant: EpochSeconds): Uint8Array {
  const digits = formatTimestamp(instant).replaceAll(/\D/g, '').slice(2, 14)
  return derElement(tag.utcTime, new TextEncoder().encode(`${digits}Z`))
}
