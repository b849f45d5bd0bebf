/** A PEM block (RFC 7468) of these octets. */
export function pemBlockOf(label: string, octets: Uint8Array): string {
  const lines = base64Of(octets).match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

export function base64Of(octets: Uint8Array): string {
  return btoa(Array.from(octets, (octet) => String.fromCharCode(octet)).join(''))
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
