import { describe, expect, test } from 'vitest'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { epochSeconds } from '../../src/domain/time.ts'
import { collections } from '../../src/records/collections.ts'
import { createSweep } from '../../src/maintenance/maintenance.ts'
import type { DocumentStore } from '../../src/ports/document-store.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createFaultyStore } from '../support/faulty-store.ts'
import { createLogBook } from '../support/quiet.ts'

const hour = 3600

function createWorld() {
  const clock = createFakeClock()
  // Its own broom only moves with writes, and there are none after the clock has moved.
  const store = createFaultyStore(createMemoryStore({ clock }))
  const { log, lines } = createLogBook()
  const put = (key: string, life?: number) =>
    store.put(key, { key }, life === undefined ? {} : { expiresAt: epochSeconds(clock.now() + life) })
  return { clock, store, lines, put, sweep: createSweep({ store, clock, log }) }
}

describe('a sweep', () => {
  test('deletes what expired more than an hour ago, and nothing else', async () => {
    const { clock, store, lines, put, sweep } = createWorld()
    for (const key of ['tokens/old', 'issued/old', 'replays/old', 'audit/old', 'others/old'])
      await put(key, 10)
    for (const key of ['tokens/late', 'issued/late', 'replays/late', 'audit/late']) await put(key, 20)
    for (const key of ['tokens/living', 'credentials/a', 'policies/current']) await put(key)

    clock.jump(hour + 15)
    const swept = await sweep()

    expect(swept).toEqual({ deleted: 4, isMoreLeft: false })
    expect(await keysIn(store, clock.now())).toEqual([
      'audit/late',
      'credentials/a',
      'issued/late',
      'others/old',
      'policies/current',
      'replays/late',
      'tokens/late',
      'tokens/living',
    ])
    expect(lines).toMatchObject([{ level: 'info', fields: { deleted: 4 } }])
  })

  test('takes every collection whose documents expire, and no other', async () => {
    const { clock, put, sweep, store } = createWorld()
    for (const { name } of collections) await put(`${name}/old`, 10)

    clock.jump(2 * hour)
    await sweep()

    const lasting = collections.flatMap(({ name, expires }) => (expires ? [] : [`${name}/old`]))
    expect(await keysIn(store, clock.now())).toEqual(lasting.toSorted())
  })

  test('does a bounded piece of work, says when more is left, and the next one goes on', async () => {
    const { clock, store, put, sweep } = createWorld()
    for (let n = 0; n < 130; n += 1) await put(`replays/${n}`, 1)
    clock.jump(2 * hour)

    expect(await sweep()).toEqual({ deleted: 100, isMoreLeft: true })
    expect(store.counts).toMatchObject({
      list: collections.filter(({ expires }) => expires).length,
      delete: 100,
    })
    expect(await sweep()).toEqual({ deleted: 30, isMoreLeft: false })
  })

  test('twice at once deletes each document once', async () => {
    const { clock, put, sweep } = createWorld()
    for (let n = 0; n < 20; n += 1) await put(`tokens/${n}`, 1)
    clock.jump(2 * hour)

    const both = await Promise.all([sweep(), sweep()])

    expect(both.reduce((sum, { deleted }) => sum + deleted, 0)).toBe(20)
  })

  test('leaves alone a document that is written again while it runs', async () => {
    const { clock, store, put, sweep } = createWorld()
    await put('tokens/back', 1)
    clock.jump(2 * hour)
    store.before = async (operation) => {
      store.before = () => Promise.resolve()
      if (operation === 'list') store.before = rewrite
    }
    const rewrite = async (): Promise<void> => {
      store.before = () => Promise.resolve()
      await put('tokens/back', 100)
    }

    expect((await sweep()).deleted).toBe(0)
    expect((await store.get('tokens/back'))?.value).toEqual({ key: 'tokens/back' })
  })

  test('that cannot reach the store fails, and the next one does the work', async () => {
    const { clock, store, put, sweep } = createWorld()
    await put('audit/a', 1)
    clock.jump(2 * hour)
    store.down = true
    await expect(sweep()).rejects.toMatchObject({ code: 'store_unavailable' })
    store.down = false

    expect((await sweep()).deleted).toBe(1)
  })
})

async function keysIn(store: DocumentStore, now: number): Promise<readonly string[]> {
  const prefixes = ['others/', ...collections.map(({ name }) => `${name}/`)]
  const expiresBefore = epochSeconds(now + 1000 * hour)
  const found = await Promise.all(
    prefixes.flatMap((prefix) => [
      store.list({ prefix, limit: 100 }),
      store.list({ prefix, limit: 100, expiresBefore }),
    ]),
  )
  return [...new Set(found.flat().map(({ key }) => key))].toSorted()
}
