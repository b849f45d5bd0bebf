import { expect, test } from 'vitest'
import { crc32c } from '../../../src/google/kms.ts'

test.each([
  ['', 0],
  // The check value of CRC-32/ISCSI, and RFC 3720 appendix B.4.
  ['123456789', 0xe3069283],
  ['\0'.repeat(32), 0x8a9136aa],
  ['\u{ff}'.repeat(32), 0x62a8ab43],
])('the CRC-32C of %j is %i', (text, sum) => {
  expect(crc32c(Uint8Array.from(text, (char) => char.charCodeAt(0)))).toBe(sum)
})
