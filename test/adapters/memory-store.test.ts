import { describe, expect, test } from 'vitest'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { epochSeconds } from '../../src/domain/time.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { describeDocumentStore } from './document-store-contract.ts'

describeDocumentStore('memory', ({ clock }) => ({ store: createMemoryStore({ clock }), close: () => {} }))

describe('the memory store', () => {
  test('P24: keeps no more than about twice the living when documents come and expire for ever', async () => {
    const clock = createFakeClock()
    const store = createMemoryStore({ clock })
    const lifetime = 100
    const perSecond = 20

    for (let second = 0; second < 1000; second += 1) {
      for (let n = 0; n < perSecond; n += 1) {
        const key = `replays/${second}-${n}`
        await store.put(key, {}, { if: 'absent', expiresAt: epochSeconds(clock.now() + lifetime) })
      }
      clock.jump(1)
    }

    const expiresBefore = epochSeconds(clock.now() + 1_000_000)
    const kept = await store.list({ prefix: 'replays/', expiresBefore, limit: 1_000_000 })
    const living = await store.list({ prefix: 'replays/', limit: 1_000_000 })
    expect(living).toHaveLength((lifetime - 1) * perSecond)
    // The sweep leaves a minute of grace.
    expect(kept.length).toBeLessThan((lifetime + 60) * perSecond * 2)
  })

  test('documents without expiry are never swept', async () => {
    const clock = createFakeClock()
    const store = createMemoryStore({ clock })
    await store.put('credentials/a', { n: 1 })

    clock.jump(1_000_000)
    for (let n = 0; n < 100; n += 1) await store.put(`replays/${n}`, {})

    expect((await store.get('credentials/a'))?.value).toStrictEqual({ n: 1 })
  })
})
