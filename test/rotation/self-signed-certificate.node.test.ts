import { createPrivateKey, X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { createKeyPairs, createSelfSignedCertificate } from '../../src/rotation/key-pair.ts'
import { epochSeconds } from '../../src/domain/time.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { parseCertificate } from '../support/google/certificate.ts'
import { createSequence } from '../support/sequence.ts'

const clock = createFakeClock()

test('a new key pair has a certificate that Node reads, verifies and finds to be of that key', async () => {
  const { privateKey, certificate } = await createKeyPairs({ clock, entropy: createSequence() })('reports-sa')
  const read = new X509Certificate(Buffer.from(certificate, 'base64'))
  const key = createPrivateKey(privateKey.reveal())

  expect(read.checkPrivateKey(key)).toBe(true)
  expect(read.verify(read.publicKey)).toBe(true)
  expect(read.subject).toBe('CN=reports-sa')
  expect(read.issuer).toBe(read.subject)
  expect(read.publicKey.asymmetricKeyDetails?.modulusLength).toBe(2048)
  expect(read.validFromDate.getTime() / 1000).toBe(clock.now() - 3600)
  expect(read.validToDate.getTime() / 1000).toBe(clock.now() + 3650 * 86_400)
})

test('it is the v3 certificate that Google takes, in the form in which it is uploaded', async () => {
  const { certificate } = await createKeyPairs({ clock, entropy: createSequence() })('reports-sa')
  const pem = new X509Certificate(Buffer.from(certificate, 'base64')).toString()

  const uploaded = parseCertificate(Buffer.from(pem).toString('base64'), clock.now())
  expect(uploaded.validBefore).toBe(clock.now() + 3650 * 86_400)
})

test.each([
  ['00000001', '01'],
  ['7f00', '7F00'],
  ['80', '80'],
  ['00ff00', 'FF00'],
])('the serial number %s is a positive integer in its shortest form', async (serial, expected) => {
  const { subtle } = crypto
  const { privateKey, publicKey } = await subtle.generateKey(
    {
      name: 'RSASSA-PKCS1-v1_5',
      hash: 'SHA-256',
      modulusLength: 2048,
      publicExponent: Uint8Array.of(1, 0, 1),
    },
    true,
    ['sign', 'verify'],
  )
  const der = await createSelfSignedCertificate({
    publicKey: new Uint8Array(await subtle.exportKey('spki', publicKey)),
    sign: async (octets) => new Uint8Array(await subtle.sign('RSASSA-PKCS1-v1_5', privateKey, octets)),
    commonName: 'x',
    serialNumber: Buffer.from(serial, 'hex'),
    notBefore: epochSeconds(1_800_000_000),
    notAfter: epochSeconds(1_900_000_000),
  })

  expect(new X509Certificate(der).serialNumber).toBe(expected)
})
