import { createServer } from 'node:http'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { listenOnLoopback } from '../support/listen.ts'
import { repository, runProgram } from '../support/run-node.ts'
import { administer, askToken } from '../support/test-broker/ask.ts'
import { createTestWorld, scopeOf } from '../support/test-broker/test-world.ts'
import { until } from '../support/test-broker/until.ts'
import { startWebhookReceiver } from '../support/webhook-receiver.ts'
import { webhookSecret } from '../support/webhook-verifier.ts'

const mail = scopeOf('gmail.readonly')
const path = '/services/T0/canary-of-the-path?key=canary-of-the-query'

async function startWorld() {
  const [world, receiver] = await Promise.all([createTestWorld(), startWebhookReceiver(path)])
  onTestFinished(async () => {
    await world.close()
    await receiver.close()
  })
  const policyPath = join(world.folder, 'policy.json')
  writeFileSync(policyPath, world.policy([world.rule('sa', [mail])]))
  const settings = world.settings([], {
    DOWNSCOPE_POLICY: policyPath,
    DOWNSCOPE_WEBHOOK_URL: receiver.url,
    DOWNSCOPE_WEBHOOK_SECRET: webhookSecret,
  })
  return { world, receiver, policyPath, settings }
}

test(
  'T34: a broker does not start with a receiver on loopback unless it is allowed to',
  { timeout: 180_000 },
  async () => {
    const { world, receiver, settings } = await startWorld()
    const broker = await world.yard.launch(settings)

    expect((await broker.ended).code).toBe(1)
    expect(broker.stderr()).toContain('DOWNSCOPE_WEBHOOK_URL must be https and not at a private address')
    expect(broker.stderr()).not.toContain('canary')
    expect(receiver.received).toHaveLength(0)
  },
)

test(
  'P34: T33: events arrive signed; bad receivers cost no token request, and nothing shows their URL',
  { timeout: 180_000 },
  async () => {
    const { world, receiver, policyPath, settings } = await startWorld()
    const elsewhere: unknown[] = []
    const trap = createServer((request, response) => {
      elsewhere.push(request.url)
      response.end()
    })
    const trapPort = await listenOnLoopback(trap)
    onTestFinished(() => void trap.close())
    let exported = ''
    const collector = createServer((request, response) => {
      request.setEncoding('utf8').on('data', (text: string) => (exported += text))
      request.on('end', () => response.end('{}'))
    })
    const collectorPort = await listenOnLoopback(collector)
    onTestFinished(() => void collector.close())
    const broker = await world.yard.start({
      ...settings,
      DOWNSCOPE_WEBHOOK_ALLOW_PRIVATE: 'true',
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collectorPort}`,
      OTEL_METRIC_EXPORT_INTERVAL: '200',
    })
    await world.enrolAccount(broker, 'sa')
    const ask = async () => (await askToken(broker, world.workload, { audience: 'sa' })).status
    const admin = (method: string, of: string, body?: object) =>
      administer(broker, world.ops, { method, path: of, ...(body === undefined ? {} : { body }) })
    expect(await ask()).toBe(200)

    writeFileSync(`${policyPath}.new`, world.policy([world.rule('sa', [mail]), world.rule('other', [mail])]))
    renameSync(`${policyPath}.new`, policyPath)
    await until('the policy is replaced', async () => (await ask()) === 200 && receiver.received.length === 1)
    expect(receiver.received).toMatchObject([{ type: 'policy.replaced' }])

    receiver.answer = (response) =>
      response.writeHead(307, { location: `http://127.0.0.1:${trapPort}/` }).end()
    const redirected = await admin('POST', 'events:test')
    receiver.answer = (response) => response.writeHead(200).end('x'.repeat(2 ** 20))
    const large = await admin('POST', 'events:test')
    receiver.answer = (response) => response.writeHead(429, { 'retry-after': '3600' }).end()
    const busy = await admin('POST', 'events:test')
    receiver.answer = () => undefined
    const blocked = await admin('POST', 'callers:revoke', { issuer: 'billing', subject: 'somebody' })
    await receiver.came(5)
    const statuses = await Promise.all([ask(), ask(), ask()])

    const host = new URL(receiver.url).host
    expect([redirected, large, busy].map(({ body }) => body['reason'])).toEqual([
      `POST ${host}: answered with redirect 307`,
      `POST ${host}: more than 16384 bytes`,
      `${host} answered 429`,
    ])
    expect(elsewhere).toEqual([])
    expect(blocked.status).toBe(200)
    expect(statuses).toEqual([200, 200, 200])
    expect(receiver.received[4]).toMatchObject({ type: 'kill_switch.used', data: { by: 'ops/ops' } })
    expect(receiver.faults).toEqual([])
    await until('the webhook is measured', () => exported.includes('"webhook"'))
    const env = { ...settings, DOWNSCOPE_URL: broker.url, DOWNSCOPE_ID_TOKEN: await world.ops.jwt() }
    const doctor = (...args: readonly string[]) =>
      runProgram(process.execPath, ['src/cli.ts', 'doctor', ...args], { cwd: repository, env })
    const [asked, local] = [await doctor(), await doctor('--local')]
    const [service, events] = [await admin('GET', 'service'), await admin('GET', 'events')]
    const outputs = [broker.stdout(), broker.stderr(), asked.stdout, local.stdout, local.stderr, exported]
    expect(asked.stdout).toContain('policy')
    expect(local.stdout + local.stderr).toContain('DOWNSCOPE_WEBHOOK_URL')
    const shown = [...outputs, service.text, events.text].join('\n')
    expect(events.text).toContain('kill_switch.used')
    expect(shown).toContain(`"DOWNSCOPE_WEBHOOK_URL":"${host}"`)
    expect(shown).not.toContain('canary')
    expect(shown).not.toContain(webhookSecret)
  },
)
