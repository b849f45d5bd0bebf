import { expect, test } from 'vitest'
import { damageEachDocument } from '../support/damaged-store.ts'
import { noteMeasure } from '../support/measures.ts'

test('a damaged document harms nobody whom it is not about', { timeout: 120_000 }, async () => {
  const { kinds, tried, harmed } = await damageEachDocument()
  noteMeasure('questions asked beside a damaged document', tried, 'questions')
  expect(kinds.length).toBeGreaterThan(5)
  expect(harmed).toEqual([])
})
