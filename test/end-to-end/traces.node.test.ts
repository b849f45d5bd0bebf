import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { attribute, startOtlpCollector, type OtlpCollector, type Span } from '../support/otlp-collector.ts'
import type { BrokerProcess } from '../support/spawn-broker.ts'
import { exchangeForm, send, type Answer, type Form } from '../support/test-broker/ask.ts'
import { createTestWorld, scopeOf, type TestWorld } from '../support/test-broker/test-world.ts'

const options = { timeout: 180_000 }
const reading = scopeOf('devstorage.read_only')
const writing = scopeOf('devstorage.read_write')

let world: TestWorld
let broker: BrokerProcess
let trusting: BrokerProcess
/** Another instance of `broker`, on the same store. */
let other: BrokerProcess
let collector: OtlpCollector

const traceOf = ({ requestId }: Answer) => collector.traceOf(requestId)

function ask({ url }: BrokerProcess, form: Form, headers: Form = {}): Promise<Answer> {
  return send(`${url}/v1/token`, { method: 'POST', body: new URLSearchParams(form), headers })
}

beforeAll(async () => {
  world = await createTestWorld()
  collector = await startOtlpCollector()
  const start = async (name: string, policy: string): Promise<BrokerProcess> => {
    const started = await world.yard.start(
      world.settings([], {
        DOWNSCOPE_POLICY_YAML: policy,
        DOWNSCOPE_STORE: `sqlite:${join(world.folder, `${name}.db`)}`,
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_EXPORTER_OTLP_HEADERS: 'x-key=of-the-collector',
        OTEL_RESOURCE_ATTRIBUTES: 'service.instance.id=the-same-everywhere',
        OTEL_METRICS_EXPORTER: 'none',
        OTEL_BSP_SCHEDULE_DELAY: '100',
      }),
    )
    return started
  }
  const policyFor = (name: string): string => world.policy([world.rule(name, [reading])])
  const replay = '"replay":"allowed"'
  const policy = world.policy(['traced', 'herd', 'grant'].map((name) => world.rule(name, [reading, writing])))
  const trusted = policyFor('trusted').replaceAll(replay, `${replay},"trust_traceparent":true`)
  ;[broker, other, trusting] = await Promise.all([
    start('traced', policy),
    start('traced', policy),
    start('trusted', trusted),
  ])
  await world.enrolAccount(broker, 'traced')
  await world.enrolAccount(broker, 'herd')
  await world.enrolGrant(broker, 'grant', { scopes: [reading, writing], rotating: true })
  await world.enrolAccount(trusting, 'trusted')
  return async () => {
    collector.close()
    await world.close()
  }
}, 180_000)

