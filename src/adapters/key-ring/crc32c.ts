/** Reversed, as the register shifts to the right. */
const polynomial = 0x82f63b78

/** CRC-32C (Castagnoli, RFC 9260 appendix A), from 0 to 2^32-1. Bit by bit: it is used for a few hundred octets. */
export function crc32c(octets: Uint8Array): number {
  let crc = 0xffffffff
  for (const octet of octets) {
    crc ^= octet
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? polynomial : 0)
  }
  return ~crc >>> 0
}
