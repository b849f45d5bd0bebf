import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawn } from 'node:child_process'
import { expect, onTestFinished, test } from 'vitest'
import * as z from 'zod/mini'
import { auditMembers } from '../../src/adapters/system/audit-trail.ts'
import type { AuditRecord } from '../../src/domain/audit-record.ts'
import { epochSeconds, seconds } from '../../src/domain/time.ts'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { createEntropy, createSystemClock } from '../../src/adapters/system/clock-and-entropy.ts'
import { createNodeHttpClient } from '../../src/adapters/system/node-http-client.ts'
import { nodeSha256 } from '../../src/adapters/system/node-crypto.ts'
import { renderMetrics, replaceMetrics } from '../../infra/docs/metrics-table.ts'
import { metrics, prometheusName } from '../../src/domain/metrics.ts'
import { eventTypes, type Fact } from '../../src/domain/event.ts'
import { Secret } from '../../src/domain/secret.ts'
import { createEvents } from '../../src/events/events.ts'
import { createEventRecords } from '../../src/records/events.ts'
import { freePort } from '../support/free-port.ts'
import { blocks, readPage } from '../support/guides.ts'
import { jsonMembers } from '../support/json-members.ts'
import { listenOnLoopback } from '../support/listen.ts'
import { createAwaitableBackground, createLogBook } from '../support/quiet.ts'
import { plainEnvironment, repository } from '../support/run-node.ts'
import { until } from '../support/test-broker/until.ts'
import { webhookSecret } from '../support/webhook-verifier.ts'

const page = readPage('docs/observability.md')

test('the table of metrics is the one of the code', () => {
  const squeezed = (text: string): string => text.replaceAll(/ +/g, ' ').replaceAll(/-+/g, '-')

  expect(squeezed(replaceMetrics(page) ?? '')).toBe(squeezed(page))
  expect(renderMetrics().split('\n')).toHaveLength(Object.keys(metrics).length + 2)
  expect(replaceMetrics('a page without markers')).toBeUndefined()
})

test('names are as Prometheus has them', () => {
  expect(prometheusName('downscope.requests')).toBe('downscope_requests_total')
  expect(prometheusName('downscope.request.duration')).toBe('downscope_request_duration_seconds')
  expect(prometheusName('downscope.policy.faults')).toBe('downscope_policy_faults')
})

test('the table of events has every type', () => {
  const types = [...page.matchAll(/^\| `(\w+\.\w+)` \|/gm)].map(([, type]) => type)

  expect(types).toEqual(eventTypes)
})

test('the receiver takes what is signed, and tells Slack and PagerDuty', async () => {
  const told = await startServices()
  const receiver = await startReceiver(told.url)
  const events = createEvents({
    records: createEventRecords({
      store: createMemoryStore({ clock: createSystemClock() }),
      clock: createSystemClock(),
      sha256: nodeSha256,
    }),
    receiver: { url: receiver, secret: new Secret(webhookSecret), mustBePublic: false },
    http: createNodeHttpClient(),
    background: createAwaitableBackground(false),
    clock: createSystemClock(),
    entropy: createEntropy(),
    log: createLogBook().log,
    redact: (text) => text,
    sharesWork: true,
  })
  const fact = (type: Fact['type'], reason: string): Fact => ({
    type,
    key: [],
    data: { credential: 'team-calendar', reason },
  })
  await until('the receiver', async () => (await events.test()).reason === undefined)
  await events.emit(fact('credential.broken', 'a <b> & c'))
  await events.deliver()
  await events.emit(fact('credential.recovered', ''))
  await events.deliver()
  const forged = await fetch(receiver, { method: 'POST', body: '{}' })

  expect(forged.status).toBe(400)
  const of = (path: string) => told.posts.filter((post) => post.path === path).map(({ body }) => body)
  expect(of('/slack').slice(-2)).toMatchObject([
    { text: '*credential.broken*\ncredential: team-calendar\nreason: a &lt;b&gt; &amp; c' },
    { text: expect.stringContaining('*credential.recovered*') as unknown },
  ])
  const same = { routing_key: 'r'.repeat(32), dedup_key: 'downscope credential team-calendar' }
  expect(of('/pagerduty')).toMatchObject([
    { ...same, event_action: 'trigger', payload: { severity: 'error', source: 'downscope' } },
    { ...same, event_action: 'resolve' },
  ])
})

/** Slack and PagerDuty, as far as they take what they document. */
async function startServices() {
  const posts: { readonly path: string | undefined; readonly body: Readonly<Record<string, unknown>> }[] = []
  const server = createServer((request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    request.on('end', () => {
      const body = jsonMembers(text)
      const isRight =
        request.url === '/slack'
          ? typeof body['text'] === 'string'
          : String(body['routing_key']).length === 32 && body['payload'] !== undefined
      if (isRight) posts.push({ path: request.url, body })
      response.writeHead(isRight ? 202 : 400).end()
    })
  })
  const port = await listenOnLoopback(server)
  onTestFinished(() => void server.close())
  return { posts, url: `http://127.0.0.1:${port}` }
}

