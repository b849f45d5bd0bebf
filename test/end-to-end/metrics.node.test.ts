import { createServer, request as nodeRequest, type RequestListener } from 'node:http'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { metrics, prometheusName } from '../../src/domain/metrics.ts'
import type { BrokerSettings } from '../support/spawn-broker.ts'
import { askToken, assertionForm, post, send } from '../support/test-broker/ask.ts'
import { createTestWorld, scopeOf, type TestWorld } from '../support/test-broker/test-world.ts'
import { until } from '../support/test-broker/until.ts'

const options = { timeout: 180_000 }
const reading = scopeOf('devstorage.read_only')

let world: TestWorld

beforeAll(async () => {
  world = await createTestWorld()
  return () => world.close()
}, 180_000)

/** A broker that is scraped and sends to a collector, with one credential. */
async function startBroker(name: string, collector: RequestListener) {
  const server = createServer(collector)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const broker = await world.yard.start(
    world.settings([world.rule(name, [reading])], {
      DOWNSCOPE_STORE: `sqlite:${join(world.folder, `${name}.db`)}`,
      DOWNSCOPE_METRICS_PORT: '0',
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_METRIC_EXPORT_INTERVAL: '200',
      OTEL_BSP_SCHEDULE_DELAY: '100',
      OTEL_EXPORTER_OTLP_TIMEOUT: '500',
    }),
  )
  await world.enrolAccount(broker, name)
  const opened = await until('the port of metrics', () =>
    broker.lines().find(({ message }) => message === 'metrics are served'),
  )
  return { broker, scrapedAt: Number(opened['port']), server }
}

/** A scrape with any Host header, which fetch does not send. */
function scrape(port: number, host: string): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    nodeRequest({ host: '127.0.0.1', port, path: '/metrics', headers: { host } }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
      .on('error', reject)
      .end()
  })
}

/** The value of the one sample of that name that has all these labels. */
function sample(
  text: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const found = text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => Object.entries(labels).every(([label, value]) => line.includes(`${label}="${value}"`)))
  expect(found.length).toBeLessThanOrEqual(1)
  return found[0] === undefined ? undefined : Number(found[0].split(' ').at(-1))
}

