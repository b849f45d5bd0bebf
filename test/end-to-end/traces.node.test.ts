import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod/mini'
import { listenOnLoopback } from '../support/listen.ts'
import type { BrokerProcess } from '../support/spawn-broker.ts'
import { exchangeForm, send, type Answer, type Form } from '../support/test-broker/ask.ts'
import { createTestWorld, scopeOf, type TestWorld } from '../support/test-broker/test-world.ts'
import { until } from '../support/test-broker/until.ts'

const options = { timeout: 180_000 }
const reading = scopeOf('devstorage.read_only')

const batch = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes: z.array(z.object({ key: z.string(), value: z.unknown() })) }),
      scopeSpans: z.array(
        z.object({
          spans: z.array(
            z.object({
              traceId: z.string(),
              spanId: z.string(),
              parentSpanId: z.optional(z.string()),
              name: z.string(),
              kind: z.number(),
              attributes: z.array(
                z.object({
                  key: z.string(),
                  value: z.object({
                    stringValue: z.optional(z.string()),
                    intValue: z.optional(z.number()),
                    boolValue: z.optional(z.boolean()),
                  }),
                }),
              ),
            }),
          ),
        }),
      ),
    }),
  ),
})

type Span = z.infer<typeof batch>['resourceSpans'][number]['scopeSpans'][number]['spans'][number]

let world: TestWorld
let broker: BrokerProcess
let trusting: BrokerProcess
const bodies: string[] = []

function spans(): readonly Span[] {
  return bodies
    .flatMap((body) => batch.parse(JSON.parse(body)).resourceSpans)
    .flatMap(({ scopeSpans }) => scopeSpans)
    .flatMap((scope) => scope.spans)
}

function attribute({ attributes }: Span, key: string): string | number | boolean | undefined {
  const value = attributes.find((one) => one.key === key)?.value
  return value?.stringValue ?? value?.intValue ?? value?.boolValue
}

/** The spans of one request's trace, once its server span has come. */
async function traceOf({ requestId }: Answer): Promise<readonly [Span, readonly Span[]]> {
  const server = await until(`the trace of ${requestId}`, () =>
    spans().find((span) => attribute(span, 'downscope.request_id') === requestId),
  )
  return [
    server,
    spans().filter(({ traceId, spanId }) => traceId === server.traceId && spanId !== server.spanId),
  ]
}

function ask({ url }: BrokerProcess, form: Form, headers: Form = {}): Promise<Answer> {
  return send(`${url}/v1/token`, { method: 'POST', body: new URLSearchParams(form), headers })
}

beforeAll(async () => {
  world = await createTestWorld()
  const collector = createServer((incoming, outgoing) => {
    let text = ''
    incoming.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    incoming.on('end', () => {
      if (incoming.url === '/v1/traces') bodies.push(text)
      outgoing.end('{}')
    })
  })
  const port = await listenOnLoopback(collector)
  const start = async (name: string, policy: string): Promise<BrokerProcess> => {
    const started = await world.yard.start(
      world.settings([], {
        DOWNSCOPE_POLICY_YAML: policy,
        DOWNSCOPE_STORE: `sqlite:${join(world.folder, `${name}.db`)}`,
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
        OTEL_METRICS_EXPORTER: 'none',
      }),
    )
    await world.enrolAccount(started, name)
    return started
  }
  const policyFor = (name: string): string => world.policy([world.rule(name, [reading])])
  const replay = '"replay":"allowed"'
  broker = await start('traced', policyFor('traced'))
  trusting = await start(
    'trusted',
    policyFor('trusted').replaceAll(replay, `${replay},"trust_traceparent":true`),
  )
  return async () => {
    collector.closeAllConnections()
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
    expect(audit['trace_id']).toBe(server.traceId)

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

      const sent = bodies.join('')
      expect(sent).toContain('"http.route"')
      for (const secret of [canary, answer.token, form['subject_token'] ?? '', world.workload.subject])
        expect(sent).not.toContain(secret)
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
        const server = await until('a server span', () =>
          spans().find((found) => attribute(found, 'downscope.request_id') === answer.requestId),
        )
        // The sampled flag was off, and it is traced all the same.
        expect(server).toMatchObject({ traceId: trace, parentSpanId: span })
        expect(await trusting.auditOf(answer.requestId)).toMatchObject({
          request_id: answer.requestId,
          trace_id: trace,
        })
      }
      for (const answer of [refused, malformed]) expect((await traceOf(answer))[0].traceId).not.toBe(trace)
      expect(bodies.join('')).not.toContain('canary=')
    },
  )
})
