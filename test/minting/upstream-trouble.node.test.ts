import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { BrokerErrorCode } from '../../src/domain/broker-error.ts'
import type { Behaviour } from '../support/google/behaviour.ts'
import { DRIVE, failureOf, startMintWorld, STORAGE_READ, type MintWorld } from '../support/mint-world.ts'

const names = ['reports-sa', 'user'] as const
const scopes = { 'reports-sa': [STORAGE_READ], user: [DRIVE] }

let world: MintWorld

beforeEach(async () => {
  world = await startMintWorld()
  await world.enrol('reports-sa', await world.google.createServiceAccount())
  await world.enrol('user', world.google.createRefreshToken({ scopes: [DRIVE] }), [DRIVE])
})
// The positive control: left alone, and given time, the same credentials mint again by themselves.
afterEach(async () => {
  world.cutTimeouts()
  world.google.clearScripts()
  world.clock.skip(70_000)
  for (const name of names) expect((await mint(name)).scopes).toEqual(scopes[name])
  await world.background.settled()
  expect(world.leaks()).toEqual([])
  await world.google.close()
})

const mint = async (name: 'reports-sa' | 'user') => world.mint(await world.grantFor(name, scopes[name]))
const lie = (as: Extract<Behaviour, { do: 'lie' }>['as']): Behaviour => ({ do: 'lie', as })

const troubles: readonly (readonly [string, Behaviour, BrokerErrorCode])[] = [
  ['a hanging connection', { do: 'hang' }, 'upstream_unavailable'],
  ['a reset before the answer', { do: 'reset', when: 'before_answer' }, 'upstream_unavailable'],
  ['a reset within the answer', { do: 'reset' }, 'upstream_unavailable'],
  ['an HTML page with 502', { do: 'html' }, 'upstream_unavailable'],
  ['an HTML page with 500', { do: 'html', status: 500 }, 'upstream_unavailable'],
  ['an HTML page with 403', { do: 'html', status: 403 }, 'upstream_nonsense'],
  ['an HTML page with 200', { do: 'html', status: 200 }, 'upstream_nonsense'],
  ['a route that is not there', { do: 'answer', status: 501, body: 'no' }, 'upstream_nonsense'],
  ['429', { do: 'unavailable', status: 429 }, 'upstream_unavailable'],
  ['503', { do: 'unavailable', status: 503 }, 'upstream_unavailable'],
  ['408', { do: 'answer', status: 408, body: '' }, 'upstream_unavailable'],
  ['internal_failure', { do: 'refuse', as: 'internal_failure' }, 'upstream_unavailable'],
  ['half of the JSON', { do: 'truncate' }, 'upstream_nonsense'],
  ['8 MiB of JSON', { do: 'oversize' }, 'upstream_nonsense'],
  ['a redirect', { do: 'redirect', to: 'http://127.0.0.1:9/' }, 'upstream_nonsense'],
  [
    'a nested UNAVAILABLE',
    { do: 'google_error', status: 'UNAVAILABLE', message: 'm' },
    'upstream_unavailable',
  ],
  [
    'a nested PERMISSION_DENIED',
    { do: 'google_error', status: 'PERMISSION_DENIED', message: 'm' },
    'target_unavailable',
  ],
  ['an unknown error', { do: 'answer', status: 400, body: { error: 'new_error' } }, 'upstream_nonsense'],
  ['no expires_in', lie('expires_in_missing'), 'upstream_nonsense'],
  ['expires_in as text', lie('expires_in_string'), 'upstream_nonsense'],
  ['expires_in 0', lie('expires_in_zero'), 'upstream_nonsense'],
  ['expires_in below 0', lie('expires_in_negative'), 'upstream_nonsense'],
  ['a huge expires_in', lie('expires_in_huge'), 'upstream_nonsense'],
  ['expires_in null', lie('expires_in_null'), 'upstream_nonsense'],
  ['no token_type', lie('token_type_missing'), 'upstream_nonsense'],
  ['token_type mac', lie('token_type_mac'), 'upstream_nonsense'],
  ['no access_token', lie('access_token_missing'), 'upstream_nonsense'],
  ['an empty access_token', lie('access_token_empty'), 'upstream_nonsense'],
  ['a number for access_token', lie('access_token_number'), 'upstream_nonsense'],
  ['control characters', lie('access_token_control_characters'), 'upstream_nonsense'],
  ['an error beside 200', lie('error_member'), 'upstream_nonsense'],
  ['a text/plain reply', lie('content_type_text'), 'upstream_nonsense'],
  ['a JSON array', lie('json_array'), 'upstream_nonsense'],
  ['status 201', lie('status_201'), 'upstream_nonsense'],
  ['a wider scope', lie('wider_scope'), 'upstream_nonsense'],
]