/** The receiver of the guide, in a process of its own. */
async function startReceiver(services: string): Promise<string> {
  const block = blocks.find(({ block: { note } }) => note === 'receiver.mjs')?.block
  const folder = await mkdtemp(join(tmpdir(), 'downscope-receiver-'))
  await symlink(join(repository, 'node_modules'), join(folder, 'node_modules'))
  await writeFile(join(folder, 'receiver.mjs'), block?.text ?? '')
  const port = await freePort()
  const child = spawn(process.execPath, ['receiver.mjs'], {
    cwd: folder,
    env: {
      ...plainEnvironment(),
      PORT: String(port),
      DOWNSCOPE_WEBHOOK_SECRET: webhookSecret,
      SLACK_URL: `${services}/slack`,
      PAGERDUTY_URL: `${services}/pagerduty`,
      PAGERDUTY_KEY: 'r'.repeat(32),
    },
    stdio: 'ignore',
  })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await rm(folder, { recursive: true })
  })
  return `http://127.0.0.1:${port}/`
}

const sample = {
  requestId: 'r',
  at: epochSeconds(1_795_900_000),
  action: 'token.exchange',
  outcome: 'issued',
  issuer: 'https://cluster.acme.example',
  caller: 'billing',
  rule: 'billing reads reports',
  credential: 'reports-sa',
  credentialVersion: 'v1',
  scopesAsked: ['a'],
  scopesIssued: ['a'],
  source: 'mint',
  remaining: seconds(3600),
  tokenDigest: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  durationMs: 12.5,
} as const satisfies AuditRecord

/** A list is a JSON text: SQLite has none. */
function cellOf(value: unknown): string | number | null {
  if (typeof value === 'string' || typeof value === 'number') return value
  return value === undefined ? null : JSON.stringify(value)
}

/** The block of the page that has this name. */
function named(name: string): string {
  const found = blocks.find(({ path, block: { note } }) => path === 'docs/observability.md' && note === name)
  if (found === undefined) throw new Error(`no block ${name}`)
  return found.block.text
}

test('the schema for BigQuery has each member of a record, and the five questions are answered', () => {
  const fields = z
    .array(z.object({ name: z.string(), type: z.string(), mode: z.optional(z.string()) }))
    .parse(JSON.parse(named('schema.json')))
  const names = fields.map(({ name }) => name)
  const members = Object.keys(auditMembers(sample)).filter((name) => name !== 'at')
  expect(names.toSorted()).toEqual(['time', ...members].toSorted())

  const database = new DatabaseSync(':memory:')
  onTestFinished(() => database.close())
  database.exec(`CREATE TABLE audit (${names.join(', ')})`)
  const insert = database.prepare(`INSERT INTO audit VALUES (${names.map(() => '?').join(', ')})`)
  const keep = (more: Partial<AuditRecord>): void => {
    const members: Readonly<Record<string, unknown>> = auditMembers({ ...sample, ...more })
    const time = new Date(Number(members['at']) * 1000).toISOString()
    insert.run(...names.map((name) => cellOf(name === 'time' ? time : members[name])))
  }
  keep({})
  keep({ at: epochSeconds(sample.at + 60), tokenDigest: 'another', source: 'memory' })
  keep({
    credential: 'calendar',
    caller: 'desk',
    tokenDigest: 'of-the-desk',
    at: epochSeconds(sample.at - 60),
  })
  keep({ tokenDigest: '', outcome: 'refused', error: 'scope_refused', reason: 'no rule', source: 'mint' })
  keep({ tokenDigest: '', outcome: 'done', action: 'credential.disable', caller: 'ops' })
  keep({ tokenDigest: '', outcome: 'done', action: 'credential.list', caller: 'ops' })
  const ask = (name: string) => database.prepare(named(name)).all()

  expect(ask('who-got-tokens')).toMatchObject([{ caller: 'billing', tokens: 2 }])
  expect(ask('what-is-refused')).toMatchObject([{ error: 'scope_refused', reason: 'no rule', requests: 1 }])
  expect(ask('whose-token')).toMatchObject([{ caller: 'billing', credential: 'reports-sa', source: 'mint' }])
  expect(ask('who-changed-what')).toMatchObject([{ caller: 'ops', action: 'credential.disable' }])
  expect(ask('what-is-unused')).toMatchObject([
    { credential: 'calendar' },
    { credential: 'reports-sa', tokens: 2 },
  ])
})
