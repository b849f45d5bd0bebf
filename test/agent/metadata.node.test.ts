import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startTestAgent, tokenPath, type AgentUnderTest } from '../support/agent-under-test.ts'
import { refusal, startFakeBroker, token, type FakeBroker } from '../support/fake-broker.ts'

const accounts = '/computeMetadata/v1/instance/service-accounts'
let broker: FakeBroker
let agent: AgentUnderTest
let plain: FakeBroker['answerWith']

beforeAll(async () => {
  broker = await startFakeBroker()
  plain = broker.answerWith
  agent = await startTestAgent(broker.url, {
    accounts: [
      { alias: 'default', credential: 'reports', email: 'reports@tokens.example' },
      { alias: 'etl', credential: 'warehouse', email: 'warehouse@tokens.example' },
    ],
    projectId: 'acme',
    projectNumber: '12345',
  })
  return async () => {
    agent.close()
    await broker.close()
  }
})

beforeEach(() => {
  broker.answerWith = plain
})

async function shown(path: string) {
  const response = await agent.ask(path)
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
}

describe('the metadata server that the agent plays', () => {
  test.each([
    ['/', 'computeMetadata/\n'],
    ['/computeMetadata/v1/instance', 'service-accounts/\n'],
    ['/computeMetadata/v1/project/project-id', 'acme'],
    ['/computeMetadata/v1/project/numeric-project-id', '12345'],
    ['/computeMetadata/v1/universe/universe-domain', 'googleapis.com'],
    ['/computeMetadata/v1/universe/universe_domain', 'googleapis.com'],
    [`${accounts}/`, 'default/\nreports@tokens.example/\nwarehouse@tokens.example/\n'],
    [`${accounts}/default/`, 'aliases\nemail\nidentity\nscopes\ntoken\n'],
    [`${accounts}/default/email`, 'reports@tokens.example'],
    [`${accounts}/warehouse@tokens.example/email`, 'warehouse@tokens.example'],
    [`${accounts}/etl/aliases`, 'etl\n'],
    [`${accounts}/default/scopes`, 'all\n'],
  ])('%s', async (path, text) => {
    expect(await shown(path)).toEqual({ status: 200, type: 'application/text', text })
  })

  test('marks its answers, and HEAD has no body', async () => {
    const response = await agent.ask('/computeMetadata/v1/project/project-id')
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'metadata-flavor': 'Google',
      server: 'Metadata Server for VM',
      'x-frame-options': 'SAMEORIGIN',
      etag: expect.stringMatching(/^[0-9a-f]{16}$/) as unknown,
    })
    const head = await fetch(`${agent.url}/computeMetadata/v1/project/project-id`, {
      method: 'HEAD',
      headers: { 'Metadata-Flavor': 'Google' },
    })
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '4', ''])
  })

  test.each([
    '/computeMetadata/v1/instance/zone',
    '/computeMetadata/v1/instance/attributes/cluster-name',
    '/computeMetadata/v1/?recursive=true',
    '/computeMetadata/v1/project/project-id?wait_for_change=true',
    `${accounts}/other/email`,
    `${accounts}/default/other`,
    `${accounts}-other/default/token`,
    '/v1/token?account=other',
    '/elsewhere',
  ])('404 for %s', async (path) => {
    expect((await shown(path)).status).toBe(404)
  })

  test('says of an account what Python wants to know before each token', async () => {
    const { text, type } = await shown(`${accounts}/default/?recursive=true`)

    expect(type).toBe('application/json')
    expect(JSON.parse(text)).toEqual({
      aliases: ['default'],
      email: 'reports@tokens.example',
      scopes: ['all'],
    })
    expect(Object.keys(JSON.parse((await shown(`${accounts}/?recursive=true`)).text) as object)).toEqual([
      'default',
      'reports@tokens.example',
      'warehouse@tokens.example',
    ])
  })

  test('gives tokens by alias and by e-mail, with the scopes asked for, and asks once for what is the same', async () => {
    const before = broker.asked.length
    const first = await shown(`${tokenPath}?scopes=a,b`)
    const same = await shown(`${accounts}/reports@tokens.example/token?scopes=b,a`)
    await shown(`${accounts}/etl/token?scopes=a,b`)

    const document = JSON.parse(first.text) as { access_token: string; expires_in: number }
    expect(document).toEqual({
      access_token: expect.stringMatching(/^token-/) as unknown,
      expires_in: expect.any(Number) as unknown,
      token_type: 'Bearer',
    })
    expect(document.expires_in).toBeGreaterThan(3_590)
    expect(JSON.parse(same.text)).toMatchObject({ access_token: document.access_token })
    expect(broker.asked.slice(before).map((form) => [form.get('audience'), form.get('scope')])).toEqual([
      ['reports', 'a b'],
      ['warehouse', 'a b'],
    ])
  })

  test('asks for the scopes that it named itself as it asked for none', async () => {
    broker.answerWith = () => token('granted', { scope: 'x y' })
    const fresh = await startTestAgent(broker.url)
    const before = broker.asked.length
    await fresh.ask(`${accounts}/default/?recursive=true`)
    const response = await fresh.ask(`${tokenPath}?scopes=y,x`)
    fresh.close()

    expect(await response.json()).toMatchObject({ access_token: 'granted' })
    expect(broker.asked.length - before).toBe(1)
  })

  test('gives any other program a token in plain JSON, with its scope', async () => {
    const { text } = await shown('/v1/token?account=etl&scope=c%20d')
    expect(JSON.parse(text)).toMatchObject({ token_type: 'Bearer', scope: 'c d' })
    expect(broker.asked.at(-1)?.get('audience')).toBe('warehouse')
  })

  test('gives ID tokens as text, whose audience may stand there as it is', async () => {
    broker.answerWith = () =>
      token('an.id.token', { issued_token_type: 'urn:ietf:params:oauth:token-type:id_token' })
    const answer = await shown(`${accounts}/default/identity?audience=https://run.example/x?y=1&format=full`)

    expect(answer).toEqual({ status: 200, type: 'application/text', text: 'an.id.token' })
    expect(broker.asked.at(-1)?.get('resource')).toBe('https://run.example/x?y=1')
    expect((await shown(`${accounts}/default/identity`)).status).toBe(400)
  })

  test('an ID token that policy forbids is missing: 403 would crash gcloud', async () => {
    broker.answerWith = () => refusal(400, 'invalid_target')
    expect((await shown(`${accounts}/default/identity?audience=https://no.example`)).status).toBe(404)
  })

  test('is healthy as long as it serves', async () => {
    expect(await shown('/healthz')).toMatchObject({ status: 200, text: '{"status":"ok"}' })
  })
})

