import { describe, expect, it } from 'vitest'
import { createTokenBuckets } from '../../../src/adapters/system/rate-limits.ts'
import { createFakeClock } from '../../support/fake-clock.ts'

function createWorld(perMinute: number) {
  const clock = createFakeClock()
  const limit = createTokenBuckets({ perMinute, clock })
  const admit = async (key: string, times = 1) => {
    const admissions = []
    for (let use = 0; use < times; use += 1) admissions.push(await limit(key))
    return admissions.filter(({ admitted }) => admitted).length
  }
  return { clock, limit, admit }
}

describe('token buckets', () => {
  it('admit a minute of requests at once, and then as many as a minute brings', async () => {
    const { clock, admit } = createWorld(60)
    expect(await admit('a', 100)).toBe(60)
    await clock.advance(1_000)
    expect(await admit('a', 10)).toBe(1)
    await clock.advance(60_000)
    expect(await admit('a', 100)).toBe(60)
  })

  it('say when to come again, and then admit', async () => {
    const { clock, limit, admit } = createWorld(6)
    await admit('a', 6)
    expect(await limit('a')).toEqual({ admitted: false, retryAfter: 10 })
    await clock.advance(10_000)
    expect(await limit('a')).toEqual({ admitted: true })
  })

  it('of one key are not used up by another', async () => {
    const { admit } = createWorld(10)
    expect(await admit('a', 50)).toBe(10)
    expect(await admit('b', 50)).toBe(10)
  })

  it('a refusal costs nothing: who keeps asking is not kept out for longer', async () => {
    const { clock, admit } = createWorld(60)
    await admit('a', 1_000)
    await clock.advance(1_000)
    expect(await admit('a')).toBe(1)
  })

  it('are not moved by a jump of the wall clock', async () => {
    const { clock, admit } = createWorld(60)
    await admit('a', 60)
    clock.jump(3_600)
    expect(await admit('a')).toBe(0)
  })
})