describe('the metrics of a broker', () => {
  test(
    'count what it did, as Prometheus text and by OTLP, and hold nothing that a caller sent',
    options,
    async () => {
      const received: string[] = []
      const { broker, scrapedAt, server } = await startBroker('counted', (incoming, outgoing) => {
        let text = ''
        incoming.on('data', (chunk: Buffer) => {
          text += chunk.toString()
        })
        incoming.on('end', () => {
          if (incoming.url === '/v1/metrics') received.push(text)
          outgoing.end('{}')
        })
      })
      const wanted = { audience: 'counted', scope: reading }
      const minted = await askToken(broker, world.workload, wanted)
      const hit = await askToken(broker, world.workload, wanted)
      const canary = 'canary-of-a-stranger'
      const form = await assertionForm(world.billing, { ...wanted, audience: canary, scope: canary })
      const refused = await post(broker, form)
      expect([minted.status, hit.status, refused.status]).toEqual([200, 200, 400])
      const { status, text } = await scrape(scrapedAt, `127.0.0.1:${scrapedAt}`)

      expect(status).toBe(200)
      const issued = { outcome: 'issued', error: 'none', grant_type: 'token_exchange' }
      expect(sample(text, 'downscope_requests_total', { ...issued, cache: 'mint' })).toBe(1)
      expect(sample(text, 'downscope_requests_total', { ...issued, cache: 'memory' })).toBe(1)
      expect(
        sample(text, 'downscope_requests_total', { outcome: 'refused', grant_type: 'client_credentials' }),
      ).toBe(1)
      expect(sample(text, 'downscope_request_duration_seconds_count', { cache: 'memory' })).toBe(1)
      expect(sample(text, 'downscope_mints_total', { upstream: 'google', outcome: 'minted' })).toBe(1)
      const asked = { upstream: 'google', operation: 'token' }
      expect(sample(text, 'downscope_upstream_requests_total', { ...asked, outcome: '2xx' })).toBe(1)
      expect(sample(text, 'downscope_upstream_duration_seconds_count', asked)).toBe(1)
      expect(
        sample(text, 'downscope_upstream_requests_total', { upstream: 'issuer', operation: 'keys' }),
      ).toBe(1)
      expect(
        sample(text, 'downscope_store_operations_total', { operation: 'get', outcome: 'ok' }),
      ).toBeGreaterThan(0)
      expect(
        sample(text, 'downscope_key_ring_operations_total', { operation: 'open', outcome: 'ok' }),
      ).toBeGreaterThan(0)
      expect(sample(text, 'downscope_audit_records_total', { outcome: 'written' })).toBe(4)
      expect(sample(text, 'downscope_policy_faults')).toBe(0)
      // There before anything fails, so that the first failure is an increase.
      expect(sample(text, 'downscope_audit_records_total', { outcome: 'failed' })).toBe(0)
      expect(
        sample(text, 'downscope_key_ring_operations_total', { operation: 'open', outcome: 'failed' }),
      ).toBe(0)
      const known = Object.keys(metrics).map(prometheusName)
      const families = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, family = '']) => family)
      expect(families.filter((family) => family !== 'target_info' && !known.includes(family))).toEqual([])
      expect(families.length).toBeGreaterThan(9)

      const sent = await until('a batch with the refusal', () =>
        received.find((batch) => batch.includes('"refused"')),
      )
      expect(sent).toContain('"downscope.requests"')
      expect(sent).toContain('{"key":"service.name","value":{"stringValue":"downscope"}}')
      const everything = `${text}${received.join('')}`
      const { client_assertion: assertion = '' } = form
      for (const secret of [canary, minted.token, assertion, world.workload.subject, refused.requestId])
        expect(everything).not.toContain(secret)

      await broker.stop()
      server.close()
    },
  )

  test('T35: are on a port of their own, which a foreign Host does not reach', options, async () => {
    const { broker, scrapedAt, server } = await startBroker('apart', (_, outgoing) => outgoing.end('{}'))

    expect((await send(`${broker.url}/metrics`, {})).status).toBe(404)
    expect((await scrape(scrapedAt, 'localhost')).status).toBe(200)
    for (const host of ['attacker.example', `attacker.example:${scrapedAt}`, '192.0.2.1', '[2001:db8::1]'])
      expect(await scrape(scrapedAt, host)).toEqual({ status: 403, text: 'this host is not served here\n' })
    expect((await send(`http://127.0.0.1:${scrapedAt}/v1/token`, { method: 'POST' })).status).toBe(404)
    await broker.stop()
    server.close()
  })

  const troubles: Readonly<Record<string, RequestListener>> = {
    hangs: () => undefined,
    refuses: (_, outgoing) => void outgoing.writeHead(401).end('who are you'),
    'answers 429': (_, outgoing) => void outgoing.writeHead(429, { 'retry-after': '1' }).end(),
    'answers nonsense': (_, outgoing) => void outgoing.writeHead(400).end('x'.repeat(1_000_000)),
  }
  test.each(Object.entries(troubles))(
    'P34: a collector that %s costs one line each for metrics and traces, and no request',
    options,
    async (how, listener) => {
      let batches = 0
      const name = `trouble-${how.replaceAll(' ', '-')}`
      const { broker, server } = await startBroker(name, (incoming, outgoing) => {
        batches += 1
        listener(incoming, outgoing)
      })
      const told = (what = 'metrics'): number =>
        broker.lines().filter(({ message }) => message === `${what} cannot be sent`).length
      const first = await askToken(broker, world.workload, { audience: name, scope: reading })
      await until('one line of trouble each', () => told() === 1 && told('traces') === 1)
      const before = batches
      if (how !== 'hangs') await until('further batches', () => batches > before + 2)
      const answer = await askToken(broker, world.workload, { audience: name, scope: reading })

      expect([first.status, answer.status]).toEqual([200, 200])
      expect([told(), told('traces')]).toEqual([1, 1])
      expect(broker.stdout()).not.toContain('who are you')
      expect(broker.stdout()).not.toContain('xxxx')
      await broker.stop()
      server.closeAllConnections()
      server.close()
    },
  )
})

/** Names each package file that is imported, on the standard error. */
const namesImports = `import { registerHooks } from 'node:module'
registerHooks({
  resolve: (specifier, context, next) => {
    const found = next(specifier, context)
    process.stderr.write(found.url + String.fromCharCode(10))
    return found
  },
})`

test('no package of OpenTelemetry is read by a broker that is asked for no metrics', options, async () => {
  const hook = `--import=data:text/javascript,${encodeURIComponent(namesImports)}`
  const start = (more: BrokerSettings) =>
    world.yard.start(world.settings([], { NODE_OPTIONS: hook, ...more }))
  const [without, measured] = await Promise.all([start({}), start({ DOWNSCOPE_METRICS_PORT: '0' })])

  expect(without.stderr()).toContain('node_modules/hono/')
  expect(without.stderr()).not.toContain('node_modules/@opentelemetry/')
  expect(measured.stderr()).toContain('node_modules/@opentelemetry/')
  await Promise.all([without.stop(), measured.stop()])
})
