import { exportPKCS8, exportSPKI, generateKeyPair } from 'jose'

import { Secret } from '../../domain/secret.ts'
import { later, seconds } from '../../domain/time.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Entropy } from '../../ports/entropy.ts'
import { base64Of, octetsOf } from '../pem.ts'
import { createSelfSignedCertificate } from './self-signed-certificate.ts'

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
