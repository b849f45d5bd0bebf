import { decodeJwt } from 'jose'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import type { Behaviour } from '../support/google/behaviour.ts'
import type { Call } from '../support/google/calls.ts'
import type { LieName } from '../support/google/lies.ts'
import type { BrokerProcess } from '../support/spawn-broker.ts'
import { askToken } from '../support/test-broker/ask.ts'
import { createTestWorld, scopeOf, type TestWorld } from '../support/test-broker/test-world.ts'
import { until } from '../support/test-broker/until.ts'

const options = { timeout: 180_000 }

interface Row {
  readonly what: string
  readonly behaviour: Behaviour
  readonly status: number
  readonly error?: string
}

const nonsense = { status: 502, error: 'server_error' }
const unavailable = { status: 503, error: 'temporarily_unavailable' }

const lies: readonly LieName[] = [
  'wider_scope',
  'expires_in_missing',
  'expires_in_string',
  'expires_in_zero',
  'expires_in_negative',
  'expires_in_huge',
  'expires_in_null',
  'token_type_missing',
  'token_type_mac',
  'access_token_missing',
  'access_token_empty',
  'access_token_number',
  'access_token_control_characters',
  'error_member',
  'content_type_text',
  'json_array',
  'status_201',
]

const rows: readonly Row[] = [
  { what: 'an honest answer (positive control)', behaviour: { do: 'honest' }, status: 200 },
  { what: 'a slow answer', behaviour: { do: 'slow', delayMs: 700 }, status: 200 },
  { what: 'a life in fractions', behaviour: { do: 'lie', as: 'expires_in_fraction' }, status: 200 },
  ...lies.map((as): Row => ({ what: `the lie ${as}`, behaviour: { do: 'lie', as }, ...nonsense })),
  { what: 'half an answer', behaviour: { do: 'truncate' }, ...nonsense },
  { what: 'endless bytes', behaviour: { do: 'oversize' }, ...nonsense },
  { what: 'a page with status 200', behaviour: { do: 'html', status: 200 }, ...nonsense },
  { what: 'a redirect', behaviour: { do: 'redirect', to: 'http://127.0.0.1:9/' }, ...nonsense },
  { what: "a front end's page", behaviour: { do: 'html' }, ...unavailable },
  { what: 'a broken connection', behaviour: { do: 'reset', when: 'before_answer' }, ...unavailable },
  { what: 'a connection that breaks midway', behaviour: { do: 'reset' }, ...unavailable },
  { what: 'no answer at all', behaviour: { do: 'hang' }, ...unavailable },
  {
    what: 'the refusal of the scope',
    behaviour: { do: 'refuse', as: 'scope_not_granted' },
    status: 400,
    error: 'invalid_scope',
  },
]

vi.setConfig({ maxConcurrency: 20 })

describe.concurrent('an upstream that answers with', () => {
  let world: TestWorld
  let broker: BrokerProcess
  const kinds = ['account', 'grant']
  const scopes = rows.map((_, index) => scopeOf(`row-${index}`))

  beforeAll(async () => {
    world = await createTestWorld()
    const names = ['account', ...scopes.map((_, index) => grantOf(index))]
    broker = await world.yard.start(world.settings(names.map((name) => world.rule(name, scopes))))
    await world.enrolAccount(broker, 'account')
    for (const index of scopes.keys()) await world.enrolGrant(broker, grantOf(index), { scopes })
    const behaviours = new Map(rows.map(({ behaviour }, index) => [scopes[index], behaviour]))
    world.google.script.token.always((call) => behaviours.get(scopeAskedIn(call)))
    return () => world.close()
  }, 180_000)

  for (const kind of kinds)
    describe.concurrent(`to a${kind === 'account' ? 'n account' : ' grant'}`, () => {
      for (const [index, { what, status, error }] of rows.entries()) {
        test(
          `${what} gives ${status}${error === undefined ? '' : ` ${error} and no token`}`,
          options,
          async () => {
            // A refresh token is used by one request at a time: each fault gets a grant of its own.
            const audience = kind === 'account' ? kind : grantOf(index)
            const answer = await askToken(broker, world.workload, { audience, scope: scopes[index] ?? '' })

            expect(answer).toMatchObject({ status })
            if (error === undefined) {
              expect(world.google.token(answer.token)).toBeDefined()
              return
            }
            expect(answer.body['error']).toBe(error)
            expect(answer.text).not.toContain('ya29.')
            if (status === 503) expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
            expect(answer.tookMs).toBeLessThan(10_000)
            const { reason } = await broker.auditOf(answer.requestId)
            expect(reason).toMatch(/upstream|reply|endpoint|scope/)
          },
        )
      }
    })
})

