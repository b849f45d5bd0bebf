import { describe, expect, it } from 'vitest'
import { BrokerError } from '../../src/domain/broker-error.ts'
import { seconds } from '../../src/domain/time.ts'
import { quickDigest, webSha256 } from '../support/sequence.ts'
import { createGrant, createResolveWorld } from '../support/resolve-world.ts'

const down = () =>
  new BrokerError('upstream_unavailable', { reason: 'the upstream is down', retryAfter: seconds(1) })

describe('resolve', () => {
  it('mints once and then answers from memory', async () => {
    const { createInstance, upstream } = createResolveWorld()
    const { resolve } = createInstance('one')
    const first = await resolve()
    const second = await resolve()
    expect([first.source, second.source]).toEqual(['mint', 'memory'])
    expect(second.token.secret.reveal()).toBe('token-1')
    expect(first.remaining).toBe(3600)
    expect(upstream.calls).toBe(1)
  })

  it('shares a token with other instances through the store', async () => {
    const { createInstance, upstream } = createResolveWorld()
    await createInstance('one').resolve()
    const second = await createInstance('two').resolve()
    expect(second.source).toBe('store')
    expect(second.token.secret.reveal()).toBe('token-1')
    expect(upstream.calls).toBe(1)
  })

  it.each([3, 10, 59])('P19: a token of %i s has life left whenever it is handed out', async (lifetime) => {
    const { clock, createInstance, upstream } = createResolveWorld(lifetime)
    // Unlike the others of these tests, these instances take a moment for whatever they do.
    let calls = 0
    const creeping = { ...clock, steadyMs: () => clock.steadyMs() + (calls += 1) / 1000 }
    const [one, two] = [
      createInstance('one', { clock: creeping }),
      createInstance('two', { clock: creeping }),
    ]
    for (let tenth = 0; tenth < 10 * lifetime * 3; tenth += 1) {
      for (const { resolve, background } of [one, two]) {
        expect((await resolve()).remaining).toBeGreaterThanOrEqual(1)
        await background.settled()
      }
      await clock.advance(100)
    }
    expect(upstream.calls).toBeGreaterThanOrEqual(3)
  })

  it('P19: a token that ends between the look at it and the answer is not handed out', async () => {
    const outcomes: unknown[] = []
    // The clock jumps over the end of the token at each of the moments at which it is read.
    for (let jumpAt = 1; jumpAt <= 12; jumpAt += 1) {
      const { clock, createInstance } = createResolveWorld(600)
      let reads = -Infinity
      const steadyMs = () => {
        reads += 1
        return clock.steadyMs() + (reads >= jumpAt ? 600_000 : 0)
      }
      const { resolve } = createInstance('one', { clock: { ...clock, steadyMs } })
      await resolve()
      reads = 0
      outcomes.push(
        await resolve().then(
          ({ remaining }) => remaining >= 1,
          (error: unknown) => error,
        ),
      )
    }
    expect(outcomes.filter((outcome) => outcome === false)).toEqual([])
    const ended = outcomes.filter((outcome) => outcome instanceof BrokerError)
    expect(ended.length).toBeGreaterThan(0)
    for (const error of ended)
      expect(error).toMatchObject({ code: 'upstream_unavailable', retryAfter: 1, reason: /ended while/ })
  })

  it('shows the SHA-256 of the token it answers with', async () => {
    const { createInstance } = createResolveWorld()
    const { digest } = await createInstance('one', { sha256: webSha256 }).resolve()
    // printf token-1 | sha256sum
    expect(digest).toBe('3f08aace122ee2368432c1ca23a049bc640bafbf00fdf33a52429f38ba12dbf9')
  })

  it('P16: a mint goes on in the background, for its caller may hang up; a hit leaves nothing there', async () => {
    const { clock, createInstance, upstream } = createResolveWorld()
    const { resolve, background } = createInstance('one')
    upstream.takesMs = 1000
    const abandoned = resolve()
    await clock.advance(0)
    expect(background.started()).toBe(1)
    await clock.advance(1000)
    await background.settled()
    // What the background waited for was the whole of it: the token is kept too.
    expect((await createInstance('two').resolve()).source).toBe('store')
    await abandoned
    await resolve()
    expect(background.started()).toBe(1)
  })

  it("P16: a mint that fails is its caller's matter and no failure of the background", async () => {
    const { createInstance, upstream } = createResolveWorld()
    const { resolve, background } = createInstance('one')
    upstream.failure = down()
    await expect(resolve()).rejects.toMatchObject({ code: 'upstream_unavailable' })
    await background.settled()
  })

  it('P14: never answers one grant with the token of another', async () => {
    const { createInstance, upstream } = createResolveWorld()
    const { resolve } = createInstance('one')
    await resolve(createGrant({ scopes: ['a'] }))
    const other = await resolve(createGrant({ scopes: ['a', 'b'] }))
    expect(other.token.secret.reveal()).toBe('token-2')
    expect(upstream.calls).toBe(2)
  })

  it('P28: while a rotation is fresh and the upstream is down, the token of the former version is served', async () => {
    const { createInstance, upstream, clock } = createResolveWorld()
    const { credential } = createGrant()
    const { resolve } = createInstance('one')
    await resolve()
    upstream.failure = down()
    const rotated = createGrant({ credential: { ...credential, version: 'v2', standby: 'v1' } })
    expect((await resolve(rotated)).token.secret.reveal()).toBe('token-1')
    const retired = createGrant({ credential: { ...credential, version: 'v2' } })
    await clock.advance(10_000)
    await expect(resolve(retired)).rejects.toMatchObject({ code: 'upstream_unavailable' })
    upstream.failure = undefined
    await clock.advance(10_000)
    expect((await resolve(rotated)).source).toBe('mint')
  })

  it('P26: a token drawn from a version that is no longer live is served by nobody, from nowhere', async () => {
    const { createInstance, upstream } = createResolveWorld()
    const { credential } = createGrant()
    const [one, two] = [createInstance('one'), createInstance('two')]
    const overlapping = createGrant({ credential: { ...credential, version: 'v2', standby: 'v1' } })
    await one.resolve(overlapping)
    // Drawn from the standby, and served as long as that may mint.
    expect((await one.resolve(overlapping)).source).toBe('memory')
    expect((await two.resolve(overlapping)).source).toBe('store')
    const retired = createGrant({ credential: { ...credential, version: 'v2' } })
    upstream.drawnFrom = ['v2']
    expect((await one.resolve(retired)).source).toBe('mint')
    expect((await two.resolve(retired)).token.secret.reveal()).toBe('token-2')
    expect(upstream.calls).toBe(2)
  })

  it('P26: a request that joins a mint gets no token of a version that is not allowed any more', async () => {
    const { createInstance, upstream, clock } = createResolveWorld()
    const { credential } = createGrant()
    const { resolve } = createInstance('one')
    upstream.takesMs = 1000
    const first = resolve(createGrant({ credential: { ...credential, version: 'v2', standby: 'v1' } }))
    await clock.advance(500)
    const joined = resolve(createGrant({ credential: { ...credential, version: 'v2' } }))
    await clock.advance(500)
    expect((await first).token.drawnFrom).toEqual(['v1'])
    upstream.drawnFrom = ['v2']
    await clock.advance(2000)
    expect((await joined).token.drawnFrom).toEqual(['v2'])
  })

  it('P26: a revoked token is served by nobody, from nowhere', async () => {
    const { createInstance, upstream, revoked } = createResolveWorld()
    const [one, two] = [createInstance('one'), createInstance('two')]
    const { digest } = await one.resolve()
    revoked.add(digest)
    expect((await one.resolve()).token.secret.reveal()).toBe('token-2')
    expect((await two.resolve()).source).toBe('store')
    expect(upstream.calls).toBe(2)
  })

  it('P26: nor when the upstream gives it again, which is asked for another once a minute', async () => {
    const { createInstance, upstream, revoked, clock } = createResolveWorld()
    const { resolve } = createInstance('one')
    upstream.repeats = true
    revoked.add((await resolve()).digest)
    await expect(resolve()).rejects.toMatchObject({ code: 'upstream_unavailable', retryAfter: 60 })
    await clock.advance(50_000)
    await expect(resolve()).rejects.toMatchObject({ code: 'upstream_unavailable', retryAfter: 10 })
    expect(upstream.calls).toBe(2)
    await clock.advance(10_000)
    upstream.repeats = false
    expect((await resolve()).token.secret.reveal()).toBe('token-3')
    expect((await createInstance('two').resolve()).source).toBe('store')
  })

  it('P26: a token that is revoked while it is minted is not handed out', async () => {
    const { createInstance, upstream, revoked, clock } = createResolveWorld()
    const { resolve } = createInstance('one')
    upstream.takesMs = 1000
    const [first, joined] = [resolve(), resolve()]
    await clock.advance(500)
    revoked.add(quickDigest('token-1'))
    await clock.advance(500)
    await expect(first).rejects.toMatchObject({ code: 'upstream_unavailable' })
    await expect(joined).rejects.toMatchObject({ code: 'upstream_unavailable' })
  })

  it('P26: a token of an impersonated account dies with the version of its source', async () => {
    const { createInstance, upstream } = createResolveWorld()
    const source = { ...createGrant().credential, name: 'source', version: 's1' }
    const { resolve } = createInstance('one')
    upstream.drawnFrom = ['v1', 's0']
    const overlapping = createGrant({
      credential: { ...createGrant().credential, source: { ...source, standby: 's0' } },
    })
    expect((await resolve(overlapping)).source).toBe('mint')
    expect((await resolve(overlapping)).source).toBe('memory')
    expect((await resolve(createGrant({ credential: { ...createGrant().credential, source } }))).source).toBe(
      'mint',
    )
  })

  it('P15: 200 callers on two instances cause one upstream call', async () => {
    const { clock, createInstance, upstream } = createResolveWorld()
    upstream.takesMs = 800
    const [one, two] = [createInstance('one'), createInstance('two')]
    const callers = Array.from({ length: 200 }, (_, index) => (index % 2 === 0 ? one : two))
    const answers = Promise.all(callers.map(async (instance) => instance.resolve()))
    await clock.advance(5000)
    const tokens = new Set((await answers).map((answer) => answer.token.secret.reveal()))
    expect(tokens).toEqual(new Set(['token-1']))
    expect(upstream.calls).toBe(1)
    expect(upstream.mostAtOnce).toBe(1)
  })

  it('takes over the lease of an instance that died while minting', async () => {
    const { clock, createInstance, upstream } = createResolveWorld()
    const dead = createInstance('dead')
    upstream.takesMs = 60_000
    const abandoned = dead.resolve()
    await clock.advance(13_000)
    upstream.takesMs = 0
    const taken = createInstance('alive').resolve()
    await clock.advance(1000)
    expect((await taken).token.secret.reveal()).toBe('token-2')
    // P18: the late answer comes now, and must not replace the newer token.
    await clock.advance(60_000)
    expect((await abandoned).token.secret.reveal()).toBe('token-1')
    expect((await createInstance('third').resolve()).token.secret.reveal()).toBe('token-2')
  })

  it('gives up with lease_busy when another instance mints for longer than 3 s', async () => {
    const { clock, createInstance, upstream } = createResolveWorld()
    upstream.takesMs = 6_000
    const slow = createInstance('one').resolve()
    await clock.advance(10)
    const waiting = createInstance('two').resolve()
    const refusal = waiting.catch((error: unknown) => error)
    await clock.advance(6_000)
    expect(await refusal).toMatchObject({ code: 'lease_busy', retryAfter: 1 })
    expect((await slow).token.secret.reveal()).toBe('token-1')
  })
})

