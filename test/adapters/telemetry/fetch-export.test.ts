import { describe, expect, test } from 'vitest'
import * as z from 'zod/mini'
import { createFetchExport } from '../../../src/adapters/telemetry/fetch-export.ts'
import { Secret } from '../../../src/domain/secret.ts'
import type { HttpResult } from '../../../src/ports/http-client.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { answer, createRoutedHttp, failure } from '../../support/routed-http.ts'

const metricsUrl = 'https://collector.example/v1/metrics'
const tracesUrl = 'https://collector.example/v1/traces'

/** What an isolate has, beside a collector that answers as it is told. */
function createWorld({ isDelta = false, tracedShare = 1 } = {}) {
  const clock = createFakeClock()
  const http = createRoutedHttp()
  const lines: { readonly message: string; readonly text: string }[] = []
  const tasks: Promise<void>[] = []
  let forgets = false
  const { meter, tracer } = createFetchExport({
    metricsUrl,
    tracesUrl,
    isDelta,
    tracedShare,
    intervalMs: 60_000,
    tracesDelayMs: 5_000,
    timeoutMs: 10_000,
    instance: 'isolate-1',
    resource: { 'service.name': 'tokens', 'service.instance.id': 'not this' },
    headers: new Map([['authorization', new Secret('Bearer of-the-collector')]]),
    http: http.http,
    clock,
    background: { run: (work) => void (forgets || tasks.push(work())) },
    log: (_, message, fields) => lines.push({ message, text: JSON.stringify(fields) }),
  })
  if (meter === undefined || tracer === undefined) throw new Error('neither is left out')
  const answering = (result: () => HttpResult | Promise<HttpResult>): void => {
    http.route(metricsUrl, result)
    http.route(tracesUrl, result)
  }
  answering(() => answer({}))
  return {
    meter,
    tracer,
    clock,
    lines,
    tasks,
    answering,
    /** As the platform does with what goes on for too long. */
    forgetTasks: (are: boolean) => {
      forgets = are
    },
    /** Lets so much time pass, and all that it began come to its end. */
    pass: async (ms: number) => {
      await clock.advance(ms)
      await Promise.all(tasks)
    },
    sent: (url: string) => http.requests.filter((request) => request.url === url),
    traced: (name = 'POST /v1/token') =>
      tracer.trace({ name, kind: 'server', attributes: {} }, () =>
        tracer.span({ name: 'mint', kind: 'internal', attributes: {} }, () => Promise.resolve()),
      ),
  }
}

const counted = { outcome: 'issued', error: 'none', grant_type: 'token_exchange', cache: 'mint' }

/** The sums of one counter, batch by batch, and how they are to be read. */
function sumsIn(bodies: readonly { readonly body?: string | undefined }[], name: string) {
  const document = z.object({
    resourceMetrics: z.array(
      z.object({
        scopeMetrics: z.array(
          z.object({
            metrics: z.array(
              z.object({
                name: z.string(),
                sum: z.optional(
                  z.object({
                    aggregationTemporality: z.number(),
                    dataPoints: z.array(z.object({ asDouble: z.number() })),
                  }),
                ),
              }),
            ),
          }),
        ),
      }),
    ),
  })
  return bodies.map(({ body = '' }) => {
    const found = document
      .parse(JSON.parse(body))
      .resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics)
      .flatMap((scope) => scope.metrics)
      .find((metric) => metric.name === name)?.sum
    return [found?.aggregationTemporality, found?.dataPoints[0]?.asDouble]
  })
}

