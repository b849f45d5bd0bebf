import { expect, test } from 'vitest'
import { parseForm } from '../../src/http/parse-form.ts'
import { leastCpuMs } from '../support/cpu-time.ts'

const contentType = 'application/x-www-form-urlencoded'

/** Each cost up to 100 ms when every broken escape was decoded by itself. */
const bodies: Readonly<Record<string, string>> = {
  'broken escapes, one a parameter': 'n%=%&'.repeat(13_107),
  'broken escapes, all in one value': `a=${'%'.repeat(65_534)}`,
  'octets that are not UTF-8': `a=${'%80'.repeat(21_844)}`,
  'plus signs': `a=${'+'.repeat(65_534)}`,
  'nothing between separators': '&'.repeat(65_536),
  '100 parameters of broken escapes': Array.from({ length: 100 }, (_, n) => `${n}%=${'%'.repeat(640)}`).join(
    '&',
  ),
}

test.each(Object.entries(bodies))('64 KiB of %s are parsed in less than 10 ms of CPU', (_, text) => {
  const read = (): void => {
    try {
      parseForm({ contentType, text })
    } catch (error) {
      expect(error).toMatchObject({ code: 'request_malformed' })
    }
  }
  expect(leastCpuMs(read)).toBeLessThan(10)
})