describe.concurrent('an outage of the upstream', () => {
  const many = Array.from({ length: 100 }, (_, index) => scopeOf(`many-${index}`))
  const kept = scopeOf('kept')
  const later = scopeOf('later')

  test(
    'P20, P21: memory is served, the rest is told to wait, and 1.2 calls a request are the most',
    options,
    async (t) => {
      const { world, broker } = await openBroker(t.onTestFinished, [kept, later, ...many])
      const before = await askToken(broker, world.workload, { audience: 'sa', scope: kept })
      expect(before).toMatchObject({ status: 200 })
      world.google.calls.reset()
      world.google.script.token.always({ do: 'reset', when: 'before_answer' })

      const answers = await Promise.all(
        many.map((scope) => askToken(broker, world.workload, { audience: 'sa', scope })),
      )
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]))
      for (const { headers, tookMs } of answers) {
        expect(headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
        expect(tookMs).toBeLessThan(10_000)
      }
      expect(world.google.calls.count()).toBeGreaterThanOrEqual(many.length)
      expect(world.google.calls.count()).toBeLessThanOrEqual(1.2 * many.length)
      const served = await askToken(broker, world.workload, { audience: 'sa', scope: kept })
      expect(served.token).toBe(before.token)

      await world.google.goDown()
      const refused = await askToken(broker, world.workload, { audience: 'sa', scope: later })
      expect([refused.status, refused.headers.has('retry-after')]).toEqual([503, true])
      await world.google.comeBack()
      world.google.clearScripts()
      world.google.calls.reset()
      await until('it recovers by itself', async () => {
        const herd = Array.from({ length: 30 }, () =>
          askToken(broker, world.workload, { audience: 'sa', scope: later }),
        )
        return (await Promise.all(herd)).every(({ status }) => status === 200)
      })
      expect(world.google.calls.count()).toBe(1)
    },
  )

  test(
    "P21: the upstream's Retry-After is passed on, and until then nothing is sent for that credential",
    options,
    async (t) => {
      const { world, broker } = await openBroker(t.onTestFinished, many)
      world.google.script.token.next(1, { do: 'unavailable', status: 429, retryAfter: 7 })
      const first = await askToken(broker, world.workload, { audience: 'sa', scope: many[0] ?? '' })
      const others = await Promise.all(
        many.slice(0, 20).map((scope) => askToken(broker, world.workload, { audience: 'sa', scope })),
      )

      for (const { status, headers } of [first, ...others]) {
        expect(status).toBe(503)
        expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(4)
        expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(8)
      }
      expect(world.google.calls.count({ endpoint: 'token' })).toBe(1)
      const recovered = await until('the pause is over', async () => {
        const answer = await askToken(broker, world.workload, { audience: 'sa', scope: many[1] ?? '' })
        return answer.status === 200 && answer
      })
      expect(world.google.token(recovered.token)?.scopes).toEqual([many[1]])
    },
  )
})

async function openBroker(onFinished: (clean: () => Promise<void>) => void, scopes: readonly string[]) {
  const world = await createTestWorld()
  onFinished(() => world.close())
  const broker = await world.yard.start(world.settings([world.rule('sa', scopes)]))
  await world.enrolAccount(broker, 'sa')
  return { world, broker }
}

function grantOf(index: number): string {
  return `grant-${index}`
}

function scopeAskedIn({ params }: Call): string {
  const { scope, assertion } = params
  if (typeof scope === 'string') return scope
  if (typeof assertion !== 'string') return ''
  const signed = decodeJwt(assertion)['scope']
  return typeof signed === 'string' ? signed : ''
}