describe('refresh ahead', () => {
  it('serves a due token at once while one refresh runs behind it', async () => {
    const { clock, createInstance, upstream } = createResolveWorld()
    const { resolve, background } = createInstance('one')
    await resolve()
    await clock.advance((3600 - 740) * 1000)
    const answers = await Promise.all([resolve(), resolve(), resolve()])
    expect(answers.map((answer) => answer.token.secret.reveal())).toEqual(['token-1', 'token-1', 'token-1'])
    await background.settled()
    expect(upstream.calls).toBe(2)
    expect((await resolve()).token.secret.reveal()).toBe('token-2')
  })

  it('of two instances one refreshes, and the other takes its token from the store', async () => {
    const { clock, createInstance, upstream } = createResolveWorld()
    const one = createInstance('one')
    const two = createInstance('two')
    await one.resolve()
    await two.resolve()
    await clock.advance((3600 - 700) * 1000)
    await Promise.all([one.resolve(), two.resolve()])
    await Promise.all([one.background.settled(), two.background.settled()])
    await clock.advance(6_000)
    await two.resolve()
    await one.resolve()
    await Promise.all([one.background.settled(), two.background.settled()])
    expect(upstream.calls).toBe(2)
    expect((await two.resolve()).token.secret.reveal()).toBe('token-2')
    expect((await one.resolve()).token.secret.reveal()).toBe('token-2')
  })

  it('is done by the request itself where there is no CPU after the answer', async () => {
    const { clock, createInstance, upstream } = createResolveWorld()
    const { resolve } = createInstance('one', { inline: true })
    await resolve()
    await clock.advance((3600 - 700) * 1000)
    const answer = await resolve()
    expect(answer).toMatchObject({ source: 'mint' })
    expect(upstream.calls).toBe(2)
  })

  it('P20: a warm token is served through an outage of upstream, store and key ring, until it is dead', async () => {
    const { clock, createInstance, upstream, store, keyRing } = createResolveWorld()
    const { resolve, background } = createInstance('one')
    await resolve()
    upstream.failure = down()
    await clock.advance((3600 - 700) * 1000)
    for (let elapsed = 0; elapsed < 600; elapsed += 100) {
      const answer = await resolve()
      expect(answer.token.secret.reveal()).toBe('token-1')
      await background.settled()
      await clock.advance(100_000)
      if (elapsed === 200) store.down = true
      if (elapsed === 400) keyRing.down = true
    }
    await clock.advance(50_000)
    const refused = resolve().catch((error: unknown) => error)
    await clock.advance(300)
    expect(await refused).toMatchObject({ code: 'store_unavailable' })
    store.down = false
    keyRing.down = false
    upstream.failure = undefined
    await clock.advance(2_000)
    expect((await resolve()).source).toBe('mint')
  })

  it('P19: with less than 300 s left the request waits for a better token', async () => {
    const { clock, createInstance } = createResolveWorld()
    const { resolve } = createInstance('one')
    await resolve()
    await clock.advance((3600 - 299) * 1000)
    const answer = await resolve()
    expect(answer.source).toBe('mint')
    expect(answer.remaining).toBe(3600)
  })
})

