import { expect, test } from 'vitest'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { readModifyWrite } from '../../src/records/read-modify-write.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createSequence } from '../support/sequence.ts'

test('who is overtaken waits longer each time, by chance and at most 0.1 s, and gives up after twelve attempts', async () => {
  const slept: number[] = []
  const clock = { ...createFakeClock(), sleep: async (ms: number) => void slept.push(ms) }
  const store = { ...createMemoryStore({ clock }), put: () => Promise.resolve(undefined) }
  let attempts = 0
  const deps = { store, clock, entropy: createSequence(0.5) }
  const changed = readModifyWrite(deps, 'things/one', () => {
    attempts += 1
    return { value: { n: attempts }, result: undefined }
  })

  await expect(changed).rejects.toMatchObject({ code: 'store_unavailable', retryAfter: 1 })
  expect(attempts).toBe(12)
  expect(slept).toEqual([2.5, 5, 10, 20, 40, 50, 50, 50, 50, 50, 50, 50])
})
