import { describe, expect, it } from 'vitest'
import { Secret } from '../../src/domain/secret.ts'
import { later, seconds } from '../../src/domain/time.ts'
import type { MintedToken } from '../../src/domain/token.ts'
import { createResolveWorld } from '../support/resolve-world.ts'

const key = 'tokens/abc'

function createWorld() {
  const world = createResolveWorld()
  const minted = (text: string): MintedToken => ({
    secret: new Secret(text),
    tokenType: 'access_token',
    scopes: ['a', 'b'],
    drawnFrom: ['v1'],
    issuedAt: world.clock.now(),
    expiresAt: later(world.clock.now(), seconds(3600)),
  })
  const one = world.createInstance('one').tokens
  const two = world.createInstance('two').tokens
  return { ...world, minted, one, two }
}

describe('tokens in the store', () => {
  it('come back as they were kept', async () => {
    const { one, two, minted } = createWorld()
    const claim = await one.claim(await one.find(key))
    if (claim === undefined) throw new Error('the lease was free')
    expect(await one.keep(claim, minted('t1'))).toBe(true)
    const { token } = await two.find(key)
    expect(token).toEqual(minted('t1'))
    expect(token?.secret.reveal()).toBe('t1')
  })

  it('of many claims at once exactly one wins', async () => {
    const { one, two } = createWorld()
    const found = await one.find(key)
    const claims = await Promise.all(
      Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? one : two).claim(found)),
    )
    expect(claims.filter((claim) => claim !== undefined)).toHaveLength(1)
  })

  it('a held lease refuses others until it is over, with a margin for other clocks', async () => {
    const { one, two, clock } = createWorld()
    const first = await one.claim(await one.find(key))
    await clock.advance(12_000)
    expect(await two.claim(await two.find(key))).toBeUndefined()
    await clock.advance(1_000)
    const second = await two.claim(await two.find(key))
    expect(second?.lease.fence).toBe((first?.lease.fence ?? 0) + 1)
  })

  it('P18: whoever lost the lease cannot overwrite the token of its successor', async () => {
    const { one, two, clock, minted } = createWorld()
    const late = await one.claim(await one.find(key))
    await clock.advance(13_000)
    const successor = await two.claim(await two.find(key))
    if (late === undefined || successor === undefined) throw new Error('both had the lease in turn')
    expect(await two.keep(successor, minted('newer'))).toBe(true)
    expect(await one.keep(late, minted('older'))).toBe(false)
    expect((await one.find(key)).token?.secret.reveal()).toBe('newer')
  })

  it('a claim keeps the former token readable, and a release leaves it in place', async () => {
    const { one, two, minted } = createWorld()
    const first = await one.claim(await one.find(key))
    if (first !== undefined) await one.keep(first, minted('t1'))
    const second = await one.claim(await one.find(key))
    expect((await two.find(key)).token?.secret.reveal()).toBe('t1')
    if (second !== undefined) await one.release(second)
    expect((await two.find(key)).token?.secret.reveal()).toBe('t1')
    expect(await two.claim(await two.find(key))).toBeDefined()
  })

  it('an expired token reads as absent', async () => {
    const { one, clock, minted } = createWorld()
    const claim = await one.claim(await one.find(key))
    if (claim !== undefined) await one.keep(claim, minted('t1'))
    await clock.advance(3_600_000)
    expect(await one.find(key)).toEqual({ key })
  })

  it('P23: a token moved to another key does not open, and counts as none', async () => {
    const { one, store, minted, logBook } = createWorld()
    const claim = await one.claim(await one.find(key))
    if (claim !== undefined) await one.keep(claim, minted('t1'))
    const stored = await store.get(key)
    await store.put('tokens/moved', stored?.value ?? {})
    expect((await one.find('tokens/moved')).token).toBeUndefined()
    expect(logBook.lines[0]?.fields['key']).toBe('tokens/moved')
  })
})