describe('failures', () => {
  it('after a failed mint nothing is asked for 2 s; who comes meanwhile waits for that, and is served', async () => {
    const { clock, createInstance, upstream } = createResolveWorld()
    const { resolve } = createInstance('one')
    upstream.failure = down()
    await expect(resolve()).rejects.toMatchObject({ code: 'upstream_unavailable' })
    const next = [resolve(), resolve()]
    await clock.advance(1_900)
    expect(upstream.calls).toBe(1)
    upstream.failure = undefined
    await clock.advance(400)
    expect(await Promise.all(next)).toMatchObject([{ source: 'mint' }, { source: 'memory' }])
    expect(upstream.calls).toBe(2)
  })

  it('a refusal does not pass by itself: whoever comes meanwhile is told at once', async () => {
    const { createInstance, upstream } = createResolveWorld()
    const { resolve } = createInstance('one')
    upstream.failure = new BrokerError('target_unavailable', { reason: 'revoked' })
    for (let ask = 0; ask < 3; ask += 1)
      await expect(resolve()).rejects.toMatchObject({ code: 'target_unavailable' })
    expect(upstream.calls).toBe(1)
  })

  it.each(['get', 'put'] as const)('a store whose %s fails once is asked again', async (operation) => {
    const { clock, createInstance, store } = createResolveWorld()
    store.before = (asked) => {
      store.down = asked === operation
      if (store.down) store.before = () => Promise.resolve(void (store.down = false))
      return Promise.resolve()
    }
    const asked = createInstance('one').resolve()
    await clock.advance(300)
    expect((await asked).source).toBe('mint')
  })

  it('P21: Retry-After of the upstream holds for every request', async () => {
    const { clock, createInstance, upstream } = createResolveWorld()
    const { resolve } = createInstance('one')
    upstream.failure = new BrokerError('upstream_unavailable', { reason: '429', retryAfter: seconds(20) })
    await expect(resolve()).rejects.toMatchObject({ retryAfter: 20 })
    await clock.advance(15_000)
    await expect(resolve()).rejects.toMatchObject({ retryAfter: 5 })
    expect(upstream.calls).toBe(1)
  })

  it('the lease of a failed mint is free at once for another instance', async () => {
    const { createInstance, upstream } = createResolveWorld()
    upstream.failure = down()
    await expect(createInstance('one').resolve()).rejects.toMatchObject({ code: 'upstream_unavailable' })
    upstream.failure = undefined
    expect((await createInstance('two').resolve()).source).toBe('mint')
  })

  it('a bug in a mint frees the lease, and is not remembered', async () => {
    const { createInstance, upstream } = createResolveWorld()
    const { resolve } = createInstance('one')
    upstream.failure = new TypeError('a bug')
    await expect(resolve()).rejects.toBeInstanceOf(TypeError)
    upstream.failure = undefined
    expect((await resolve()).source).toBe('mint')
  })

  it('P20: with the store down and nothing in memory the answer is store_unavailable, and it recovers', async () => {
    const { clock, createInstance, store } = createResolveWorld()
    const { resolve } = createInstance('one')
    store.down = true
    const refused = resolve().catch((error: unknown) => error)
    await clock.advance(300)
    expect(await refused).toMatchObject({ code: 'store_unavailable' })
    store.down = false
    await clock.advance(2_001)
    expect((await resolve()).source).toBe('mint')
  })

  it('a token that could not be stored is served all the same', async () => {
    const { createInstance, store, logBook } = createResolveWorld()
    const { resolve } = createInstance('one')
    let puts = 0
    store.before = async (operation) => {
      await Promise.resolve()
      if (operation === 'put') puts += 1
      store.down = puts === 2
    }
    expect((await resolve()).source).toBe('mint')
    expect(logBook.lines.map(({ message }) => message)).toContain('token not kept')
  })

  it('a stored token that does not open is a miss, and is replaced', async () => {
    const { createInstance, store, upstream } = createResolveWorld()
    await createInstance('one').resolve()
    const [stored] = await store.list({ prefix: 'tokens/', limit: 1 })
    await store.put(stored?.key ?? '', { ...stored?.value, token: { sealed: 'garbage' } })
    expect((await createInstance('two').resolve()).token.secret.reveal()).toBe('token-2')
    expect((await createInstance('three').resolve()).token.secret.reveal()).toBe('token-2')
    expect(upstream.calls).toBe(2)
  })
})

