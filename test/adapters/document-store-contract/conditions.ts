import { expect, test } from 'vitest'
import type { Version } from '../../../src/ports/document-store.ts'
import { key, must, numbers, type OpenScene } from './scene.ts'

export function describeConditions(scene: OpenScene): void {
  test('absent: the first put wins and the second writes nothing', async () => {
    const { store } = await scene()

    const first = await store.put(key, { n: 1 }, { if: 'absent' })

    expect(first).toBeDefined()
    expect(await store.put(key, { n: 2 }, { if: 'absent' })).toBeUndefined()
    expect(await store.get(key)).toStrictEqual({ key, value: { n: 1 }, version: first })
  })

  test('absent: of 20 at once exactly one wins, and its document stays', async () => {
    const { store, at } = await scene()

    const versions = await Promise.all(
      numbers(20).map((n) => store.put(key, { n }, { if: 'absent', expiresAt: at(300) })),
    )

    const winners = versions.filter((version) => version !== undefined)
    expect(winners).toHaveLength(1)
    const winner = versions.findIndex((version) => version !== undefined)
    expect(await store.get(key)).toMatchObject({ value: { n: winner }, version: winners[0] })
  })

  test('absent: of 30 keys at once each is judged by itself, and has its own document and version', async () => {
    const { store, at } = await scene()
    const keys = numbers(30).map((n) => `things/${n}`)
    const isTaken = (n: number): boolean => n % 7 === 0
    await Promise.all(keys.filter((_, n) => isTaken(n)).map((taken) => store.put(taken, { was: 'there' })))

    const expiresAt = at(300)
    const versions = await Promise.all(
      keys.map((one, n) => store.put(one, { n }, { if: 'absent', expiresAt })),
    )

    expect(versions.map((version) => version === undefined)).toEqual(keys.map((_, n) => isTaken(n)))
    for (const [n, version] of versions.entries())
      expect(await store.get(must(keys[n]))).toMatchObject(
        version === undefined ? { value: { was: 'there' } } : { value: { n }, version, expiresAt },
      )
  })

  test('version: a put at the version read wins, a second one at the same version writes nothing', async () => {
    const { store } = await scene()
    const version = must(await store.put(key, { n: 1 }))

    const next = await store.put(key, { n: 2 }, { if: { version } })

    expect(next).toBeDefined()
    expect(await store.put(key, { n: 3 }, { if: { version } })).toBeUndefined()
    expect(await store.get(key)).toStrictEqual({ key, value: { n: 2 }, version: next })
  })

  test('version: of 20 at once exactly one wins', async () => {
    const { store } = await scene()
    const version = must(await store.put(key, { n: -1 }))

    const written = await Promise.all(numbers(20).map((n) => store.put(key, { n }, { if: { version } })))

    expect(written.filter((next) => next !== undefined)).toHaveLength(1)
  })

  test('version: nothing is written where there is no document', async () => {
    const { store } = await scene()
    const version = must(await store.put(key, { n: 1 }))
    await store.delete(key)

    expect(await store.put(key, { n: 2 }, { if: { version } })).toBeUndefined()
    expect(await store.get(key)).toBeUndefined()
  })

  test('version: what is no version of this store matches nothing', async () => {
    const { store } = await scene()
    await store.put(key, { n: 1 })
    const version = foreignVersion('2026-01-01T00:00:00.000000001Z')

    expect(await store.put(key, { n: 2 }, { if: { version } })).toBeUndefined()
    expect(await store.put(key, { n: 2 }, { if: { version: foreignVersion("' OR 1=1 --") } })).toBeUndefined()
    expect(await store.delete(key, { version: foreignVersion('') })).toBe(false)
    expect((await store.get(key))?.value).toStrictEqual({ n: 1 })
  })

  test('a rewrite of the same value is a new version', async () => {
    const { store } = await scene()
    const first = must(await store.put(key, { n: 1 }))

    const second = must(await store.put(key, { n: 1 }))
    const third = must(await store.put(key, { n: 1 }, { if: { version: second } }))

    expect(new Set([first, second, third]).size).toBe(3)
    expect(await store.put(key, { n: 2 }, { if: { version: first } })).toBeUndefined()
  })

  test('a document deleted and put again never gets an earlier version back', async () => {
    const { store } = await scene()
    const versions: (Version | undefined)[] = []

    for (const n of numbers(10)) {
      versions.push(await store.put(key, { n: 0 }, { if: 'absent' }))
      expect(await store.delete(key), `deletion ${n}`).toBe(true)
    }

    expect(new Set(versions.map(must)).size).toBe(10)
  })

  test('8 writers that read, add one and put again lose no count', async () => {
    const { store } = await scene()
    await store.put(key, { count: 0 })
    const addOne = async (): Promise<void> => {
      for (;;) {
        const { value, version } = must(await store.get(key))
        const count = Number(value['count']) + 1
        if ((await store.put(key, { count }, { if: { version } })) !== undefined) return
      }
    }

    await Promise.all(numbers(8).map(addOne))

    expect((await store.get(key))?.value).toStrictEqual({ count: 8 })
  })
}

/** What a version from another store, or from an attacker, would be. */
function foreignVersion(text: string): Version {
  return text as Version
}
