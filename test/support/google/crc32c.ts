const table = Uint32Array.from({ length: 256 }, (_, index) => {
  let entry = index
  for (let bit = 0; bit < 8; bit += 1) entry = (entry & 1) === 1 ? (entry >>> 1) ^ 0x82f63b78 : entry >>> 1
  return entry
})

/** By table, so that it shares nothing with the broker's own. */
export function crc32c(octets: Uint8Array): number {
  return ~octets.reduce((crc, octet) => (table[(crc ^ octet) & 0xff] ?? 0) ^ (crc >>> 8), 0xffffffff) >>> 0
}