describe('metrics and traces by fetch', () => {
  test('leave in one request each, in the background of the request that came first', async () => {
    const { meter, traced, pass, sent, tasks } = createWorld()
    for (let count = 0; count < 3; count += 1) {
      meter.count('downscope.requests', counted)
      meter.record('downscope.request.duration', 0.002, { outcome: 'issued', cache: 'mint' })
      await traced()
    }
    expect([sent(metricsUrl), sent(tracesUrl)]).toEqual([[], []])
    await pass(15_000)

    expect(tasks).toHaveLength(2)
    const [metrics, traces] = [sent(metricsUrl), sent(tracesUrl)]
    expect([metrics.length, traces.length]).toEqual([1, 1])
    expect(sumsIn(metrics, 'downscope.requests')).toEqual([[2, 3]])
    for (const { method, headers, body } of [...metrics, ...traces]) {
      expect(method).toBe('POST')
      expect(headers).toEqual({
        authorization: 'Bearer of-the-collector',
        'content-type': 'application/json',
      })
      expect(body).toContain('{"key":"service.name","value":{"stringValue":"tokens"}}')
      expect(body).toContain('{"key":"service.instance.id","value":{"stringValue":"isolate-1"}}')
    }
    expect(traces[0]?.body?.match(/"name":"POST \/v1\/token"/g)).toHaveLength(3)
  })

  test.each([
    [
      false,
      [
        [2, 2],
        [2, 4],
      ],
    ],
    [
      true,
      [
        [1, 2],
        [1, 2],
      ],
    ],
  ])(
    'sums are since the last batch when deltas are wanted (%s), and else since the start',
    async (isDelta, sums) => {
      const { meter, pass, sent } = createWorld({ isDelta })
      for (let batch = 0; batch < 2; batch += 1) {
        meter.count('downscope.requests', counted)
        meter.count('downscope.requests', counted)
        await pass(15_000)
      }

      expect(sumsIn(sent(metricsUrl), 'downscope.requests')).toEqual(sums)
    },
  )

  test('nothing is sent by an instance that measures nothing', async () => {
    const { meter, pass, sent, tasks } = createWorld()
    meter.count('downscope.requests', counted)
    await pass(15_000)
    await pass(120_000)

    expect([sent(metricsUrl).length, tasks.length]).toEqual([1, 1])
  })

  test('of many spans some are sent before their time', async () => {
    const { traced, clock, sent } = createWorld()
    for (let count = 0; count < 300; count += 1) await traced()
    await clock.advance(1)

    expect(sent(tracesUrl).length).toBeGreaterThan(0)
  })

  test('a share of requests is traced', async () => {
    const { traced, pass, sent } = createWorld({ tracedShare: 0 })
    await traced()
    await pass(5_000)

    expect(sent(tracesUrl)).toEqual([])
  })

  const troubles: Readonly<Record<string, () => HttpResult>> = {
    'does not answer': () => failure('timeout'),
    refuses: () => answer('who are you', 401),
    'answers 429': () => answer('', 429, { 'retry-after': '1' }),
    'answers nonsense': () => answer('x'.repeat(100_000)),
    'sends elsewhere': () => answer('', 302, { location: 'https://elsewhere.example/' }),
  }
  test.each(Object.entries(troubles))(
    'a collector that %s costs one line each, and what it did not take',
    async (_, trouble) => {
      const { meter, traced, pass, lines, answering, sent } = createWorld()
      const measure = async (): Promise<void> => {
        meter.count('downscope.requests', counted)
        await traced()
        await pass(15_000)
      }
      answering(trouble)
      for (let count = 0; count < 5; count += 1) await measure()

      expect(lines.map(({ message }) => message).toSorted()).toEqual([
        'metrics cannot be sent',
        'traces cannot be sent',
      ])
      expect(lines.map(({ text }) => text).join('')).not.toMatch(/who are you|xxx|elsewhere|of-the-collector/)
      answering(() => answer({}))
      await measure()
      expect(
        lines
          .map(({ message }) => message)
          .slice(2)
          .toSorted(),
      ).toEqual(['metrics are sent again', 'traces are sent again'])
      expect(sumsIn(sent(metricsUrl).slice(-1), 'downscope.requests')).toEqual([[2, 6]])
    },
  )

  test('T33, P34: while a collector hangs nothing piles up: spans beyond the queue are dropped', async () => {
    const { traced, clock, answering, sent, tasks } = createWorld()
    const hung = Promise.withResolvers<HttpResult>()
    answering(() => hung.promise)
    for (let count = 0; count < 5_000; count += 1) {
      await traced()
      if (count % 1_000 === 0) await clock.advance(1)
    }
    await clock.advance(5_000)
    expect(tasks.length).toBeLessThanOrEqual(4)
    hung.resolve(answer({}))
    await Promise.all(tasks)
    await clock.advance(5_000)
    await Promise.all(tasks)

    const spans = sent(tracesUrl).map(({ body = '' }) => body.split('"spanId"').length - 1)
    expect(Math.max(...spans)).toBeLessThanOrEqual(2_048)
    expect(spans.length).toBeLessThanOrEqual(4)
  })

  test('a wait that died with its isolate’s event is begun again', async () => {
    const { meter, clock, tasks, sent, forgetTasks } = createWorld()
    forgetTasks(true)
    meter.count('downscope.requests', counted)
    await clock.advance(20_000)
    forgetTasks(false)
    meter.count('downscope.requests', counted)
    expect(tasks).toHaveLength(0)
    await clock.advance(5_000)
    meter.count('downscope.requests', counted)
    expect(tasks).toHaveLength(1)
    await clock.advance(15_000)
    await Promise.all(tasks)

    expect(sumsIn(sent(metricsUrl), 'downscope.requests')).toEqual([[2, 3]])
  })

  test('gauges are read when metrics leave, in no request’s trace, and a failure leaves them out', async () => {
    const { meter, tracer, pass, sent } = createWorld()
    let fails = false
    let traceIds: (string | undefined)[] = []
    meter.watch(() => {
      traceIds = [...traceIds, tracer.traceId()]
      if (fails) throw new Error('the store is away')
      return Promise.resolve([{ name: 'downscope.policy.faults', value: 1, labels: {} }])
    })
    await tracer.trace({ name: 'POST /v1/token', kind: 'server', attributes: {} }, async () => {
      expect(tracer.traceId()).toMatch(/^[0-9a-f]{32}$/)
      await Promise.resolve()
      meter.count('downscope.requests', counted)
    })
    await pass(15_000)
    fails = true
    meter.count('downscope.requests', counted)
    await pass(15_000)

    expect(traceIds).toEqual([undefined, undefined])
    const [first, second] = sent(metricsUrl)
    expect(first?.body).toContain('"downscope.policy.faults"')
    expect(second?.body).toContain('"downscope.requests"')
  })
})
