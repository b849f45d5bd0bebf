import { expect, test } from 'vitest'
import { damageEachDocument } from '../support/damaged-store.ts'

// With every kind of garbage: `npm run soak damaged-store`.
test('P25: whatever becomes of one document, nobody is harmed whom it is not about', async () => {
  const { kinds, tried, harmed } = await damageEachDocument([
    'half of it',
    'a schema of the future',
    'another document',
  ])

  expect(harmed).toEqual([])
  expect(kinds).toHaveLength(13)
  expect(tried).toBe(kinds.length * 3 * 2 * 28)
})
