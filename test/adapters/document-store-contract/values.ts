import { expect, test } from 'vitest'
import type { Document } from '../../../src/ports/document-store.ts'
import { key, type OpenScene } from './scene.ts'

export function describeValues(scene: OpenScene): void {
  test('a document that was never put is undefined', async () => {
    const { store } = await scene()

    expect(await store.get(key)).toBeUndefined()
  })

  test('every kind of JSON comes back as it was put', async () => {
    const { store } = await scene()

    const version = await store.put(key, everyKind)

    expect(await store.get(key)).toStrictEqual({ key, value: everyKind, version })
  })

  test('members keep their order, twenty-five levels keep their depth, and __proto__ is a name like others', async () => {
    const { store } = await scene()
    const deep = '['.repeat(25) + ']'.repeat(25)
    const json = `{"z":1,"a":{"__proto__":{"x":1}},"m":${deep}}`

    await store.put(key, parseObject(json))

    expect(JSON.stringify((await store.get(key))?.value)).toBe(json)
  })

  test('members that are undefined do not exist', async () => {
    const { store } = await scene()
    const absent: Record<string, unknown> = { a: 1, gone: undefined, inside: { gone: undefined } }

    // @ts-expect-error: the type has no undefined; records built with optional members do
    await store.put(key, absent)

    expect((await store.get(key))?.value).toStrictEqual({ a: 1, inside: {} })
  })

  test('a put replaces the whole document', async () => {
    const { store, at } = await scene()
    await store.put(key, { a: 1, b: { c: 2 } }, { expiresAt: at(60) })

    const version = await store.put(key, { b: {} })

    expect(await store.get(key)).toStrictEqual({ key, value: { b: {} }, version })
  })

  test('what was put or read may be changed without changing what is kept', async () => {
    const { store } = await scene()
    const mine = { list: ['kept'] }
    await store.put(key, mine)
    mine.list.push('not kept')
    const read = await store.get(key)

    const { list } = read?.value ?? {}
    if (Array.isArray(list)) list.push('not kept either')

    expect(list).toContain('not kept either')
    expect((await store.get(key))?.value).toStrictEqual({ list: ['kept'] })
  })

  test.each([
    'things/.',
    'things/..',
    'things/__x__',
    'things/____',
    '__x__/one',
    './one',
    '../..',
    `${'k'.repeat(200)}/${'i'.repeat(200)}`,
  ])('the key %.20s is as good as any', async (odd) => {
    const { store } = await scene()

    const version = await store.put(odd, { a: 1 }, { if: 'absent' })

    expect(await store.get(odd)).toStrictEqual({ key: odd, value: { a: 1 }, version })
    expect(await store.list({ prefix: odd, limit: 5 })).toStrictEqual([
      { key: odd, value: { a: 1 }, version },
    ])
    expect(await store.delete(odd)).toBe(true)
  })

  test('keys are compared exactly', async () => {
    const { store } = await scene()
    await store.put('things/Key', { a: 1 })

    expect(await store.get('things/key')).toBeUndefined()
    expect(await store.get('Things/Key')).toBeUndefined()
  })
}

const everyKind: Document = {
  schema: 1,
  text: 'Größe \u{1F511} \u0000 \u2028 "quoted" \\ \uD800',
  numbers: [0, -1, 1.5, 1e-7, 1e21, 2 ** 53, -(2 ** 53), 5e-324, Number.MAX_VALUE],
  truth: [true, false, null],
  nested: [[1, [2, []]], [{ a: [[]] }], {}],
  empty: {},
  none: [],
  names: { '': 1, __name__: 2, 'a.b': 3, 'a/b': 4, '`': 5, größe: 6, constructor: 7, toString: 8 },
}

function parseObject(json: string): Document {
  return JSON.parse(json) as Document
}
