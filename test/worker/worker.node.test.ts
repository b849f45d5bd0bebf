import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  administer,
  askToken,
  assertionForm,
  exchangeForm,
  post,
  send,
  type Form,
} from '../support/test-broker/ask.ts'
import { reach, under } from '../support/boundaries.ts'
import { callerOf } from '../support/test-broker/callers.ts'
import { jsonObject } from '../support/test-broker/json.ts'
import { runCli } from '../support/run-cli.ts'
import { createTestWorld, scopeOf, type TestWorld } from '../support/test-broker/test-world.ts'
import { startOtlpCollector } from '../support/otlp-collector.ts'
import { until } from '../support/test-broker/until.ts'
import { startWebhookReceiver, type WebhookReceiver } from '../support/webhook-receiver.ts'
import { webhookSecret } from '../support/webhook-verifier.ts'
import { createWorkerYard, type WorkerProcess, type WorkerYard } from '../support/worker-sandbox.ts'

// The whole Worker under `wrangler dev`, over HTTP: what the tests of the broker on Node hold is held here too.

const mail = scopeOf('gmail.readonly')
const drive = scopeOf('drive.readonly')
const storage = scopeOf('devstorage.read_only')

let world: TestWorld
let yard: WorkerYard
let worker: WorkerProcess
let settings: Readonly<Record<string, string>>
let receiver: WebhookReceiver

beforeAll(async () => {
  world = await createTestWorld()
  yard = createWorkerYard()
  const names = ['sa', 'grant', 'herd', 'herd-grant', 'left', 'absent', 'disabled', 'moved']
  const rules = [...names.map((name) => world.rule(name, [mail, drive])), world.rule('sealed', [storage])]
  receiver = await startWebhookReceiver()
  settings = world.settings(rules, {
    DOWNSCOPE_STORE: 'sqlite:tests',
    DOWNSCOPE_WEBHOOK_URL: receiver.url,
    DOWNSCOPE_WEBHOOK_SECRET: webhookSecret,
    DOWNSCOPE_WEBHOOK_ALLOW_PRIVATE: 'true',
  })
  worker = await yard.start(settings)
  for (const name of ['sa', 'herd', 'disabled']) await world.enrolAccount(worker, name)
  for (const name of ['grant', 'herd-grant'])
    await world.enrolGrant(worker, name, { scopes: [mail, drive], rotating: true })
  await administer(worker, world.ops, { method: 'POST', path: 'credentials/disabled:disable' })
  return async () => {
    try {
      await yard.close()
    } finally {
      await Promise.all([world.close(), receiver.close()])
    }
  }
}, 90_000)

const forms = {
  client_credentials: (parameters: Form) => assertionForm(world.billing, parameters),
  'token-exchange': (parameters: Form) => exchangeForm(world.workload, parameters),
}
const good = { audience: 'sa', scope: mail }