describe('the trace of a token request', () => {
  test('has a span for each step, and calls of the upstream below the mint', options, async () => {
    const minted = await ask(
      broker,
      await exchangeForm(world.workload, { audience: 'traced', scope: reading }),
    )
    expect(minted.status).toBe(200)
    const [server, below] = await traceOf(minted)
    const named = (name: string) => below.find((span) => span.name === name)

    expect(server).toMatchObject({ name: 'POST /v1/token', kind: 2 })
    expect(server.parentSpanId ?? '').toBe('')
    expect(attribute(server, 'http.response.status_code')).toBe(200)
    for (const name of ['authenticate', 'authorize', 'cache', 'audit'])
      expect(named(name)).toMatchObject({ kind: 1, parentSpanId: server.spanId })
    expect(named('lease')?.parentSpanId).toBe(named('cache')?.spanId)
    expect(named('mint')?.parentSpanId).toBe(named('cache')?.spanId)
    const call = below.find((span) => attribute(span, 'downscope.operation') === 'token')
    expect(call).toMatchObject({ name: 'POST token', kind: 3, parentSpanId: named('mint')?.spanId })
    expect(below.some((span) => attribute(span, 'db.operation.name') === 'get' && span.kind === 3)).toBe(true)
    const audit = await broker.auditOf(minted.requestId)
    expect(audit).toMatchObject({ trace_id: server.traceId, instance: server.instance })

    const hit = await ask(broker, await exchangeForm(world.workload, { audience: 'traced', scope: reading }))
    const [, ofHit] = await traceOf(hit)
    expect(ofHit.map(({ name }) => name)).toContain('cache')
    expect(ofHit.map(({ name }) => name)).not.toContain('mint')
  })

  test(
    'T33: has no token, assertion, claim, query or address, and neither has the log',
    options,
    async () => {
      const canary = 'canary-of-a-stranger'
      const form = await exchangeForm(world.workload, { audience: 'traced', scope: reading })
      const url = `${broker.url}/v1/token?${canary}=1`
      const answer = await send(url, { method: 'POST', body: new URLSearchParams(form) })
      expect(answer.status).toBe(200)
      const refused = await ask(broker, { ...form, audience: `traced-${canary}` })
      await Promise.all([traceOf(answer), traceOf(refused)])

      const sent = collector.bodies('traces').join('')
      expect(sent).toContain('"http.route"')
      for (const secret of [canary, answer.token, form['subject_token'] ?? '', world.workload.subject])
        expect(sent).not.toContain(secret)
      expect(collector.headers('x-key')).toEqual(new Set(['of-the-collector']))
      expect(sent).not.toContain('of-the-collector')
      expect(broker.stdout()).not.toContain('of-the-collector')
      for (const key of ['url.query', 'url.full', 'url.path']) expect(sent).not.toContain(key)
      expect(broker.stdout()).not.toContain(answer.token)
      expect(broker.stdout()).not.toContain(form['subject_token'] ?? '')
    },
  )

  test(
    'T36: two requests with one traceparent have two request ids, and it counts only when trusted',
    options,
    async () => {
      const [trace, span] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')]
      const headers = { traceparent: `00-${trace}-${span}-00`, tracestate: 'canary=1', baggage: 'canary=2' }
      const form = async () => exchangeForm(world.workload, { audience: 'traced', scope: reading })
      const untrusted = await ask(broker, await form(), headers)
      const [alone] = await traceOf(untrusted)
      expect(alone.traceId).not.toBe(trace)

      const wanted = async () => exchangeForm(world.workload, { audience: 'trusted', scope: reading })
      const [one, two] = [
        await ask(trusting, await wanted(), headers),
        await ask(trusting, await wanted(), headers),
      ]
      const refused = await ask(trusting, { ...(await wanted()), subject_token: 'e30.e30.e30' }, headers)
      const malformed = await ask(trusting, await wanted(), {
        traceparent: `00-${'0'.repeat(32)}-${span}-01`,
      })

      expect(one.requestId).not.toBe(two.requestId)
      for (const answer of [one, two]) {
        const [server] = await traceOf(answer)
        // The sampled flag was off, and it is traced all the same.
        expect(server).toMatchObject({ traceId: trace, parentSpanId: span })
        expect(await trusting.auditOf(answer.requestId)).toMatchObject({
          request_id: answer.requestId,
          trace_id: trace,
        })
      }
      for (const answer of [refused, malformed]) expect((await traceOf(answer))[0].traceId).not.toBe(trace)
      expect(collector.bodies('traces').join('')).not.toContain('canary=')
    },
  )

  test.each([
    ['a token that both want', 'herd', [reading, reading], 'cache'],
    ['two tokens of one refresh token', 'grant', [reading, writing], 'mint'],
  ] as const)(
    'of one mint on two instances, for %s, says who waited for whom',
    options,
    async (_, audience, scopes, parentName) => {
      world.google.script.token.next(1, { do: 'slow', delayMs: 1_500 })
      const answers = await Promise.all(
        [broker, other].map(async (one, index) =>
          ask(one, await exchangeForm(world.workload, { audience, scope: scopes[index] ?? '' })),
        ),
      )
      expect(answers.map(({ status }) => status)).toEqual([200, 200])
      const traces = await Promise.all(answers.map(traceOf))
      const leases = traces.map(([, spans]) =>
        spans
          .filter(({ name, parentSpanId }) => {
            const parent = spans.find(({ spanId }) => spanId === parentSpanId)
            return name === 'lease' && parent?.name === parentName
          })
          .map((span) => [
            attribute(span, 'downscope.lease.held'),
            attribute(span, 'downscope.lease.holder'),
            span.instance,
          ]),
      )
      const instances = traces.map(([{ instance }]) => instance)
      expect(new Set(instances).size).toBe(2)

      const waiting = leases.findIndex((spans) => spans.some(([held]) => held === false))
      const holding = 1 - waiting
      expect(leases[holding]).toEqual([[true, instances[holding], instances[holding]]])
      expect(leases[waiting]).toContainEqual([false, instances[holding], instances[waiting]])
      const call = (spans: readonly Span[]) => spans.filter(({ name }) => name === 'POST token').length
      expect(call(traces[holding]?.[1] ?? [])).toBe(1)
    },
  )
})
