import { createNodeServer } from '../adapters/system/node-server.ts'
import { createEntropy, createSystemClock } from '../adapters/system/clock-and-entropy.ts'
import type { OtelMeter, OtelMeterDeps } from '../adapters/telemetry/otel-meter.ts'
import type { OtelTracer, OtelTracerDeps } from '../adapters/telemetry/otel-tracer.ts'
import type { Settings } from '../config.ts'
import { isLoopback } from '../domain/url.ts'
import type { Log } from '../ports/log.ts'
import type { CompiledPolicy } from '../policy/compile-policy.ts'
import { createMeasures, joinMeasures, unmeasured, type Measures } from './measure.ts'
import { createNameCall } from './name-call.ts'
import { createTraces } from './trace.ts'

export interface Telemetry {
  readonly measures: Measures
  /** Opens the port for Prometheus, where there is one. Rejects when it is taken. */
  readonly serve: (log: Log) => Promise<void>
  readonly close: () => Promise<void>
}

const scrapersMax = 20

/** What the settings want to be seen of the broker. Without any, no package of OpenTelemetry is read. */
export async function openTelemetry(settings: Settings): Promise<Telemetry> {
  const { telemetry } = settings
  if (telemetry === undefined)
    return { measures: unmeasured, serve: () => Promise.resolve(), close: () => Promise.resolve() }
  let log: Log = () => undefined
  const entropy = createEntropy()
  const instance = entropy.uuid()
  const told = { instance, log: (...line: Parameters<Log>) => log(...line) }
  let policyOf: () => CompiledPolicy | undefined = () => undefined
  const nameCall = createNameCall(settings, () => policyOf())
  const { metricsPort: port, metricsHost: host, sendsMetrics: sends } = telemetry
  const meter = port === undefined && !sends ? undefined : await openMeter({ ...told, ...telemetry, sends })
  const tracer = telemetry.sendsTraces
    ? await openTracer({ ...told, ratio: telemetry.tracedShare, fraction: entropy.fraction })
    : undefined
  let server: ReturnType<typeof createNodeServer> | undefined
  const metered =
    meter === undefined
      ? unmeasured
      : createMeasures({ meter: meter.meter, clock: createSystemClock(), nameCall })
  const traced =
    tracer === undefined
      ? unmeasured
      : createTraces({ tracer: tracer.tracer, nameCall, store: settings.store })
  return {
    measures: {
      ...joinMeasures(metered, traced),
      instance,
      followPolicy: (policy) => {
        policyOf = policy
      },
    },
    serve: async (given) => {
      log = given
      if (port === undefined || meter === undefined) return
      const scraped = createNodeServer(createServeMetrics(meter, host), scrapersMax)
      server = scraped
      await new Promise<void>((resolve, reject) => {
        scraped.once('error', reject)
        scraped.listen({ port, host }, resolve)
      })
      const address = scraped.address()
      const opened = typeof address === 'object' && address !== null ? address.port : port
      log('info', 'metrics are served', { host, port: opened })
    },
    close: async () => {
      server?.close()
      server?.closeAllConnections()
      await Promise.all([meter?.close(), tracer?.close()])
    },
  }
}

async function openMeter(deps: OtelMeterDeps): Promise<OtelMeter> {
  const { createOtelMeter } = await import('../adapters/telemetry/otel-meter.ts')
  return createOtelMeter(deps)
}

async function openTracer(deps: OtelTracerDeps): Promise<OtelTracer> {
  const { createOtelTracer } = await import('../adapters/telemetry/otel-tracer.ts')
  return createOtelTracer(deps)
}

/** `GET /metrics`, for whoever asks by an address or by the host's own name: a page elsewhere cannot (T35). */
function createServeMetrics(
  { text }: Pick<OtelMeter, 'text'>,
  host: string,
): (request: Request) => Promise<Response> {
  return async (request) => {
    if (!isOwnHost(request.headers.get('host') ?? '', host))
      return plain(403, 'this host is not served here\n')
    const { pathname } = new URL(request.url)
    if (pathname !== '/metrics') return plain(404, 'there is nothing here but /metrics\n')
    if (request.method !== 'GET') return plain(405, 'only GET is served here\n')
    return new Response(await text(), {
      headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8', 'cache-control': 'no-store' },
    })
  }
}

function plain(status: number, body: string): Response {
  return new Response(body, { status, headers: { 'content-type': 'text/plain; charset=utf-8' } })
}

/** A name that is not ours may lead here only because somebody's DNS says so. An address leads here by itself. */
function isOwnHost(sent: string, host: string): boolean {
  const name = URL.parse(`http://${sent}`)?.hostname ?? ''
  if (name === '') return false
  if (isLoopback(name) || name === host) return true
  return !isLoopback(host) && /^(?:[\d.]+|\[[\da-f:.]+\])$/i.test(name)
}
