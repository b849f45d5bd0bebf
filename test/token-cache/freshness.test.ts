import { describe, expect, it } from 'vitest'
import { epochSeconds, seconds } from '../../src/domain/time.ts'
import { freshnessOf, scheduleOf } from '../../src/token-cache/memory-tokens.ts'

const life = (lifetime: number) => ({
  issuedAt: epochSeconds(1000),
  expiresAt: epochSeconds(1000 + lifetime),
})

describe('freshness of a 3,600 s token', () => {
  const earliest = scheduleOf(life(3600), 1)
  const latest = scheduleOf(life(3600), 0)

  it.each([
    [900, 'fresh', 'fresh'],
    [899, 'due', 'fresh'],
    [600, 'due', 'fresh'],
    [599, 'due', 'due'],
    [300, 'due', 'due'],
    [299, 'short', 'short'],
    [60, 'short', 'short'],
    [59, 'dead', 'dead'],
    [0, 'dead', 'dead'],
    [-3600, 'dead', 'dead'],
  ])('with %i s left is %s for the earliest instance and %s for the latest', (left, early, late) => {
    expect(freshnessOf(earliest, seconds(left))).toBe(early)
    expect(freshnessOf(latest, seconds(left))).toBe(late)
  })

  it('scales with shorter lives, but never serves the last second', () => {
    const schedule = scheduleOf(life(60), 0)
    expect(freshnessOf(schedule, seconds(11))).toBe('fresh')
    expect(freshnessOf(schedule, seconds(9))).toBe('due')
    expect(freshnessOf(schedule, seconds(4))).toBe('short')
    expect(freshnessOf(schedule, seconds(0.9))).toBe('dead')
  })

  it('does not stretch for longer lives', () => {
    expect(scheduleOf(life(43_200), 0)).toEqual(latest)
  })
})
