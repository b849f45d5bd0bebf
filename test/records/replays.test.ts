import { describe, expect, it } from 'vitest'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { later, seconds } from '../../src/domain/time.ts'
import { createReplays } from '../../src/records/replays.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createFaultyStore } from '../support/faulty-store.ts'
import { quickDigest } from '../support/sequence.ts'

function createWorld() {
  const clock = createFakeClock()
  const store = createFaultyStore(createMemoryStore({ clock }))
  const { rememberOnce } = createReplays({ store, sha256: quickDigest })
  const use = (issuer: string, jti: string) =>
    rememberOnce({ issuer, jti, until: later(clock.now(), seconds(300)) })
  return { clock, store, use }
}

describe('P6: replays', () => {
  it('of 20 uses at once exactly one is the first, also when the store takes 200 ms', async () => {
    const { clock, store, use } = createWorld()
    store.before = () => clock.sleep(200)
    const uses = Promise.all(Array.from({ length: 20 }, () => use('billing', 'j1')))
    await clock.advance(1000)
    expect((await uses).filter((isFirst) => isFirst)).toHaveLength(1)
  })

  it('pairs of issuer and jti do not collide', async () => {
    const { use } = createWorld()
    expect(await use('a', 'b|c')).toBe(true)
    expect(await use('a|b', 'c')).toBe(true)
    expect(await use('a","b', 'c')).toBe(true)
    expect(await use('a', 'b|c')).toBe(false)
  })

  it('a use is known until the assertion is of no use any more', async () => {
    const { clock, use } = createWorld()
    await use('billing', 'j1')
    await clock.advance(299_000)
    expect(await use('billing', 'j1')).toBe(false)
    await clock.advance(120_000)
    expect(await use('billing', 'j1')).toBe(true)
  })

  it('a store that cannot say is an error, never a permission', async () => {
    const { store, use } = createWorld()
    store.down = true
    await expect(use('billing', 'j1')).rejects.toMatchObject({ code: 'store_unavailable' })
  })
})
