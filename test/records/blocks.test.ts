import { describe, expect, it } from 'vitest'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { inForce } from '../../src/domain/blocks.ts'
import { later, seconds } from '../../src/domain/time.ts'
import { createBlocks, createBlocksView } from '../../src/records/blocks.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createFaultyStore } from '../support/faulty-store.ts'
import { createSequence } from '../support/sequence.ts'

function createWorld() {
  const clock = createFakeClock()
  const store = createFaultyStore(createMemoryStore({ clock }))
  const blocks = createBlocks({ store, clock, entropy: createSequence() })
  const view = createBlocksView({ blocks, clock, outageMs: 3_600_000, sharesWork: true }).current
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

  it('two who block each other at the same time leave one of them', async () => {
    const { clock, blocks } = createWorld()
    const [one, other] = [
      { issuer: 'ops', subject: 'one' },
      { issuer: 'ops', subject: 'other' },
    ]
    const acts = Promise.allSettled([
      blocks.block(other, 'ops/one', one),
      blocks.block(one, 'ops/other', other),
    ])
    await clock.advance(1000)
    const outcomes = await acts
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'admin_forbidden' },
    })
    expect((await blocks.read()).callers).toHaveLength(1)
  })

  it('are bounded: a list that is full says so, and nobody fills up the share of others', async () => {
    const { blocks, revoked } = createWorld()
    for (let count = 0; count < 100; count += 1) await blocks.revoke(revoked(`a${count}`))
    await blocks.revoke(revoked('a0'))
    await expect(blocks.revoke(revoked('a100'))).rejects.toMatchObject({ code: 'caller_throttled' })
    await blocks.revoke(revoked('b0', 'b'))
    expect((await blocks.read()).tokens).toHaveLength(101)
  })

  it('P26: callers fill up neither the list of revoked tokens nor that of the kill switch', async () => {
    const { store, blocks } = createWorld()
    const longest = '\u{d800}'.repeat(1_024)
    const name = (count: number, text: string) => text.slice(0, -4) + String(count).padStart(4, '0')
    const by = `${longest}/${longest}`
    const tokens = Array.from({ length: 2_000 }, (_, count) => ({
      sha256: name(count, 'd'.repeat(64)),
      expires_at: 9_999_999_999,
      by: 'b'.repeat(64),
    }))
    await store.put('blocks/current', { schema: 1, callers: [], tokens })
    const fill = async () => {
      for (let count = 0; ; count += 1)
        await blocks.block({ issuer: longest, subject: name(count, longest) }, by)
    }
    await expect(fill()).rejects.toMatchObject({ code: 'state_conflict' })
    expect((await blocks.read()).callers.length).toBeGreaterThan(10)
    expect((await blocks.stop(by)).stopped?.by).toBe(by)
  })

  it('forget revoked tokens an hour after they are over, and count them only until then', async () => {
    const { clock, blocks, revoked } = createWorld()
    for (let count = 0; count < 100; count += 1) await blocks.revoke(revoked(`short${count}`, 'a', 60))
    await clock.advance(60_000)
    await blocks.revoke(revoked('long', 'a', 7200))
    expect((await blocks.read()).tokens).toHaveLength(101)
    await clock.advance(3_600_000)
    await blocks.revoke(revoked('late'))
    const digests = (await blocks.read()).tokens.map(({ digest }) => digest)
    expect(digests.toSorted()).toEqual(['late', 'long'])
  })

  it('P19: an instance whose clock is an hour ahead makes nobody forget a revoked token', async () => {
    const { clock, blocks, revoked } = createWorld()
    await blocks.revoke(revoked('living', 'a', 3599))
    clock.jump(3600)
    await blocks.revoke(revoked('other', 'b'))
    clock.jump(-3600)
    expect(inForce(await blocks.read()).isRevoked('living')).toBe(true)
  })

  it('are bounded with those that are over: what ended first is forgotten first', async () => {
    const { clock, store, blocks, revoked } = createWorld()
    const tokens = Array.from({ length: 2_000 }, (_, count) => ({
      sha256: `d${count}`,
      expires_at: clock.now() + (count === 7 ? -20 : -10),
      by: 'b',
    }))
    await store.put('blocks/current', { schema: 1, callers: [], tokens })
    await blocks.revoke(revoked('new'))
    const now = inForce(await blocks.read())
    expect(now.tokens).toHaveLength(2_000)
    expect([now.isRevoked('d7'), now.isRevoked('d6'), now.isRevoked('new')]).toEqual([false, true, true])
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
