const alphabet = /^[\w-]*$/
// The last character of a group that is not full carries bits that belong to no octet; they must be zero.
const lastOfTwo = 'AQgw'
const lastOfThree = 'AEIMQUYcgkosw048'
const beyondAscii = /[\u0080-\u00ff]/

/** Whether it is the one base64url spelling of some octets: no padding, no other alphabet, no stray trailing bits. */
export function isStrictBase64url(text: string): boolean {
  if (!alphabet.test(text)) return false
  switch (text.length % 4) {
    case 0:
      return true
    case 2:
      return lastOfTwo.includes(text.slice(-1))
    case 3:
      return lastOfThree.includes(text.slice(-1))
    default:
      return false
  }
}

/** The text whose UTF-8 octets these are; `undefined` unless base64url is strict and UTF-8 valid. A BOM is kept. */
export function decodeStrictBase64url(encoded: string): string | undefined {
  if (!isStrictBase64url(encoded)) return undefined
  const octets = atob(encoded.replaceAll('-', '+').replaceAll('_', '/'))
  // ASCII octets are their own text: the usual case needs no second pass.
  return beyondAscii.test(octets) ? decodeUtf8(octets) : octets
}

function decodeUtf8(octets: string): string | undefined {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  try {
    return decoder.decode(Uint8Array.from(octets, (octet) => octet.charCodeAt(0)))
  } catch {
    return undefined
  }
}
