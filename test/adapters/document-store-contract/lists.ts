import { expect, test } from 'vitest'
import type { DocumentStore } from '../../../src/ports/document-store.ts'
import { keysOf, numbers, type OpenScene } from './scene.ts'

export function describeLists(scene: OpenScene): void {
  const put = async (store: DocumentStore, keys: readonly string[]): Promise<void> => {
    await Promise.all(keys.map((each) => store.put(each, { at: each })))
  }

  test('keys come in ascending order by code unit, with their documents', async () => {
    const { store, at } = await scene()
    const ids = [
      'a',
      'B',
      '_',
      '-',
      '.',
      '..',
      '@',
      '0',
      '10',
      '9',
      'aa',
      'a-',
      'a.',
      'Z',
      '__a__',
      '__a_',
      '__a__a',
      'z',
    ]
    await put(
      store,
      ids.map((id) => `things/${id}`),
    )
    const expiresAt = at(10)
    const version = await store.put('things/a', { n: 1 }, { expiresAt })

    const listed = await store.list({ prefix: 'things/', limit: 100 })

    expect(keysOf(listed)).toStrictEqual(ids.map((id) => `things/${id}`).toSorted())
    expect(listed.find((stored) => stored.key === 'things/a')).toStrictEqual({
      key: 'things/a',
      value: { n: 1 },
      version,
      expiresAt,
    })
  })

  test('a collection is not another one whose name begins alike', async () => {
    const { store } = await scene()
    await put(store, ['tokens/a', 'tokens2/b', 'tokens-/c', 'token/d', 'tokens.x/e'])

    expect(keysOf(await store.list({ prefix: 'tokens/', limit: 10 }))).toStrictEqual(['tokens/a'])
  })

  test('a prefix reaches into the id', async () => {
    const { store } = await scene()
    await put(store, [
      'v/a',
      'v/v-',
      'v/v-1',
      'v/v-z~'.slice(0, -1),
      'v/v.',
      'v/v',
      'v/__p',
      'v/__p__',
      'v/__p__q',
      'v/__q__',
    ])

    expect(keysOf(await store.list({ prefix: 'v/v-', limit: 10 }))).toStrictEqual(['v/v-', 'v/v-1', 'v/v-z'])
    expect(keysOf(await store.list({ prefix: 'v/__p__', limit: 10 }))).toStrictEqual(['v/__p__', 'v/__p__q'])
    expect(await store.list({ prefix: 'v/nobody', limit: 10 })).toStrictEqual([])
  })

  test('pages follow each other without gap or repetition', async () => {
    const { store } = await scene()
    const keys = [...numbers(7).map((n) => `things/${n}`), 'things/.', 'things/__5__'].toSorted()
    await put(store, keys)
    const seen: string[] = []

    for (let after = 'things/'; ;) {
      const page = await store.list({ prefix: 'things/', after, limit: 2 })
      seen.push(...keysOf(page))
      const last = page.at(-1)
      if (last === undefined) break
      expect(page.length).toBeLessThanOrEqual(2)
      after = last.key
    }

    expect(seen).toStrictEqual(keys)
  })

  test('after may lie outside the prefix', async () => {
    const { store } = await scene()
    await put(store, ['things/b1', 'things/b2'])
    const listAfter = async (after: string) =>
      keysOf(await store.list({ prefix: 'things/b', after, limit: 9 }))

    expect(await listAfter('things/a')).toStrictEqual(['things/b1', 'things/b2'])
    expect(await listAfter('a/x')).toStrictEqual(['things/b1', 'things/b2'])
    expect(await listAfter('things/b')).toStrictEqual(['things/b1', 'things/b2'])
    expect(await listAfter('things/c')).toStrictEqual([])
    expect(await listAfter('zoo/a')).toStrictEqual([])
    expect(await listAfter('things2/a')).toStrictEqual([])
  })

  test('expired documents are left out before counting', async () => {
    const { store, clock, at } = await scene()
    for (const n of numbers(6))
      await store.put(`things/${n}`, { n }, n % 2 === 0 ? { expiresAt: at(10) } : {})
    clock.jump(10)

    expect(keysOf(await store.list({ prefix: 'things/', limit: 3 }))).toStrictEqual([
      'things/1',
      'things/3',
      'things/5',
    ])
  })

  test('expiresBefore finds what expires earlier, expired ones included, filtered before counting', async () => {
    const { store, clock, at } = await scene()
    await store.put('things/0', {})
    await store.put('things/1', {}, { expiresAt: at(500) })
    await store.put('things/2', {}, { expiresAt: at(100) })
    await store.put('things/3', {}, { expiresAt: at(99) })
    await store.put('things/4', {}, { expiresAt: at(10) })
    await store.put('others/5', {}, { expiresAt: at(10) })
    const expiresBefore = at(100)
    clock.jump(20)

    const list = async (limit: number, after?: string) =>
      keysOf(
        await store.list({
          prefix: 'things/',
          expiresBefore,
          limit,
          ...(after === undefined ? {} : { after }),
        }),
      )
    expect(await list(9)).toStrictEqual(['things/3', 'things/4'])
    expect(await list(1)).toStrictEqual(['things/3'])
    expect(await list(1, 'things/3')).toStrictEqual(['things/4'])
  })
}