describe('a Worker', { timeout: 60_000 }, () => {
  for (const [grantType, form] of Object.entries(forms))
    for (const credential of ['sa', 'grant'])
      test(`P13: by ${grantType} from ${credential}, a token carries the scope asked for and no other`, async () => {
        const answer = await post(worker, await form({ audience: credential, scope: mail }))

        expect(answer).toMatchObject({ status: 200 })
        expect(answer.body).toMatchObject({ token_type: 'Bearer', scope: mail })
        expect(answer.headers.get('cache-control')).toBe('no-store')
        expect(world.google.token(answer.token)?.scopes).toEqual([mail])
        const audit = await worker.auditOf(answer.requestId)
        expect(audit).toMatchObject({ outcome: 'issued', credential, scopes_issued: [mail] })
      })

  test('P6: of 20 concurrent uses of one assertion exactly one gets a token', async () => {
    const form = await assertionForm(world.billing, good)
    const answers = await Promise.all(Array.from({ length: 20 }, () => post(worker, form)))

    expect(answers.map(({ status }) => status).toSorted()).toEqual([
      200,
      ...Array.from({ length: 19 }, () => 401),
    ])
  })

  test.each(['herd', 'herd-grant'])(
    'P15: 40 callers at once for %s cause one call upstream, though no request awaits another',
    async (audience) => {
      const before = world.google.calls.count({ endpoint: 'token' })
      const answers = await Promise.all(
        Array.from({ length: 40 }, () => askToken(worker, world.workload, { audience, scope: mail })),
      )

      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
      expect(new Set(answers.map(({ token }) => token)).size).toBe(1)
      expect(world.google.calls.count({ endpoint: 'token' }) - before).toBe(1)
    },
  )

  test('P12: unknown, unenrolled and disabled credentials answer with the same bytes but for the request id', async () => {
    const names = ['never-heard-of', 'absent', 'disabled']
    const answers = await Promise.all(
      names.map((audience) => askToken(worker, world.workload, { audience, scope: mail })),
    )

    const texts = answers.map(({ status, text, requestId }) => `${status} ${text.replace(requestId, 'ID')}`)
    expect(new Set(texts).size).toBe(1)
    expect(answers[0]).toMatchObject({ status: 400, body: { error: 'invalid_target' } })
  })

  test('P16: a caller who hangs up during a refresh loses nothing: the rotated grant is kept and serves the next', async () => {
    const { refresh_token: grant } = await world.enrolGrant(worker, 'left', {
      scopes: [mail],
      rotating: true,
    })
    world.google.script.token.next(1, { do: 'slow', delayMs: 600 })
    const body = new URLSearchParams(await forms['token-exchange']({ audience: 'left', scope: mail }))
    const signal = AbortSignal.timeout(200)
    // `wrangler dev` would let the request go on in any case; that waitUntil holds it is resolve's own test.
    await expect(fetch(`${worker.url}/v1/token`, { method: 'POST', body, signal })).rejects.toThrow()

    const answer = await askToken(worker, world.workload, { audience: 'left', scope: mail })

    expect(answer).toMatchObject({ status: 200 })
    expect(await worker.auditOf(answer.requestId)).toMatchObject({ source: 'store' })
    expect(world.google.calls.count({ credential: grant })).toBe(1)
  })

  test('sends an event, signed, after the answer', async () => {
    const body = { issuer: 'billing', subject: 'somebody' }
    const revoked = await administer(worker, world.ops, { method: 'POST', path: 'callers:revoke', body })
    await receiver.came(1)
    const shown = await until('the event is delivered', async () => {
      const { text } = await administer(worker, world.ops, { method: 'GET', path: 'events' })
      return text.includes('"delivered"') && text
    })

    expect(revoked).toMatchObject({ status: 200 })
    expect(receiver.faults).toEqual([])
    expect(receiver.received).toMatchObject([
      {
        type: 'kill_switch.used',
        data: { action: 'caller.revoke', by: 'ops/ops', caller: 'billing/somebody' },
      },
    ])
    expect(shown).toContain(receiver.received[0]?.id)
  })

  test('P30: seals boundaries locally, and one exchange serves all of them', async () => {
    const secret = await world.google.createServiceAccount()
    const body = { name: 'sealed', secret, bounded_locally: true, accept_unproved: true }
    const enrolled = await administer(worker, world.ops, { method: 'POST', path: 'credentials', body })
    expect(enrolled).toMatchObject({ status: 201 })
    const before = world.google.calls.count({ grant: 'token-exchange' })
    const folders = Array.from({ length: 10 }, (_, index) => `team-${index}/`)
    const ask = (folder: string) => {
      const rule = reach({ availabilityCondition: under(folder) })
      const options = JSON.stringify({ accessBoundary: { accessBoundaryRules: [rule] } })
      return askToken(worker, world.workload, { audience: 'sealed', scope: storage, options })
    }
    const first = await ask('first/')
    expect(first).toMatchObject({ status: 200 })
    const answers = await Promise.all(folders.map(ask))

    for (const [index, { status, token }] of answers.entries()) {
      expect([status, (await world.google.openToken(token))?.isSealed]).toEqual([200, true])
      const mayRead = (object: string) =>
        world.google.mayDo(token, { permission: 'storage.objects.get', bucket: 'reports', object })
      expect(await mayRead(`team-${index}/x`)).toBe(true)
      expect(await mayRead(`team-${(index + 1) % 10}/x`)).toBe(false)
      const intermediary = token.slice(0, token.lastIndexOf('.'))
      expect(first.token.startsWith(`${intermediary}.`)).toBe(true)
    }
    expect(world.google.calls.count({ grant: 'token-exchange' }) - before).toBe(1)
  })

  test('runs its schedule', async () => {
    expect(await worker.runSchedule()).toBe(200)
    expect(worker.stdout()).toContain('swept expired documents')
  })
})

