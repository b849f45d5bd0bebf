import { expect, test } from 'vitest'
import { key, must, numbers, type OpenScene } from './scene.ts'

export function describeExpiry(scene: OpenScene): void {
  test('a document is there until its expiry and absent from that instant on', async () => {
    const { store, clock, at } = await scene()
    const expiresAt = at(10)
    const version = await store.put(key, { n: 1 }, { expiresAt })

    clock.jump(9)
    expect(await store.get(key)).toStrictEqual({ key, value: { n: 1 }, version, expiresAt })
    clock.jump(1)
    expect(await store.get(key)).toBeUndefined()
  })

  test('a document put with a past expiry is absent at once', async () => {
    const { store, at } = await scene()

    expect(await store.put(key, { n: 1 }, { expiresAt: at(-1) })).toBeDefined()
    expect(await store.get(key)).toBeUndefined()
  })

  test('a clock that jumps ahead by half a minute and comes back finds the document again', async () => {
    const { store, clock, at } = await scene()
    await store.put(key, { n: 1 }, { expiresAt: at(10) })

    clock.jump(30)
    expect(await store.get(key)).toBeUndefined()
    await Promise.all(numbers(5).map((n) => store.put(`others/${n}`, {})))
    clock.jump(-30)

    expect((await store.get(key))?.value).toStrictEqual({ n: 1 })
  })

  test('an expired document counts as absent: of 20 puts at once exactly one replaces it', async () => {
    const { store, clock, at } = await scene()
    await store.put(key, { n: -1, old: true }, { expiresAt: at(10) })
    clock.jump(10)

    const versions = await Promise.all(numbers(20).map((n) => store.put(key, { n }, { if: 'absent' })))

    const winner = versions.findIndex((version) => version !== undefined)
    expect(versions.filter((version) => version !== undefined)).toHaveLength(1)
    expect(await store.get(key)).toStrictEqual({ key, value: { n: winner }, version: versions[winner] })
  })

  test('a put at its version still wins when the document expired meanwhile', async () => {
    const { store, clock, at } = await scene()
    const version = must(await store.put(key, { n: 1 }, { expiresAt: at(10) }))
    clock.jump(10)

    expect(await store.put(key, { n: 2 }, { if: { version }, expiresAt: at(10) })).toBeDefined()
    expect((await store.get(key))?.value).toStrictEqual({ n: 2 })
  })

  test.each(['unconditional', 'conditional'] as const)('an %s put without expiry clears it', async (kind) => {
    const { store, clock, at } = await scene()
    const version = must(await store.put(key, { n: 1 }, { expiresAt: at(10) }))

    await store.put(key, { n: 2 }, kind === 'conditional' ? { if: { version } } : {})
    clock.jump(1_000_000)

    expect(await store.get(key)).not.toHaveProperty('expiresAt')
    expect((await store.get(key))?.value).toStrictEqual({ n: 2 })
  })
}

export function describeDeletion(scene: OpenScene): void {
  test('a deletion says whether there was a document', async () => {
    const { store } = await scene()
    await store.put(key, { n: 1 })

    expect(await store.delete(key)).toBe(true)
    expect(await store.get(key)).toBeUndefined()
    expect(await store.delete(key)).toBe(false)
  })

  test('a deletion at another version leaves the document there', async () => {
    const { store } = await scene()
    const stale = must(await store.put(key, { n: 1 }))
    const version = must(await store.put(key, { n: 2 }))

    expect(await store.delete(key, { version: stale })).toBe(false)
    expect((await store.get(key))?.value).toStrictEqual({ n: 2 })
    expect(await store.delete(key, { version })).toBe(true)
    expect(await store.delete(key, { version })).toBe(false)
  })

  test('an expired document is deleted like any other', async () => {
    const { store, clock, at } = await scene()
    await store.put(key, { n: 1 }, { expiresAt: at(1) })
    const version = must(await store.put('things/two', { n: 2 }, { expiresAt: at(1) }))
    clock.jump(1)

    expect(await store.delete(key)).toBe(true)
    expect(await store.delete('things/two', { version })).toBe(true)
    clock.jump(-1)
    expect(await store.get(key)).toBeUndefined()
  })
}
