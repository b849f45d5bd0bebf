import { expect, test } from 'vitest'
import { epochSeconds } from '../../../src/domain/time.ts'
import { key, numbers, type OpenScene } from './scene.ts'

export function describeRefusals(scene: OpenScene): void {
  test.each([
    '',
    'things',
    'things/',
    '/one',
    'a/b/c',
    'things/a b',
    'things/a\n',
    'things/é',
    'things/a~',
    'things/a!',
    `things/${'i'.repeat(201)}`,
    `${'c'.repeat(201)}/a`,
    'things/a%2f',
    '//',
  ])('the key %j is a TypeError for every method', async (bad) => {
    const { store } = await scene()

    await expect(store.get(bad)).rejects.toThrow(TypeError)
    await expect(store.put(bad, {})).rejects.toThrow(TypeError)
    await expect(store.delete(bad)).rejects.toThrow(TypeError)
  })

  test.each(['', 'things', 'a/b/', 'things/a*', '/'])('the prefix %j is a TypeError', async (prefix) => {
    const { store } = await scene()

    await expect(store.list({ prefix, limit: 1 })).rejects.toThrow(TypeError)
  })

  test.each([0, -1, 1.5, Number.NaN, Infinity])('the limit %d is a TypeError', async (limit) => {
    const { store } = await scene()

    await expect(store.list({ prefix: 'things/', limit })).rejects.toThrow(TypeError)
  })

  test.each([1.5, Number.NaN, Infinity, -1, 253_402_300_800])(
    'the expiry %d is a TypeError',
    async (expiry) => {
      const { store } = await scene()

      await expect(store.put(key, {}, { expiresAt: epochSeconds(expiry) })).rejects.toThrow(TypeError)
      expect(await store.get(key)).toBeUndefined()
    },
  )

  test.each([
    ['ASCII', 'x', 1],
    ['three octets each', '€', 3],
  ])('900,000 bytes of JSON are kept and one more is a TypeError: %s', async (_, char, octets) => {
    const { store } = await scene()
    const frame = '{"text":""}'.length
    const text = char.repeat((900_000 - frame) / octets)
    const fill = 'x'.repeat(900_000 - frame - text.length * octets)

    await store.put(key, { text: text + fill })
    expect((await store.get(key))?.value).toStrictEqual({ text: text + fill })
    await expect(store.put(key, { text: `${text}${fill}x` })).rejects.toThrow(TypeError)
    expect((await store.get(key))?.value).toStrictEqual({ text: text + fill })
  })

  test('900,000 bytes of many small members are kept too', async () => {
    const { store } = await scene()
    const value = { rows: numbers(110_000).map((n) => [n % 10, [1]]) }
    expect(JSON.stringify(value).length).toBeGreaterThan(850_000)

    await store.put(key, value)

    expect((await store.get(key))?.value).toStrictEqual(value)
  })
}
