import { expect, test } from 'vitest'
import { createGather } from '../../src/adapters/gather.ts'

/** Answers when the test says so. */
function world(most = 100) {
  const batches: { readonly items: readonly string[]; readonly answer: (fault?: string) => void }[] = []
  const add = createGather<string, string>({
    keyOf: (item) => item.split('-')[0] ?? '',
    send: (items) => {
      const { promise, resolve } = Promise.withResolvers<string | undefined>()
      batches.push({ items, answer: resolve })
      return items.map(async (item) => {
        const fault = await promise
        if (fault !== undefined && item.endsWith('!')) throw new Error(fault)
        return `${item} done`
      })
    },
    most,
    waitMs: 1,
  })
  const sent = async (count: number): Promise<void> => {
    for (let turn = 0; turn < 1000 && batches.length < count; turn += 1)
      await new Promise((resolve) => setTimeout(resolve, 1))
    expect(batches).toHaveLength(count)
  }
  return { add, batches, sent }
}

test('what is asked for in one turn goes together, and each has an outcome of its own', async () => {
  const { add, batches, sent } = world()
  const outcomes = Promise.allSettled([add('a'), add('b!'), add('c')])
  await sent(1)
  batches[0]?.answer('refused')

  expect(batches[0]?.items).toEqual(['a', 'b!', 'c'])
  expect((await outcomes).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
})

test('what comes while a batch is out does not wait for its answer, nor that for theirs', async () => {
  const { add, batches, sent } = world()
  const first = add('a')
  await sent(1)
  const second = add('b')
  await sent(2)
  batches[1]?.answer()

  expect(await second).toBe('b done')
  batches[0]?.answer()
  expect(await first).toBe('a done')
})

test('nothing stands twice in a batch, and none is larger than it may be', async () => {
  const { add, batches, sent } = world(2)
  void add('a-1')
  void add('a-2')
  void add('b')
  void add('c')
  await sent(3)

  expect(batches.map(({ items }) => items)).toEqual([['a-1'], ['a-2', 'b'], ['c']])
})
