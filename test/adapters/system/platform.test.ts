import { describe, expect, test } from 'vitest'
import { createSystemClock, createEntropy } from '../../../src/adapters/system/clock-and-entropy.ts'

describe('the system clock', () => {
  test('shows whole seconds of the wall clock', () => {
    const before = Math.floor(Date.now() / 1000)
    const now = createSystemClock().now()

    expect(Number.isInteger(now)).toBe(true)
    expect(now).toBeGreaterThanOrEqual(before)
    expect(now).toBeLessThanOrEqual(Date.now() / 1000)
  })

  test('sleeps as long as it is told, in steady time that never goes back', async () => {
    const clock = createSystemClock()
    const start = clock.steadyMs()

    await clock.sleep(20)

    // Timers are rounded to a millisecond.
    expect(clock.steadyMs() - start).toBeGreaterThanOrEqual(18)
  })

  test.each([Number.POSITIVE_INFINITY, 2 ** 40])(
    'a sleep longer than a timer takes is no short sleep: %s',
    async (ms) => {
      const clock = createSystemClock()
      let isAwake = false

      void clock.sleep(ms).then(() => (isAwake = true))
      await clock.sleep(20)

      expect(isAwake).toBe(false)
    },
  )
})

test('entropy gives random UUIDs of version 4 and fractions below one', () => {
  const entropy = createEntropy()
  const uuids = Array.from({ length: 1000 }, () => entropy.uuid())
  const fractions = Array.from({ length: 1000 }, () => entropy.fraction())

  expect(new Set(uuids).size).toBe(1000)
  for (const uuid of uuids)
    expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(fractions.every((fraction) => fraction >= 0 && fraction < 1)).toBe(true)
  expect(new Set(fractions).size).toBeGreaterThan(990)
})
