import type { ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test, vi } from 'vitest'
import { createNodeTracer } from '../../../src/adapters/telemetry/node-export.ts'
import { queueMax } from '../../../src/adapters/telemetry/otlp.ts'
import { startOtlpCollector } from '../../support/otlp-collector.ts'
import { until } from '../../support/test-broker/until.ts'

/** What the SDK sends at once. */
const batchMax = 512

test('T33, P34: while a collector hangs spans beyond the queue are dropped, and what is kept is sent later', async () => {
  const collector = await startOtlpCollector()
  onTestFinished(() => collector.close())
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', collector.url)
  onTestFinished(() => void vi.unstubAllEnvs())
  let held: ServerResponse[] = []
  let hangs = true
  let spans = 0
  collector.behave((request, response) => {
    void text(request).then((body) => {
      spans += body.split('"spanId"').length - 1
      if (hangs) held.push(response)
      else response.end('{}')
    })
  })
  const { tracer, close } = createNodeTracer({
    instance: 'instance-1',
    resource: {},
    log: () => undefined,
    timeoutMs: 60_000,
    tracedShare: 1,
    tracesDelayMs: 1,
  })
  const traceMany = async (): Promise<void> => {
    for (let count = 0; count < 3_000; count += 1)
      await tracer.trace({ name: 'POST /v1/token', kind: 'server', attributes: {} }, () =>
        tracer.span({ name: 'mint', kind: 'internal', attributes: {} }, () => Promise.resolve()),
      )
  }

  await traceMany()
  await until('the first batch', () => held.length > 0)
  await traceMany()
  expect([held.length, spans]).toEqual([1, batchMax])

  hangs = false
  for (const response of held) response.end('{}')
  held = []
  await until('the rest', () => spans >= batchMax + queueMax)
  await close()
  expect(spans).toBe(batchMax + queueMax)
})
