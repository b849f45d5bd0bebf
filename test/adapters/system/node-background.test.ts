import { describe, expect, test } from 'vitest'
import { createNodeBackground } from '../../../src/adapters/system/background.ts'

describe('background work', () => {
  test('starts at once, and its failure is logged and hurts nobody', async () => {
    const { background, logged } = create()
    const failure = new Error('boom')
    let started = 0

    background.run(() => {
      started += 1
      throw failure
    })
    background.run(async () => {
      started += 1
      await Promise.reject(failure)
    })

    expect(started).toBe(2)
    expect(await background.drain(1000)).toBe(0)
    expect(logged).toEqual([
      ['error', 'background work failed', { error: failure }],
      ['error', 'background work failed', { error: failure }],
    ])
  })

  test('a drain waits for what runs, and for what that starts', async () => {
    const { background } = create()
    const gate = Promise.withResolvers<void>()
    const done: string[] = []
    background.run(async () => {
      await gate.promise
      done.push('first')
      background.run(async () => {
        await Promise.resolve()
        done.push('second')
      })
    })

    const drained = background.drain(5000)
    gate.resolve()

    expect(await drained).toBe(0)
    expect(done).toEqual(['first', 'second'])
  })

  test('a drain gives up at its deadline and says how much it left', async () => {
    const { background } = create()
    background.run(() => new Promise(() => {}))
    background.run(() => new Promise(() => {}))
    background.run(() => Promise.resolve())

    expect(await background.drain(10)).toBe(2)
  })

  test('a drain of nothing is over at once', async () => {
    expect(await create().background.drain(60_000)).toBe(0)
  })
})

function create() {
  const logged: unknown[] = []
  const background = createNodeBackground({ log: (...line) => logged.push(line), runsAfterAnswer: true })
  return { background, logged }
}
