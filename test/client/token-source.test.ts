import { decodeJwt, exportJWK, generateKeyPair, jwtVerify } from 'jose'
import { describe, expect, test } from 'vitest'
import { createTokenSource, TokenError, type TokenSourceOptions } from '../../src/client/token-source.ts'

interface Asked {
  readonly path: string
  readonly form: URLSearchParams
  readonly redirect: string | undefined
}

const url = 'https://tokens.acme.example'
const part = (value: object): string => btoa(JSON.stringify(value)).replaceAll('=', '')
const jwt = `${part({ alg: 'ES256' })}.${part({ sub: 'workload' })}.c2ln`

/** A broker by `fetch`, and clocks that the test moves. */
function createWorld() {
  const asked: Asked[] = []
  let nowMs = 1_795_000_000_000
  let count = 0
  const timers = new Set<{ readonly atMs: number; readonly ring: () => void }>()
  const world = {
    asked,
    tokens: () => asked.filter(({ path }) => path === '/v1/token'),
    move: (ms: number) => {
      nowMs += ms
      for (const timer of timers) if (timer.atMs <= nowMs) timer.ring()
    },
    answer: (_form: URLSearchParams): Response | Promise<Response> => {
      count += 1
      return Response.json({ access_token: `token-${count}`, expires_in: 3599, scope: 'a b' })
    },
    runtime: {
      fetch: async (input: string | URL | Request, init?: RequestInit) => {
        const { pathname } = new URL(input instanceof Request ? input.url : input)
        const form = new URLSearchParams(init?.body instanceof URLSearchParams ? init.body : '')
        asked.push({ path: pathname, form, redirect: init?.redirect })
        if (pathname.startsWith('/.well-known/')) return Response.json({ issuer: url })
        return world.answer(form)
      },
      now: () => nowMs,
      steady: () => nowMs,
      random: () => 0.5,
      wait: (ms: number) => {
        let ring = (): void => undefined
        const over = new Promise<void>((done) => (ring = done))
        const timer = { atMs: nowMs + ms, ring: () => ring() }
        timers.add(timer)
        return { over, cancel: () => timers.delete(timer) }
      },
      isolatesRequests: false,
    },
    source: (more: Partial<TokenSourceOptions> = {}) =>
      createTokenSource({ url, credential: 'reports', proof: () => jwt, runtime: world.runtime, ...more }),
  }
  return world
}

