import { type KeyObject, X509Certificate } from 'node:crypto'
import { failWith } from './google-errors.ts'

export type UploadedCertificate = {
  readonly pem: string
  readonly publicKey: KeyObject
  readonly validAfter: number
  readonly validBefore: number
}

/** SEQUENCE, SEQUENCE, [0] EXPLICIT INTEGER 2: how the DER of every v3 certificate begins. */
const v3 = /^30(?:82.{4}|81.{2}|[0-7].)30(?:82.{4}|81.{2}|[0-7].)a003020102/

/**
 * The RSA key in base64 of a PEM X.509 v3 certificate with its BEGIN and END lines, or
 * INVALID_ARGUMENT: not a certificate, not v3, not RSA of 2048 bits, expired, or self-signed with
 * a signature that does not verify.
 */
export function parseCertificate(publicKeyData: string, now: number): UploadedCertificate {
  const pem = Buffer.from(publicKeyData, 'base64').toString('utf8')
  const certificate = readCertificate(pem)
  const { publicKey } = certificate
  const bits = publicKey.asymmetricKeyDetails?.modulusLength ?? 0
  const isRsa2048 = publicKey.asymmetricKeyType === 'rsa' && bits >= 2048
  const isSelfSigned = certificate.subject === certificate.issuer
  const validBefore = Math.floor(certificate.validToDate.getTime() / 1000)
  if (!isRsa2048) return invalid('the key is not RSA of at least 2048 bits')
  if (!v3.test(certificate.raw.subarray(0, 16).toString('hex'))) return invalid('not X.509 v3')
  if (isSelfSigned && !certificate.verify(publicKey)) return invalid('the signature does not verify')
  if (validBefore <= now) return invalid('expired')
  const validAfter = Math.floor(certificate.validFromDate.getTime() / 1000)
  return { pem, publicKey, validAfter, validBefore }
}

function readCertificate(pem: string): X509Certificate {
  if (!/^-----BEGIN CERTIFICATE-----\r?\n/.test(pem)) return invalid('no BEGIN CERTIFICATE line')
  try {
    return new X509Certificate(pem)
  } catch {
    return invalid('unreadable')
  }
}

// Google's wording is not on record.
function invalid(reason: string): never {
  return failWith('INVALID_ARGUMENT', `Invalid public key certificate: ${reason}`)
}
