import { type KeyObject, sign } from 'node:crypto'

export type CertificateToMake = {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
  /** Default 3. */
  readonly version?: 1 | 3
  /** Default ten years from now. */
  readonly notAfter?: Date
  /** Turns one bit of the signature. */
  readonly isBroken?: boolean
}

/** A self-signed X.509 certificate, PEM; for RSA and P-256 keys. Only for the stand-in's tests. */
export function makeCertificate(options: CertificateToMake): string {
  const { publicKey, privateKey, version = 3, isBroken = false } = options
  const algorithm = publicKey.asymmetricKeyType === 'rsa' ? rsaWithSha256 : ecdsaWithSha256
  const name = sequence(der(0x31, sequence(Buffer.from('0603550403', 'hex'), der(0x0c, Buffer.from('test')))))
  const toBeSigned = sequence(
    ...(version === 3 ? [Buffer.from('a003020102', 'hex')] : []),
    der(0x02, Buffer.from([1])),
    algorithm,
    name,
    sequence(time(new Date(0)), time(options.notAfter ?? new Date(Date.now() + 315_360_000_000))),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
  )
  const signature = sign('sha256', toBeSigned, privateKey)
  if (isBroken) signature.writeUInt8(signature.readUInt8(40) ^ 1, 40)
  const bytes = sequence(toBeSigned, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signature])))
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}

const rsaWithSha256 = sequence(Buffer.from('06092a864886f70d01010b0500', 'hex'))
const ecdsaWithSha256 = sequence(Buffer.from('06082a8648ce3d040302', 'hex'))

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content])
  if (length < 0x100) return Buffer.concat([Buffer.from([tag, 0x81, length]), content])
  return Buffer.concat([Buffer.from([tag, 0x82, length >> 8, length & 0xff]), content])
}

function time(date: Date): Buffer {
  const digits = date.toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)
  return der(0x18, Buffer.from(`${digits}Z`))
}