describe('what a token endpoint may answer', () => {
  test.each(troubles)('%s gives no token, for either kind, within 7 s', async (_, behaviour, code) => {
    if (behaviour.do === 'hang') world.cutTimeouts(150)
    for (const name of names) {
      world.google.script.token.always(behaviour)
      // An assertion's reply has no scope to lie about.
      if (name === 'reports-sa' && behaviour.do === 'lie' && behaviour.as === 'wider_scope')
        world.google.script.token.always({ do: 'amend', members: { scope: `${STORAGE_READ} ${DRIVE}` } })
      const startedMs = world.clock.steadyMs()
      const failure = await failureOf(mint(name))
      expect(failure.code).toBe(code)
      expect(failure.retryAfter !== undefined).toBe(code === 'upstream_unavailable')
      expect(world.clock.steadyMs() - startedMs).toBeLessThanOrEqual(7000)
    }
    await world.background.settled()
    for (const name of names) expect((await world.administration.read(name)).health.status).not.toBe('broken')
  })

  test('a fraction of a second of life is not promised', async () => {
    world.google.script.token.next(1, lie('expires_in_fraction'))
    const token = await mint('user')
    expect(token.expiresAt - token.issuedAt).toBe(3598)
  })

  test('no connection at all is upstream_unavailable, and it recovers by itself (P20)', async () => {
    await world.google.goDown()
    for (const name of names) expect((await failureOf(mint(name))).code).toBe('upstream_unavailable')
    await world.google.comeBack()
  })
})

describe('retries', () => {
  test('a single 503 is not noticed, by either kind', async () => {
    for (const name of names) {
      world.google.script.token.next(1, { do: 'unavailable', status: 503 })
      expect((await mint(name)).scopes).toEqual(scopes[name])
    }
    expect(world.google.calls.count()).toBe(4)
  })

  test('a connection that breaks once is not noticed; a refresh token is sent once more and never twice', async () => {
    for (const name of names) {
      world.google.script.token.next(1, { do: 'reset', when: 'before_answer' })
      expect((await mint(name)).scopes).toEqual(scopes[name])
    }
    expect(world.google.calls.count()).toBe(4)
    for (let request = 0; request < 40; request += 1) await mint('reports-sa')
    for (const [name, calls] of [
      ['reports-sa', 3],
      ['user', 2],
    ] as const) {
      world.google.calls.reset()
      world.google.script.token.next(3, { do: 'reset', when: 'before_answer' })
      await Promise.allSettled([mint(name)])
      expect([name, world.google.calls.count()]).toEqual([name, calls])
      world.google.clearScripts()
    }
  })

  test('P21: none comes before Retry-After, and none at all when that is too long to wait', async () => {
    world.google.script.token.next(1, { do: 'unavailable', status: 503, retryAfter: 2 })
    await mint('user')
    expect(Math.max(...world.clock.slept)).toBeGreaterThanOrEqual(2000)
    world.clock.skip(10_000)
    world.google.calls.reset()
    world.google.script.token.next(1, { do: 'unavailable', status: 429, retryAfter: 30 })
    expect((await failureOf(mint('user'))).retryAfter).toBe(30)
    expect(world.google.calls.count()).toBe(1)
  })

  test('P21: later requests of that credential wait for Retry-After too, and no others', async () => {
    world.google.script.token.next(1, { do: 'unavailable', status: 429, retryAfter: 30 })
    await failureOf(mint('user'))
    const held = await failureOf(mint('user'))
    expect([held.code, world.google.calls.count()]).toEqual(['upstream_unavailable', 1])
    expect(held.retryAfter).toBeGreaterThanOrEqual(30)
    expect((await mint('reports-sa')).scopes).toEqual([STORAGE_READ])
    world.clock.skip(34_000)
    expect((await mint('user')).scopes).toEqual([DRIVE])
  })

  test('P21: in a total outage Google gets at most 1.2 times the requests we got', async () => {
    world.google.script.token.always({ do: 'unavailable', status: 503 })
    const grants = await Promise.all(names.map((name) => world.grantFor(name, scopes[name])))
    const requests = 50
    for (let request = 0; request < requests; request += 1)
      for (const grant of grants)
        expect((await failureOf(world.mint(grant))).code).toBe('upstream_unavailable')
    expect(world.google.calls.count()).toBeGreaterThanOrEqual(requests * 2)
    expect(world.google.calls.count()).toBeLessThanOrEqual(requests * 2 * 1.2)
  })

  test('have full jitter: no fraction is no pause, and it spreads with the attempts', async () => {
    world.entropy.nextFraction = 0.999
    world.google.script.token.next(2, { do: 'unavailable', status: 503 })
    await mint('reports-sa')
    const [first = 0, second = 0] = world.clock.slept
    expect([first > 290 && first < 300, second > 590 && second < 600]).toEqual([true, true])
  })
})

describe('P23: no secret is told', () => {
  test('not even when Google quotes what we sent', async () => {
    for (const name of names) {
      world.google.script.token.next(2, ({ params }) => ({
        do: 'answer',
        status: 400,
        body: {
          error: 'invalid_grant',
          error_description: `Bad Request: ${String(params['refresh_token'] ?? params['assertion'])} ${String(params['client_secret'])}`,
        },
      }))
      expect((await failureOf(mint(name))).reason).toContain('Bad Request: [cut]')
    }
  })

  test('and the search for them finds one that is told', async () => {
    const token = await mint('user')
    expect(world.leaks(`a line with ${token.secret.reveal()} in it`)).toEqual([token.secret.reveal()])
    expect(world.leaks(token)).toEqual([])
  })
})