describe('createTokenSource', () => {
  test('asks as RFC 8693 says, for the scopes given, and follows no redirect', async () => {
    const world = createWorld()
    const { token, scopes, expiresAt } = await world
      .source({
        scopes: ['b', 'a', 'a'],
        lifetime: 600,
        subject: 'ada@acme.example',
        accessBoundary: { accessBoundaryRules: [] },
      })
      .getToken()

    expect([token, scopes, expiresAt]).toEqual(['token-1', ['a', 'b'], 1_795_000_000_000 + 3_599_000])
    expect(Object.fromEntries(world.tokens()[0]?.form ?? [])).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      subject_token: jwt,
      audience: 'reports',
      requested_lifetime: '600',
      requested_subject: 'ada@acme.example',
      options: '{"accessBoundary":{"accessBoundaryRules":[]}}',
      scope: 'a b',
    })
    expect(world.tokens()[0]?.redirect).toBe('manual')
  })

  test('of many askers one asks the broker, and the token is kept', async () => {
    const world = createWorld()
    const source = world.source()
    const all = await Promise.all(Array.from({ length: 50 }, () => source.getToken()))
    world.move(50_000)
    await source.getToken()

    expect(new Set(all.map(({ token }) => token))).toEqual(new Set(['token-1']))
    expect(world.tokens()).toHaveLength(1)
  })

  test('refreshes ahead, before 5 minutes are left, while it serves the old token', async () => {
    const world = createWorld()
    const source = world.source({ recheck: 86_400 })
    await source.getToken()
    world.move(3_000_000)
    expect((await source.getToken()).token).toBe('token-1')
    expect(world.tokens()).toHaveLength(1)

    world.move(150_000)
    expect((await source.getToken()).token).toBe('token-1')
    await settle()
    expect((await source.getToken()).token).toBe('token-2')
    expect(world.tokens()).toHaveLength(2)
  })

  test('a broker that gives the same token again is not asked at every call', async () => {
    const world = createWorld()
    const source = world.source({ recheck: 86_400 })
    world.answer = () => Response.json({ access_token: 'same', expires_in: 1000, scope: 'a' })
    await source.getToken()
    world.move(600_000)
    world.answer = () => Response.json({ access_token: 'same', expires_in: 400, scope: 'a' })
    for (const _ of Array.from({ length: 20 })) {
      await source.getToken()
      await settle()
    }
    expect(world.tokens()).toHaveLength(2)
  })

  test('is over when either clock says so', async () => {
    const world = createWorld()
    const source = world.source({ recheck: 86_400 })
    await source.getToken()
    world.move(3_600_000)
    expect((await source.getToken()).token).toBe('token-2')
  })

  test('asks again after a moment where the broker is down, and says why in the end', async () => {
    const world = createWorld()
    const failures: TokenError[] = []
    world.answer = () => Promise.reject(new TypeError('fetch failed'))
    const source = world.source({ timeout: 2_000, onFailure: (failure) => failures.push(failure) })
    let failure: unknown
    void source.getToken().catch((error: unknown) => (failure = error))
    while (failure === undefined) {
      await settle()
      world.move(50)
    }

    expect(failure).toBeInstanceOf(TokenError)
    expect(failure).toMatchObject({ code: 'unavailable' })
    expect(failures.length).toBeGreaterThan(1)
    expect(failures.length).toBeLessThan(8)
  })

  test('never asks before the broker said (Retry-After)', async () => {
    const world = createWorld()
    world.answer = () =>
      Response.json({ error: 'temporarily_unavailable' }, { status: 503, headers: { 'retry-after': '20' } })
    const source = world.source({ timeout: 1_000 })
    await expect(source.getToken()).rejects.toMatchObject({ code: 'unavailable', retryAfterMs: 20_000 })
    world.move(19_000)
    await expect(source.getToken()).rejects.toMatchObject({ code: 'unavailable' })
    expect(world.tokens()).toHaveLength(1)
    world.move(2_000)
    await expect(source.getToken()).rejects.toMatchObject({ code: 'unavailable' })
    expect(world.tokens()).toHaveLength(2)
  })

  test('a refusal is thrown with what the broker said, and asked again only after a while', async () => {
    const world = createWorld()
    world.answer = () =>
      Response.json(
        { error: 'invalid_scope', error_description: 'no' },
        { status: 400, headers: { 'x-request-id': 'r-1' } },
      )
    const source = world.source()
    for (const _ of [1, 2, 3])
      await expect(source.getToken()).rejects.toMatchObject({
        code: 'refused',
        error: 'invalid_scope',
        requestId: 'r-1',
        message: 'invalid_scope: no',
      })
    expect(world.tokens()).toHaveLength(1)
  })

  test.each([
    ['no expires_in', { access_token: 'x' }],
    ['expires_in as text', { access_token: 'x', expires_in: '3599' }],
    ['a life of nothing', { access_token: 'x', expires_in: 0 }],
    ['no token', { expires_in: 3599 }],
    ['an empty token', { access_token: '', expires_in: 3599 }],
  ])('%s is no token', async (_name, document) => {
    const world = createWorld()
    world.answer = () => Response.json(document)
    await expect(world.source({ timeout: 1 }).getToken()).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('signs with a key of its own, for the broker alone, with a jti each time', async () => {
    const world = createWorld()
    const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
    const source = world.source({
      proof: { key: { ...(await exportJWK(privateKey)), kid: 'k-1' }, caller: 'billing' },
    })
    await Promise.all([source.getToken({ scopes: ['a'] }), source.getToken({ scopes: ['b'] })])

    const shown = await Promise.all(
      world.tokens().map(({ form }) =>
        jwtVerify(form.get('subject_token') ?? '', publicKey, {
          issuer: 'billing',
          subject: 'billing',
          audience: url,
        }),
      ),
    )
    expect(shown[0]?.protectedHeader).toEqual({ alg: 'ES256', kid: 'k-1' })
    expect(new Set(shown.map(({ payload }) => payload.jti)).size).toBe(2)
  })

  test('signs as the issuer that its key names', async () => {
    const world = createWorld()
    const { privateKey } = await generateKeyPair('ES256', { extractable: true })
    const key = { ...(await exportJWK(privateKey)), iss: 'billing' }
    await world.source({ proof: { key } }).getToken()

    expect(decodeJwt(world.tokens()[0]?.form.get('subject_token') ?? '')).toMatchObject({
      iss: 'billing',
      sub: 'billing',
    })
  })

  test.each([
    [{ url: 'http://tokens.acme.example' }, 'https'],
    [{ url: 'tokens' }, 'is not the URL'],
    [{ proof: { key: { kty: 'EC', crv: 'P-256' } } }, 'proof.caller'],
  ])('refuses %o at once', (more, sentence) => {
    expect(() => createWorld().source(more)).toThrow(sentence)
  })

  test.each([
    ['half a JWT', jwt.slice(0, jwt.lastIndexOf('.')), 'written only half'],
    ['an expired JWT', `${part({})}.${part({ exp: 1_794_999_990 })}.c2ln`, 'expired 10 s ago'],
  ])('%s is shown to nobody', async (_name, proof, sentence) => {
    const world = createWorld()
    await expect(world.source({ proof: () => proof, timeout: 1 }).getToken()).rejects.toMatchObject({
      code: 'proof',
      message: expect.stringContaining(sentence) as string,
    })
    expect(world.tokens()).toEqual([])
  })

  test('gives ID tokens for one audience, and headers', async () => {
    const world = createWorld()
    const source = world.source()
    await source.getIdToken('https://run.example')
    expect(Object.fromEntries(world.tokens()[0]?.form ?? [])).toMatchObject({
      requested_token_type: 'urn:ietf:params:oauth:token-type:id_token',
      resource: 'https://run.example',
    })
    expect(await source.getRequestHeaders()).toEqual({ authorization: 'Bearer token-2' })
  })

  test('keeps at most 200 kinds of tokens', async () => {
    const world = createWorld()
    const source = world.source()
    for (let index = 0; index < 200; index += 1) await source.getToken({ scopes: [`s${index}`] })
    await source.getToken({ scopes: ['s0'] })
    expect(world.tokens()).toHaveLength(200)
    for (let index = 1; index < 201; index += 1) await source.getToken({ scopes: [`s${index}`] })
    await source.getToken({ scopes: ['s200'] })
    await source.getToken({ scopes: ['s1'] })
    expect(world.tokens()).toHaveLength(201)
    await source.getToken({ scopes: ['s0'] })
    expect(world.tokens()).toHaveLength(202)
  })

  test('where requests are isolated from each other, each asks for itself and a due token is renewed in it', async () => {
    const world = createWorld()
    const source = world.source({ runtime: { ...world.runtime, isolatesRequests: true }, recheck: 86_400 })
    await Promise.all([source.getToken(), source.getToken()])
    expect(world.tokens()).toHaveLength(2)
    world.move(3_200_000)
    expect((await source.getToken()).token).toBe('token-3')
  })

  test('where requests are isolated from each other, a due token whose renewal is refused is given to nobody', async () => {
    const world = createWorld()
    const source = world.source({ runtime: { ...world.runtime, isolatesRequests: true }, recheck: 86_400 })
    await source.getToken()
    world.move(3_200_000)
    world.answer = () => Response.json({ error: 'invalid_target' }, { status: 400 })
    await expect(source.getToken()).rejects.toMatchObject({ code: 'refused' })
  })
})

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
  await new Promise((done) => setTimeout(done, 0))
}
