import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseRfc3339 } from '../../src/domain/time.ts'

test('every second of UTC that Google writes is the second that the platform reads', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4_102_444_800 }), (second) => {
      const text = new Date(second * 1000).toISOString()
      expect(parseRfc3339(text)).toBe(second)
      expect(parseRfc3339(text.replace('.000Z', 'Z'))).toBe(second)
      expect(parseRfc3339(text.replace('.000Z', '.999999999Z'))).toBe(second)
    }),
  )
})

test.each([
  '',
  'soon',
  '2026-11-24',
  '2026-11-24T00:00:00',
  '2026-11-24T00:00:00+01:00',
  '2026-13-01T00:00:00Z',
  '2026-00-01T00:00:00Z',
  '2026-01-00T00:00:00Z',
  '2026-01-01T24:00:00Z',
  '2026-01-01T00:60:00Z',
  '2026-01-01T00:00:61Z',
  ' 2026-01-01T00:00:00Z',
  '12026-01-01T00:00:00Z',
])('%j is no instant', (text) => {
  expect(parseRfc3339(text)).toBeUndefined()
})
