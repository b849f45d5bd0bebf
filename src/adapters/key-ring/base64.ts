/** RFC 4648 §4 and §3.5: the standard alphabet, padded, unused bits zero; nothing else decodes. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) return undefined
  const binary = atob(text)
  if (btoa(binary) !== text) return undefined
  return Uint8Array.from(binary, (char) => char.charCodeAt(0))
}

export function encodeBase64(octets: Uint8Array): string {
  return btoa(String.fromCharCode(...octets))
}
