import { describe, expect, it } from 'vitest'

import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { inForce } from '../../src/domain/blocks.ts'
import { later, seconds } from '../../src/domain/time.ts'
import { createBlocks } from '../../src/records/blocks.ts'
import { createBlocksView } from '../../src/records/blocks-view.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createFaultyStore } from '../support/faulty-store.ts'
import { createSequence } from '../support/sequence.ts'

function createWorld() {
  const clock = createFakeClock()
  const store = createFaultyStore(createMemoryStore({ clock }))
  const blocks = createBlocks({ store, clock, entropy: createSequence() })
  const view = createBlocksView({ blocks, clock, sharesWork: true })
  const revoked = (digest: string, by = 'a', life = 3600) => ({
    digest,
    by,
    expiresAt: later(clock.now(), seconds(life)),
  })
  return { clock, store, blocks, view, revoked }
}

describe('blocks', () => {
  it('are none where nothing was ever blocked', async () => {
    const { blocks } = createWorld()
    expect(await blocks.read()).toEqual({ callers: [], tokens: [] })
  })

  it('are one document: acts at once do not undo each other', async () => {
    const { clock, blocks, revoked } = createWorld()
    const acts = Promise.all([
      blocks.stop('ops/ops'),
      blocks.block({ issuer: 'a', subject: 'b' }, 'ops/ops'),
      blocks.block({ issuer: 'a|b', subject: '' }, 'ops/ops'),
      blocks.revoke(revoked('d1')),
    ])
    await clock.advance(1000)
    await acts
    const now = inForce(await blocks.read())
    expect(now.stopped?.by).toBe('ops/ops')
    expect(now.callers).toHaveLength(2)
    expect([now.blocked({ issuer: 'a', subject: 'b' })?.by, now.isRevoked('d1')]).toEqual(['ops/ops', true])
    expect([now.blocked({ issuer: 'a', subject: 'b|' }), now.isRevoked('d2')]).toEqual([undefined, false])
  })

  it('are bounded: a list that is full says so, and nobody fills up the share of others', async () => {
    const { blocks, revoked } = createWorld()
    for (let count = 0; count < 100; count += 1) await blocks.revoke(revoked(`a${count}`))
    await blocks.revoke(revoked('a0'))
    await expect(blocks.revoke(revoked('a100'))).rejects.toMatchObject({ code: 'caller_throttled' })
    await blocks.revoke(revoked('b0', 'b'))
    expect((await blocks.read()).tokens).toHaveLength(101)
  })

  it('forget revoked tokens that are over', async () => {
    const { clock, blocks, revoked } = createWorld()
    await blocks.revoke(revoked('short', 'a', 60))
    await clock.advance(60_000)
    await blocks.revoke(revoked('long'))
    expect((await blocks.read()).tokens.map(({ digest }) => digest)).toEqual(['long'])
  })

  it('a document that cannot be read blocks everything rather than nothing', async () => {
    const { store, blocks, view } = createWorld()
    await store.put('blocks/current', { schema: 1, callers: 'all' })
    await expect(blocks.read()).rejects.toMatchObject({ code: 'store_unavailable' })
    await expect(view()).rejects.toMatchObject({ code: 'store_unavailable' })
  })
})

describe("an instance's view of them", () => {
  it('P26: is at most 7 s behind, and costs one read in 5 s', async () => {
    const { clock, store, blocks, view } = createWorld()
    await view()
    const { get } = store.counts
    for (let count = 0; count < 1000; count += 1) await view()
    expect(store.counts.get).toBe(get)
    await blocks.stop('ops/ops')
    await clock.advance(5_001)
    expect((await view()).stopped).toBeDefined()
  })

  it('P20: stays as it was for an hour while the store is down, and no longer', async () => {
    const { clock, store, blocks, view } = createWorld()
    await blocks.block({ issuer: 'a', subject: 'b' }, 'ops/ops')
    await view()
    store.down = true
    await clock.advance(3_500_000)
    expect((await view()).callers).toHaveLength(1)
    await clock.advance(200_000)
    await expect(view()).rejects.toMatchObject({ code: 'store_unavailable' })
  })
})