/** docs/errors.md: the refusals of a request. */
const refusals: readonly (readonly [string, () => Promise<Form>, number, string])[] = [
  [
    'a malformed request',
    async () => ({ ...(await forms['token-exchange'](good)), options: '{' }),
    400,
    'invalid_request',
  ],
  [
    'another grant type',
    async () => ({ ...(await forms['token-exchange'](good)), grant_type: 'password' }),
    400,
    'unsupported_grant_type',
  ],
  [
    'two proofs',
    async () => ({ ...(await forms.client_credentials(good)), ...(await forms['token-exchange'](good)) }),
    400,
    'invalid_request',
  ],
  [
    "P1: a client assertion under another's key",
    async () => ({ ...(await forms.client_credentials(good)), client_assertion: await forged() }),
    401,
    'invalid_client',
  ],
  [
    "P1: a subject token under another's key",
    async () => ({ ...(await forms['token-exchange'](good)), subject_token: await forged() }),
    400,
    'invalid_request',
  ],
  [
    'a scope beyond the rule',
    () => forms['token-exchange']({ ...good, scope: scopeOf('cloud-platform') }),
    400,
    'invalid_scope',
  ],
  [
    'a credential that is not there',
    () => forms['token-exchange']({ ...good, audience: 'absent' }),
    400,
    'invalid_target',
  ],
]

const forged = (): Promise<string> => callerOf(world.ops.signer, 'billing').jwt()

describe('a Worker refuses', { timeout: 60_000 }, () => {
  test.each(refusals)('%s', async (_, form, status, error) => {
    const answer = await post(worker, await form())

    expect(answer).toMatchObject({ status, body: { error } })
    expect(answer.requestId).toMatch(/^[0-9a-f-]{36}$/)
    const audit = await worker.auditOf(answer.requestId)
    expect(audit).toMatchObject({ outcome: 'refused' })
    expect(audit['reason']).toMatch(/./)
  })

  test('P10: a path that is not there, as JSON', async () => {
    const answer = await send(`${worker.url}/nothing`, { method: 'GET' })

    expect(answer.status).toBe(404)
    expect(answer.headers.get('content-type')).toMatch(/json/)
  })
})