describe('P19: clock jumps', () => {
  it.each([-3600, -1800, -300, 300, 1800, 3600])(
    'no dead token is served after a jump of %i s',
    async (jump) => {
      const { clock, createInstance } = createResolveWorld()
      const { resolve } = createInstance('one')
      await resolve()
      await clock.advance(1_800_000)
      clock.jump(jump)
      // The token was minted 1,800 s ago; whatever the wall clock says, after 1,800 s more it is dead.
      for (let elapsed = 0; elapsed <= 1800; elapsed += 60) {
        const answer = await resolve()
        if (answer.token.secret.reveal() === 'token-1')
          expect(answer.remaining).toBeLessThanOrEqual(1800 - elapsed)
        await clock.advance(60_000)
      }
      expect((await resolve()).token.secret.reveal()).not.toBe('token-1')
    },
  )

  it.each([-3600, -1800])(
    'after a jump of %i s another instance does not believe a stored token',
    async (jump) => {
      const { clock, createInstance, upstream } = createResolveWorld()
      const two = createInstance('two')
      await two.resolve(createGrant({ scopes: ['warm-up'] }))
      await createInstance('one').resolve()
      await clock.advance(3_000_000)
      clock.jump(jump)
      const before = upstream.calls
      expect((await two.resolve()).source).toBe('mint')
      expect(upstream.calls).toBe(before + 1)
    },
  )

  it.each([-3600, -1800])(
    'a jump of %i s while the upstream is asked gives no token a second life',
    async (jump) => {
      const { clock, createInstance, upstream } = createResolveWorld()
      const { resolve } = createInstance('one')
      upstream.takesMs = 1000
      const asked = resolve()
      await clock.advance(500)
      clock.jump(jump)
      await clock.advance(500)
      upstream.takesMs = 0

      expect((await asked).remaining).toBe(3600)
      await clock.advance(3_600_000)
      expect((await resolve()).token.secret.reveal()).toBe('token-2')
    },
  )

  it.each([
    ['the clock jumps an hour ahead meanwhile', 3600, 3600],
    ['the upstream takes longer than its token lives', 1, 0],
  ])('a token is dead on arrival because %s: a planned failure, and then the next one', async (...row) => {
    const [, lifetime, jump] = row
    const { clock, createInstance, upstream } = createResolveWorld(lifetime)
    const { resolve } = createInstance('one')
    upstream.takesMs = 2000
    const asked = resolve().catch((error: unknown) => error)
    await clock.advance(1000)
    clock.jump(jump)
    await clock.advance(1000)
    upstream.takesMs = 0

    expect(await asked).toMatchObject({ code: 'upstream_unavailable', retryAfter: 2 })
    await clock.advance(2000)
    expect((await resolve()).token.secret.reveal()).toBe('token-2')
  })
})

describe('P24: bounds', () => {
  it('a hundred thousand distinct grants do not grow the memory beyond its entries', async () => {
    const { createInstance, upstream } = createResolveWorld()
    const { resolve } = createInstance('one', { entries: 100 })
    for (let index = 0; index < 2_000; index += 1) await resolve(createGrant({ scopes: [`scope-${index}`] }))
    // The last hundred are in memory; the first have gone to the store and are not minted again.
    expect((await resolve(createGrant({ scopes: ['scope-1999'] }))).source).toBe('memory')
    expect((await resolve(createGrant({ scopes: ['scope-0'] }))).source).toBe('store')
    expect(upstream.calls).toBe(2_000)
  })
})
