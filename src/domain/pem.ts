import { fault, type Result } from './result.ts'

/** A 16384-bit key has 13 KB; nothing honest is longer. */
const pemCharsMax = 16_384
const pemBlock = /^-----BEGIN ([A-Z0-9 ]+)-----\n([\s\S]*?)\n?-----END ([A-Z0-9 ]+)-----$/

/**
 * Judges a PEM text as an unencrypted private key: PKCS#8 as Google writes it, or PKCS#1, which is wrapped (RFC 5208
 * §5, RFC 8017 appendix A.1). The value is PKCS#8 in PEM; nothing is said of whether the key inside is a good one, and
 * no fault repeats the text.
 */
export function parsePrivateKeyPem(text: string): Result<string> {
  if (text.length > pemCharsMax) return fault('is longer than any private key')
  if (!text.includes('\n') && text.includes('\\n'))
    return fault('has "\\n" as two characters where line breaks belong: the JSON was escaped twice')
  const [whole, label, body, endLabel] = pemBlock.exec(text.replaceAll('\r\n', '\n').trim()) ?? []
  if (whole === undefined || label === undefined || body === undefined) return fault(describeBroken(text))
  if (label !== endLabel) return fault('has BEGIN and END lines that do not belong together')
  if (label === 'ENCRYPTED PRIVATE KEY' || body.includes('ENCRYPTED'))
    return fault('is encrypted: decrypt it before enrolling it')
  if (label === 'EC PRIVATE KEY') return fault('is an EC key: a service account signs with RSA')
  if (label !== 'PRIVATE KEY' && label !== 'RSA PRIVATE KEY')
    return fault('is not a PEM block of the kind "PRIVATE KEY" or "RSA PRIVATE KEY"')
  const der = octetsOf(body)
  if (der === undefined) return fault('has a body that is not base64')
  const tooShort = describeLength(der)
  if (tooShort !== undefined) return fault(tooShort)
  if (label === 'PRIVATE KEY') return { ok: true, value: pemBlockOf('PRIVATE KEY', der) }
  return {
    ok: true,
    value: pemBlockOf('PRIVATE KEY', derElement(derSequence, rsaPrefix, derElement(0x04, der))),
  }
}

function describeBroken(text: string): string {
  if (text.trim() === '') return 'is empty'
  if (!text.includes('-----BEGIN ')) return 'is not PEM: it has no BEGIN line'
  return text.includes('-----END ') ? 'is not one whole PEM block' : 'is cut off: it has no END line'
}

/** DER says how long it is (X.690 §8.1.3): a key that lost its tail is told from one that is merely wrong. */
function describeLength(der: Uint8Array): string | undefined {
  const [tag, first = 0] = der
  if (tag !== derSequence) return 'holds no private key: its body is no DER sequence'
  const lengthOctets = first < 0x80 ? 0 : first & 0x7f
  if (lengthOctets > 3) return 'holds no private key: its body is no DER sequence'
  const content =
    lengthOctets === 0 ? first : der.slice(2, 2 + lengthOctets).reduce((sum, octet) => sum * 256 + octet, 0)
  const length = 2 + lengthOctets + content
  if (der.length === length) return undefined
  return der.length < length ? 'is cut off: its body is too short' : 'has more in its body than a key'
}

/** INTEGER 0, then SEQUENCE { OID 1.2.840.113549.1.1.1 (rsaEncryption), NULL }. */
const rsaPrefix = [
  0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
] as const

/** A PEM block (RFC 7468) of these octets. */
export function pemBlockOf(label: string, octets: Uint8Array): string {
  const lines = base64Of(octets).match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

export function base64Of(octets: Uint8Array): string {
  return btoa(Array.from(octets, (octet) => String.fromCharCode(octet)).join(''))
}

/** RFC 4648 §4 and §3.5: the standard alphabet, padded, unused bits zero; nothing else decodes. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) return undefined
  const binary = atob(text)
  if (btoa(binary) !== text) return undefined
  return Uint8Array.from(binary, (char) => char.charCodeAt(0))
}

/** The octets of base64, or of base64 within a PEM block; `undefined` for anything else. */
export function octetsOf(text: string): Uint8Array<ArrayBuffer> | undefined {
  const body = text.replaceAll(/-----[A-Z ]+-----|\s+/g, '')
  if (body === '' || !/^[A-Za-z0-9+/]+={0,2}$/.test(body)) return undefined
  try {
    return Uint8Array.from(atob(body), (char) => char.charCodeAt(0))
  } catch {
    return undefined
  }
}

/** One element of DER (X.690 §8.1) with the parts that it holds, together fewer than 65,536 octets. */
export function derElement(tag: number, ...parts: readonly Iterable<number>[]): Uint8Array<ArrayBuffer> {
  const content = parts.flatMap((part) => [...part])
  const { length } = content
  const octets = length > 0xff ? [length >> 8, length & 0xff] : [length]
  return Uint8Array.from([tag, ...(length >= 0x80 ? [0x80 | octets.length] : []), ...octets, ...content])
}

export const derSequence = 0x30