describe('another isolate of the same Worker', { timeout: 90_000 }, () => {
  test('P15, P16: serves the token of the first from the store, and the rotated grant goes on', async () => {
    const first = await askToken(worker, world.workload, { audience: 'grant', scope: mail })
    await worker.stop()
    worker = await yard.start(settings)
    const before = world.google.calls.count({ endpoint: 'token' })

    const second = await askToken(worker, world.workload, { audience: 'grant', scope: mail })
    const third = await askToken(worker, world.workload, { audience: 'grant', scope: `${drive} ${mail}` })

    expect(second.token).toBe(first.token)
    expect(await worker.auditOf(second.requestId)).toMatchObject({ source: 'store' })
    expect(third).toMatchObject({ status: 200 })
    expect(world.google.calls.count({ endpoint: 'token' }) - before).toBe(1)
  })

  test('P35: what a Durable Object holds goes to a broker on Node, and what that one enrols comes back', async () => {
    const store = `sqlite:${join(world.folder, 'from-worker.db')}`
    const env = { ...settings, DOWNSCOPE_STORE: store }
    const file = join(world.folder, 'worker.jsonl')
    const out = await administer(worker, world.ops, { method: 'GET', path: 'store' })
    writeFileSync(file, out.text)
    const taken = await runCli(['store', 'import', file, '--resume', '--json'], { env })
    const node = await world.yard.start(env)
    const there = await askToken(node, world.workload, { audience: 'sa', scope: mail })
    await world.enrolAccount(node, 'moved')
    const back = await administer(node, world.ops, { method: 'GET', path: 'store' })
    const take = async (body: string) => {
      const headers = {
        authorization: `Bearer ${await world.ops.jwt()}`,
        'content-type': 'application/jsonl',
      }
      return send(`${worker.url}/v1/admin/store`, { method: 'POST', headers, body })
    }
    const cutOff = await take(back.text.slice(0, -200))
    const imported = await take(back.text)
    const stopped = await askToken(worker, world.workload, { audience: 'moved', scope: mail })
    await administer(worker, world.ops, { method: 'POST', path: 'service:resume' })
    const here = await askToken(worker, world.workload, { audience: 'moved', scope: mail })

    expect(taken).toMatchObject({ status: 0, stderr: '' })
    expect(jsonObject(taken.stdout)).toMatchObject({ unlike: [], vouched_for: true, stopped: false })
    expect(there.status).toBe(200)
    expect(cutOff.status).toBe(400)
    expect(imported).toMatchObject({ status: 200, body: { vouched_for: true } })
    expect(stopped).toMatchObject({ status: 503, body: { error: 'temporarily_unavailable' } })
    expect(here.status).toBe(200)
  })

  test('moves to Cloud KMS: what is there is rewrapped, and the next isolates open it with nothing else', async () => {
    const keyName = 'projects/acme/locations/eu/keyRings/downscope/cryptoKeys/store'
    const own = await world.google.createServiceAccount({ email: 'downscope@acme.iam.gserviceaccount.com' })
    world.google.createCryptoKey(keyName)
    world.google.allowCryptoKey(own.client_email, keyName)
    const withKms = {
      ...settings,
      DOWNSCOPE_KEY_RING: `gcp-kms://${keyName}`,
      DOWNSCOPE_GOOGLE_CREDENTIALS: JSON.stringify(own),
    }
    await worker.stop()
    worker = await yard.start(withKms)

    const rewrapped = await administer(worker, world.ops, { method: 'POST', path: 'keys:rewrap' })
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => askToken(worker, world.workload, { audience: 'grant', scope: drive })),
    )

    expect(rewrapped.body).toMatchObject({
      sealing_key: `${keyName}/cryptoKeyVersions/1`,
      rewrapped: 8,
      failed: [],
    })
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    // Those who follow have no other key.
    settings = { ...withKms, DOWNSCOPE_KEYS: '' }
  })

  test('a caller over its limit hears 429 and when to come again, and another caller does not', async () => {
    await worker.stop()
    worker = await yard.start(settings, { caller: 3, total: 1000 })
    await clearOfMinuteEnd()

    const answers = []
    for (let ask = 0; ask < 5; ask += 1)
      answers.push(await post(worker, await forms.client_credentials(good)))
    const other = await post(worker, await forms['token-exchange'](good))

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429, 429])
    expect(answers.at(-1)).toMatchObject({ body: { error: 'temporarily_unavailable' } })
    expect(answers.at(-1)?.headers.get('retry-after')).toBe('10')
    expect(other.status).toBe(200)
  })

  test('all callers over their limit hear 429 before a signature is looked at, and an administrator does not', async () => {
    await worker.stop()
    worker = await yard.start(settings, { caller: 1000, total: 2 })
    await clearOfMinuteEnd()

    const form = { ...(await forms.client_credentials(good)), client_assertion: 'no.jwt.at-all' }
    const answers = [await post(worker, form), await post(worker, form), await post(worker, form)]
    const admin = await administer(worker, world.ops, { method: 'GET', path: 'credentials' })

    expect(answers.map(({ status }) => status)).toEqual([401, 401, 429])
    expect(admin.status).toBe(200)
  })

  test('T33, T36: sends metrics and traces to a collector, and a collector that hangs costs no request', async () => {
    await worker.stop()
    const collector = await startOtlpCollector()
    worker = await yard.start({
      ...settings,
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-key=of-the-collector',
      OTEL_METRIC_EXPORT_INTERVAL: '500',
      OTEL_BSP_SCHEDULE_DELAY: '100',
      OTEL_EXPORTER_OTLP_TIMEOUT: '500',
    })
    try {
      const [trace, span, canary] = ['a'.repeat(32), 'b'.repeat(16), 'canary-of-a-stranger']
      const form = await forms['token-exchange'](good)
      const headers = { traceparent: `00-${trace}-${span}-01`, baggage: `${canary}=1` }
      const body = new URLSearchParams(form)
      const first = await send(`${worker.url}/v1/token?${canary}=1`, { method: 'POST', body, headers })
      const second = await post(worker, await forms['token-exchange'](good))
      expect([first.status, second.status, first.status === 200 ? '' : worker.stdout().slice(-3000)]).toEqual(
        [200, 200, ''],
      )
      const traces = await Promise.all([first, second].map(({ requestId }) => collector.traceOf(requestId)))
      await until('a batch of metrics with both', () =>
        collector
          .bodies('metrics')
          .some((text) => text.includes('"downscope.requests"') && text.includes('"memory"')),
      )

      for (const [server, below] of traces) {
        expect(server).toMatchObject({ name: 'POST /v1/token', kind: 2 })
        expect(server.traceId).not.toBe(trace)
        for (const name of ['authenticate', 'authorize', 'cache', 'audit'])
          expect(below.find((one) => one.name === name)).toMatchObject({ parentSpanId: server.spanId })
      }
      expect(new Set(traces.map(([{ traceId }]) => traceId)).size).toBe(2)
      expect(await worker.auditOf(first.requestId)).toMatchObject({ trace_id: traces[0]?.[0].traceId })
      expect(collector.headers('x-key')).toEqual(new Set(['of-the-collector']))
      const sent = [...collector.bodies('traces'), ...collector.bodies('metrics')].join('')
      const said = `${sent}${worker.stdout()}`
      for (const secret of [canary, first.token, form['subject_token'] ?? '', 'of-the-collector'])
        expect(said).not.toContain(secret)
      expect(sent).not.toContain(world.workload.subject)

      collector.behave(() => undefined)
      const answers = []
      for (let ask = 0; ask < 5; ask += 1)
        answers.push(await post(worker, await forms['token-exchange'](good)))
      const told = (what: string) => worker.lines().filter(({ message }) => message === what).length
      await until(
        'one line each',
        () => told('metrics cannot be sent') === 1 && told('traces cannot be sent') === 1,
      )
      answers.push(await post(worker, await forms['token-exchange'](good)))
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
      expect([told('metrics cannot be sent'), told('traces cannot be sent')]).toEqual([1, 1])
    } finally {
      collector.close()
    }
  })

  test('with faulty settings answers 503 on every path, reveals nothing and logs the faults once', async () => {
    await worker.stop()
    worker = await yard.start({ ...settings, DOWNSCOPE_ISSUER: 'nowhere', DOWNSCOPE_POLICY: 'policy.yaml' })

    const answers = [
      await post(worker, await forms['token-exchange'](good)),
      await send(`${worker.url}/healthz`, { method: 'GET' }),
    ]

    expect(answers.map(({ status }) => status)).toEqual([503, 503])
    expect(answers.map(({ text }) => text).join()).not.toMatch(/nowhere|policy\.yaml|DOWNSCOPE/)
    const told = worker.lines().filter(({ message }) => message === 'out of service: faulty settings')
    expect(told).toHaveLength(1)
    expect(JSON.stringify(told)).not.toMatch(/nowhere/)
  })
})

/** The binding counts by the minute of the clock: where one ends in the middle of a test, more are admitted. */
async function clearOfMinuteEnd(): Promise<void> {
  const leftMs = 60_000 - (Date.now() % 60_000)
  if (leftMs < 3_000) await wait(leftMs + 50)
}
