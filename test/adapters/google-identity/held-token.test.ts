import { describe, expect, test } from 'vitest'
import { createCachedToken } from '../../../src/adapters/google-identity/own-identity.ts'
import { BrokerError } from '../../../src/domain/broker-error.ts'
import { Secret } from '../../../src/domain/secret.ts'
import { seconds } from '../../../src/domain/time.ts'
import { createFakeClock } from '../../support/fake-clock.ts'

const unavailable = { code: 'store_unavailable' }

describe("a token of the broker's own", () => {
  test('one token serves until ten minutes before its end', async () => {
    const { identity, clock, asked } = open()
    await identity()

    await clock.advance(2_999_000)
    expect((await identity()).reveal()).toBe('token-1')
    expect(asked()).toBe(1)
    await clock.advance(1000)
    expect((await identity()).reveal()).toBe('token-2')
  })

  test('while one call refreshes ahead the others are given the old token at once', async () => {
    const { identity, clock, hold } = open()
    await identity()
    await clock.advance(3_000_000)

    const release = hold()
    const refreshing = identity()
    expect((await identity()).reveal()).toBe('token-1')
    release()

    expect((await refreshing).reveal()).toBe('token-2')
    expect((await identity()).reveal()).toBe('token-2')
  })

  test('P20: a token that is not dead serves while Google cannot be asked, and not after', async () => {
    const { identity, clock, failWith } = open()
    await identity()
    failWith('timeout')

    for (const left of [600, 301, 299, 61]) {
      await clock.advance(3_600_000 - left * 1000 - clock.steadyMs())
      expect((await identity()).reveal(), `${left} s left`).toBe('token-1')
    }
    await clock.advance(1000)
    await expect(identity()).rejects.toMatchObject(unavailable)
  })

  test('P19: a wall clock that jumps back does not lengthen a token, and one that jumps ahead asks anew', async () => {
    const { identity, clock } = open()
    await identity()

    clock.jump(-3600)
    await clock.advance(3_000_000)
    expect((await identity()).reveal()).toBe('token-2')
    clock.jump(3600)
    expect((await identity()).reveal()).toBe('token-3')
  })

  test('20 calls at once share one question, and on Workers none waits for another', async () => {
    const shared = open()
    const tokens = await Promise.all(Array.from({ length: 20 }, () => shared.identity()))
    const apart = open({ sharesWork: false })
    await Promise.all(Array.from({ length: 20 }, () => apart.identity()))

    expect(new Set(tokens.map((token) => token.reveal()))).toStrictEqual(new Set(['token-1']))
    expect(shared.asked()).toBe(1)
    expect(apart.asked()).toBe(20)
    await apart.identity()
    expect(apart.asked()).toBe(20)
  })

  test('P21: a failure is remembered for two seconds', async () => {
    const { identity, clock, asked, failWith } = open()
    failWith('invalid_grant')
    await expect(identity()).rejects.toMatchObject(unavailable)
    await expect(identity()).rejects.toMatchObject(unavailable)
    expect(asked()).toBe(1)

    failWith(undefined)
    await clock.advance(2000)
    expect((await identity()).reveal()).toBe('token-2')
  })

  test('a token that Google refuses is replaced, unless it is new', async () => {
    const { identity, clock } = open()
    const first = await identity()

    expect(await identity(first)).toBe(first)
    await clock.advance(10_000)
    expect((await identity(first)).reveal()).toBe('token-2')
    expect((await identity(first)).reveal()).toBe('token-2')
  })
})

/** Google gives `token-1`, `token-2` and so on, an hour each, unless it is told to fail. */
function open({ sharesWork = true }: { readonly sharesWork?: boolean } = {}) {
  const clock = createFakeClock()
  let asked = 0
  let failure: string | undefined
  let held: Promise<void> | undefined
  const fetchToken = async () => {
    asked += 1
    const token = new Secret(`token-${asked}`)
    await held
    if (failure !== undefined) throw new BrokerError('store_unavailable', { reason: failure })
    return { token, lifetime: seconds(3600) }
  }
  return {
    clock,
    asked: () => asked,
    failWith: (reason: string | undefined) => (failure = reason),
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      held = promise
      return resolve
    },
    identity: createCachedToken({ clock, sharesWork, fetchToken }),
  }
}