describe('what an asker gets where there is no token', () => {
  test('403 and the broker’s own words where policy refuses, and the broker is left alone for a while', async () => {
    broker.answerWith = () => refusal(400, 'invalid_scope', { 'x-request-id': 'req-1' })
    const before = broker.asked.length
    const answers = [
      await shown(`${tokenPath}?scopes=forbidden`),
      await shown(`${tokenPath}?scopes=forbidden`),
    ]

    expect(answers[0]).toEqual({
      status: 403,
      type: 'text/plain',
      text: 'downscope agent: invalid_scope: because of invalid_scope\n',
    })
    expect(answers[1]?.status).toBe(403)
    expect(broker.asked.length - before).toBe(1)
    expect(agent.log()).toContain('downscope explain --request req-1')
  })

  test('503 within 2.5 s where the broker hangs', async () => {
    broker.answerWith = () => new Promise(() => undefined)
    const startedMs = performance.now()
    const response = await agent.ask(`${tokenPath}?scopes=hanging`)

    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
    expect(performance.now() - startedMs).toBeLessThan(2_900)
  })

  test('503 with Retry-After at once where the broker says when to come again', async () => {
    broker.answerWith = () => refusal(503, 'temporarily_unavailable', { 'retry-after': '30' })
    const response = await agent.ask(`${tokenPath}?scopes=later`)

    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toBe('30')
  })

  test('a broker that fails for a moment is asked again, and the asker sees nothing of it', async () => {
    let calls = 0
    broker.answerWith = () => {
      calls += 1
      return calls === 1 ? refusal(503, 'temporarily_unavailable') : token('after-all')
    }
    const response = await agent.ask(`${tokenPath}?scopes=moment`)

    expect(await response.json()).toMatchObject({ access_token: 'after-all' })
    expect(calls).toBe(2)
  })
})
