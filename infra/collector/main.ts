import { execFile, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { metrics, prometheusName } from '../../src/domain/metrics.ts'
import { freePort } from '../../test/support/free-port.ts'
import { attribute, startOtlpCollector, type OtlpCollector } from '../../test/support/otlp-collector.ts'
import { askToken } from '../../test/support/test-broker/ask.ts'
import { createTestWorld, scopeOf, type TestWorld } from '../../test/support/test-broker/test-world.ts'
import { until } from '../../test/support/test-broker/until.ts'
import { createWorkerYard } from '../../test/support/worker-sandbox.ts'
import { prepareProgram } from '../clients/toolchains.ts'
import { createChecks, same } from '../servers/checks.ts'

// `npm run collector`: what the broker sends, taken by OpenTelemetry's own collector, and what it serves, read by
// Prometheus. The collector is built from Go modules into the user's cache folder; Prometheus is Debian's package.

const run = promisify(execFile)
const monitoring = join(import.meta.dirname, '../monitoring')
const reading = scopeOf('devstorage.read_only')

process.exitCode = await main()

async function main(): Promise<number> {
  const say = (line: string) => process.stdout.write(`collector: ${line}\n`)
  const checks = createChecks(say)
  const collectorProgram = await buildCollector()
  const world = await createTestWorld()
  const sink = await startOtlpCollector()
  const collector = await startCollector(collectorProgram, world.folder, sink.url)
  try {
    const ports = await checkNode(world, sink, { collector: collector.url, checks })
    await checks.check('Prometheus takes the page of metrics as it is', () => checkText(ports.text))
    await checks.check('Prometheus scrapes it and answers questions', () => checkScrape(world, ports.metrics))
    await checks.check('every alert fires by the fault it is for', async () => {
      await run('promtool', ['check', 'rules', join(monitoring, 'alerts.yaml')])
      await run('promtool', ['test', 'rules', join(monitoring, 'alerts.test.yaml')])
    })
    await checks.check('a Worker: the collector takes its metrics and its trace', () =>
      checkWorker(world, sink, collector.url),
    )
    await checks.check('the collector refused nothing', async () => same(collector.complaints(), ''))
  } finally {
    collector.stop()
    sink.close()
    await world.close()
  }
  say(checks.faults.length === 0 ? 'all as promised' : `${checks.faults.length} FAILED`)
  return checks.faults.length === 0 ? 0 : 1
}

async function buildCollector(): Promise<string> {
  const built = await prepareProgram('collector', join(import.meta.dirname, 'program'), {
    tools: ['go'],
    sources: ['go.mod', 'go.sum', 'main.go'],
    commands: () => [['go', 'build', '-o', 'collector', '.']],
  })
  if (!built.found) throw new Error(`no collector: ${built.why}`)
  return join(built.folder, 'collector')
}

/** A collector that hands on to `sink`, as JSON, what it understood. */
async function startCollector(built: string, folder: string, sink: string) {
  const port = await freePort()
  const config = join(folder, 'collector.yaml')
  const pipeline = { receivers: ['otlp'], exporters: ['otlp_http'] }
  // JSON is YAML.
  writeFileSync(
    config,
    JSON.stringify({
      receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
      exporters: { otlp_http: { endpoint: sink, encoding: 'json', compression: 'none' } },
      service: {
        telemetry: { metrics: { level: 'none' }, logs: { level: 'warn' } },
        pipelines: { traces: pipeline, metrics: pipeline },
      },
    }),
  )
  const child = spawn(built, ['--config', config], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  const url = `http://127.0.0.1:${port}`
  await until('the collector listens', async () => {
    if (child.exitCode !== null) throw new Error(`the collector ended: ${said}`)
    return (await fetch(url).catch(() => undefined)) !== undefined
  })
  return { url, complaints: () => said, stop: () => void child.kill('SIGTERM') }
}

async function checkNode(
  world: TestWorld,
  sink: OtlpCollector,
  { collector, checks }: { readonly collector: string; readonly checks: ReturnType<typeof createChecks> },
) {
  const broker = await world.yard.start(
    world.settings([world.rule('collected', [reading])], {
      DOWNSCOPE_STORE: `sqlite:${join(world.folder, 'collected.db')}`,
      DOWNSCOPE_METRICS_PORT: '0',
      ...settingsFor(collector, 'node'),
    }),
  )
  await world.enrolAccount(broker, 'collected')
  const wanted = { audience: 'collected', scope: reading }
  const minted = await askToken(broker, world.workload, wanted)
  const hit = await askToken(broker, world.workload, wanted)
  await checks.check('two tokens', async () => same([minted.status, hit.status], [200, 200]))
  await checks.check('Node: the collector takes a trace with all its spans', async () => {
    const [server, below] = await sink.traceOf(minted.requestId)
    same(
      [server.name, server.kind, attribute(server, 'http.response.status_code')],
      ['POST /v1/token', 2, '200'],
    )
    const names = new Set(below.map(({ name }) => name))
    const missing = ['authenticate', 'authorize', 'cache', 'lease', 'mint', 'POST token', 'audit'].filter(
      (name) => !names.has(name),
    )
    same(missing, [])
  })
  await checks.check('Node: the collector takes the metrics, by their names', () =>
    metricsArrived(sink, 'node'),
  )
  const { port } = await until('the port of metrics', () =>
    broker.lines().find(({ message }) => message === 'metrics are served'),
  )
  const text = await (await fetch(`http://127.0.0.1:${Number(port)}/metrics`)).text()
  return { metrics: Number(port), text }
}

function settingsFor(collector: string, service: string): Readonly<Record<string, string>> {
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector,
    OTEL_SERVICE_NAME: service,
    OTEL_METRIC_EXPORT_INTERVAL: '500',
    OTEL_BSP_SCHEDULE_DELAY: '100',
  }
}

/** What one mint and one hit must have counted. */
async function metricsArrived(sink: OtlpCollector, service: string): Promise<void> {
  const named = `{"key":"service.name","value":{"stringValue":"${service}"}}`
  const wanted = Object.keys(metrics).filter((name) =>
    /requests|duration|mints|operations|audit|policy/.test(name),
  )
  let missing: readonly string[] = wanted
  await until(`metrics of ${service}`, () => {
    const text = sink
      .bodies('metrics')
      .filter((body) => body.includes(named))
      .join('')
    missing = wanted.filter((name) => !text.includes(`"name":"${name}"`))
    return missing.length === 0
  }).catch(() => same(missing, []))
}

/** It says nothing of what it likes. */
async function checkText(text: string): Promise<void> {
  const child = spawn('promtool', ['check', 'metrics'], { stdio: ['pipe', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
  child.stdin.end(text)
  const code = await new Promise((resolve) => child.once('close', resolve))
  same([code, said], [0, ''])
}

async function checkScrape(world: TestWorld, scraped: number): Promise<void> {
  const port = await freePort()
  const config = join(world.folder, 'prometheus.yaml')
  const targets = [`127.0.0.1:${scraped}`]
  const job = { job_name: 'downscope', scrape_interval: '1s', static_configs: [{ targets }] }
  writeFileSync(config, JSON.stringify({ scrape_configs: [job] }))
  const child = spawn(
    'prometheus',
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(world.folder, 'prometheus')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=error',
    ],
    { stdio: 'ignore' },
  )
  try {
    const name = prometheusName('downscope.requests')
    const value = await until('a scrape', async () => {
      const query = new URLSearchParams({ query: `sum(${name}{outcome="issued"})` })
      const answer = await fetch(`http://127.0.0.1:${port}/api/v1/query?${query.toString()}`).catch(
        () => undefined,
      )
      return /"value":\[[\d.]+,"(\d+)"\]/.exec((await answer?.text()) ?? '')?.[1]
    })
    same(value, '2')
  } finally {
    child.kill('SIGTERM')
  }
}

async function checkWorker(world: TestWorld, sink: OtlpCollector, collector: string): Promise<void> {
  const yard = createWorkerYard()
  try {
    const worker = await yard.start(
      world.settings([world.rule('collected', [reading])], {
        DOWNSCOPE_STORE: 'sqlite:collected',
        ...settingsFor(collector, 'worker'),
      }),
    )
    await world.enrolAccount(worker, 'collected')
    const answer = await askToken(worker, world.workload, { audience: 'collected', scope: reading })
    same(answer.status, 200)
    const [, below] = await sink.traceOf(answer.requestId)
    same(below.filter(({ name }) => name === 'mint').length, 1)
    await metricsArrived(sink, 'worker')
  } finally {
    await yard.close()
  }
}
