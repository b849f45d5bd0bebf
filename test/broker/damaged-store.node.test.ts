import { expect, test } from 'vitest'
import { damageEachDocument } from '../support/damaged-store.ts'

// With every kind of garbage: `npm run soak damaged-store`.
test('P25: whatever becomes of one document, nobody is harmed whom it is not about', async () => {
  const { kinds, tried, harmed } = await damageEachDocument([
    'half of it',
    'a list',
    'no members',
    'a schema of the future',
    'another document',
  ])

  expect(harmed).toEqual([])
  expect(kinds.length).toBeGreaterThanOrEqual(7)
  expect(tried).toBe(kinds.length * 5 * 2 * 24)
})
