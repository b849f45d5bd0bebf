import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as wait } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { tokenPath } from '../support/agent-under-test.ts'
import { startDownscope, type AgentProcess } from '../support/agent-process.ts'
import { freePort } from '../support/free-port.ts'
import type { BrokerProcess } from '../support/spawn-broker.ts'
import { brokerIssuer } from '../support/test-broker/callers.ts'
import { createTestWorld, scopeOf, type TestWorld } from '../support/test-broker/test-world.ts'

const reading = scopeOf('devstorage.read_only')
let world: TestWorld
let broker: BrokerProcess
let settings: Readonly<Record<string, string>>
let jwtFile = ''

beforeAll(async () => {
  world = await createTestWorld()
  settings = world.settings([world.rule('reports', [reading])], {
    DOWNSCOPE_STORE: `sqlite:${join(world.folder, 'store.db')}`,
    PORT: String(await freePort()),
  })
  broker = await world.yard.start(settings)
  await world.enrolAccount(broker, 'reports')
  jwtFile = join(world.folder, 'workload.jwt')
  writeFileSync(jwtFile, await world.workload.jwt())
  return () => world.close()
}, 60_000)

const options = (): readonly string[] => [
  '--broker',
  broker.url,
  '--broker-issuer',
  brokerIssuer,
  '--account',
  'default=reports',
  '--jwt-file',
  jwtFile,
]

function startAgent(...more: readonly string[]): AgentProcess {
  return startDownscope(['agent', ...options(), '--port', '0', ...more])
}

describe('downscope agent', () => {
  test('P33: gives the broker’s tokens on loopback, writes none of them down, and ends at SIGTERM', async () => {
    const agent = startAgent()
    const url = await agent.url
    const response = await ask(`${url}${tokenPath}?scopes=${reading}`)
    const { access_token } = JSON.parse(response.text) as { access_token: string }

    expect(response.status).toBe(200)
    expect(world.google.token(access_token)).toMatchObject({ scopes: [reading] })
    expect((await ask(`${url}${tokenPath.replace('token', 'email')}`)).text).toBe(
      'reports@tokens.acme.example',
    )
    expect((await ask(`${url}${tokenPath}?scopes=${scopeOf('drive')}`)).status).toBe(403)

    const second = startDownscope(['agent', ...options(), '--port', new URL(url).port])
    expect(await second.ended).toBe(1)
    expect(second.stderr()).toMatch(/^error: 127\.0\.0\.1:\d+ is taken: does an agent run already\?/)

    agent.kill('SIGTERM')
    expect(await agent.ended).toBe(0)
    expect(agent.stdout()).toBe(`listening on ${url}\n`)
    expect(agent.stdout() + agent.stderr()).not.toContain(access_token)
  }, 30_000)

  test('Ctrl-C ends it at once, also while a request waits', async () => {
    const agent = startAgent()
    const url = await agent.url
    broker.pause()
    const waiting = ask(`${url}${tokenPath}`).catch(() => undefined)
    await wait(200)
    agent.kill('SIGINT')
    expect(await agent.ended).toBe(130)
    await waiting
    broker.resume()
  }, 30_000)

  test('P20: 500 requests a second cost one broker request, and lose nothing while the broker is killed and restarted', async () => {
    const agent = startAgent()
    const url = await agent.url
    const first = await ask(`${url}${tokenPath}`)
    expect(first.status).toBe(200)
    const issuedBefore = issuedBy(broker)
    const connections = new Agent({ keepAlive: true, maxSockets: 50 })
    const answers: number[] = []
    const load = (async () => {
      const asked: Promise<unknown>[] = []
      for (let tick = 0; tick < 80; tick += 1) {
        for (let count = 0; count < 25; count += 1)
          asked.push(
            ask(`${url}${tokenPath}`, connections).then(
              ({ status }) => answers.push(status),
              () => answers.push(0),
            ),
          )
        await wait(50)
      }
      await Promise.all(asked)
    })()
    await wait(500)
    expect(issuedBy(broker)).toBe(issuedBefore)
    await broker.kill9()
    await wait(500)
    broker = await world.yard.start(settings)
    await load
    connections.destroy()
    agent.kill('SIGTERM')
    await agent.ended

    expect(answers).toHaveLength(2_000)
    expect(new Set(answers)).toEqual(new Set([200]))
    expect(issuedBy(broker)).toBe(0)
  }, 60_000)

  test.each([
    ['no broker', ['--account', 'reports', '--jwt-file', 'x'], 'broker required: pass --broker URL'],
    [
      'no account',
      ['--broker', 'https://a.example', '--jwt-file', 'x'],
      'credential required: pass --account',
    ],
    ['no proof', ['--broker', 'https://a.example', '--account', 'reports'], 'caller required: pass one of'],
    [
      'two proofs',
      ['--broker', 'https://a.example', '--account', 'r', '--jwt-file', 'x', '--platform', 'gce'],
      'caller required: pass one of',
    ],
    [
      'no TLS',
      ['--broker', 'http://a.example', '--account', 'reports', '--jwt-file', 'x'],
      'https is needed',
    ],
    [
      'one alias twice',
      ['--broker', 'https://a.example', '--account', 'a=x', '--account', 'a=y', '--jwt-file', 'x'],
      'two accounts share the name a',
    ],
  ])(
    '%s: one line that says what to do',
    async (_name, args, sentence) => {
      const agent = startDownscope(['agent', ...args])
      expect(await agent.ended).toBe(2)
      expect(agent.stderr()).toContain(sentence)
    },
    20_000,
  )

  test.each([
    ['no JWT', undefined, 'ENOENT'],
    ['half a JWT', 'eyJhbGciOiJSUzI1NiJ9.eyJ', 'written only half?'],
    ['a JWT that expired', 'expired', 'the JWT expired'],
    ['no broker at its address', 'good', 'no answer from http://127.0.0.1:'],
  ])(
    '%s: 503, which libraries ask again after, and one line for the operator',
    async (name, content, sentence) => {
      const file = join(world.folder, `${name.replaceAll(' ', '-')}.jwt`)
      const old = Math.floor(Date.now() / 1000) - 100
      const contents: Readonly<Record<string, () => Promise<string>>> = {
        expired: () => world.workload.jwt({ iat: old - 60, exp: old }),
        good: () => world.workload.jwt(),
      }
      if (content !== undefined) writeFileSync(file, (await contents[content]?.()) ?? content)
      const agent = startDownscope([
        'agent',
        '--broker',
        content === 'good' ? `http://127.0.0.1:${await freePort()}` : broker.url,
        '--account',
        'reports',
        '--jwt-file',
        file,
        '--port',
        '0',
      ])
      const url = await agent.url
      const response = await ask(`${url}${tokenPath}`)
      expect([response.status, response.text]).toEqual([503, expect.stringContaining(sentence)])
      expect(
        agent
          .stderr()
          .split('\n')
          .filter((line) => line.includes(sentence)),
      ).toHaveLength(1)
      agent.kill('SIGTERM')
      await agent.ended
    },
    20_000,
  )
})

describe('downscope agent exec', () => {
  const program = `
    const host = process.env.GCE_METADATA_HOST
    fetch('http://' + host + '/computeMetadata/v1/instance/service-accounts/default/token', { headers: { 'Metadata-Flavor': 'Google' } })
      .then((response) => response.json())
      .then(({ access_token }) => {
        console.log(access_token)
        console.log([process.env.GCE_METADATA_IP, process.env.GCE_METADATA_ROOT].every((one) => one === host))
        console.log(process.env.DOWNSCOPE_URL)
        process.exitCode = 7
      })`

  test('runs a command whose clients find the agent, and ends as it ends', async () => {
    const run = startDownscope(['agent', 'exec', ...options(), '--', process.execPath, '-e', program], {
      DOWNSCOPE_URL: broker.url,
    })
    expect(await run.ended).toBe(7)
    const [token, same, hidden] = run.stdout().split('\n')
    expect(world.google.token(token ?? '')).toMatchObject({ scopes: [reading] })
    expect([same, hidden]).toEqual(['true', 'undefined'])
  }, 20_000)

  test.each(['SIGTERM', 'SIGINT', 'SIGUSR2'] as const)(
    'passes %s on',
    async (signal) => {
      const child = `process.on('${signal}', () => { console.log('got it'); process.exit(9) }); console.log('up'); setInterval(() => {}, 1000)`
      const run = startDownscope(['agent', 'exec', ...options(), '--', process.execPath, '-e', child])
      await waitFor(() => run.stdout().includes('up'))
      run.kill(signal)
      expect(await run.ended).toBe(9)
      expect(run.stdout()).toContain('got it')
    },
    20_000,
  )

  test('a command that a signal ended is 128 and its number; one that is not there is 127', async () => {
    const killed = startDownscope([
      'agent',
      'exec',
      ...options(),
      '--',
      process.execPath,
      '-e',
      'process.kill(process.pid, "SIGKILL")',
    ])
    const missing = startDownscope(['agent', 'exec', ...options(), '--', 'no-such-command-anywhere'])
    expect(await Promise.all([killed.ended, missing.ended])).toEqual([137, 127])
    expect(missing.stderr()).toContain('no-such-command-anywhere: there is no such command')
  }, 20_000)

  test('curl asks the agent, as any program may', async () => {
    const agent = startAgent()
    const url = await agent.url
    const args = ['-sf', '-H', 'Metadata-Flavor: Google', `${url}/v1/token?account=default&scope=${reading}`]
    const child = spawn('curl', args)
    const answer = JSON.parse(await text(child.stdout)) as object
    agent.kill('SIGTERM')
    await agent.ended
    expect(answer).toMatchObject({ token_type: 'Bearer', scope: reading })
  }, 20_000)
})

interface Asked {
  readonly status: number
  readonly text: string
}

/** `node:http`, which sends no header of a browser's. */
function ask(url: string, agent?: Agent): Promise<Asked> {
  return new Promise((resolve, reject) => {
    get(
      url,
      { headers: { 'Metadata-Flavor': 'Google' }, ...(agent === undefined ? {} : { agent }) },
      (response) => {
        void text(response).then((body) => resolve({ status: response.statusCode ?? 0, text: body }), reject)
      },
    ).on('error', reject)
  })
}

function issuedBy({ audits }: BrokerProcess): number {
  return audits().filter(({ outcome, credential }) => outcome === 'issued' && credential !== undefined).length
}

async function waitFor(isSo: () => boolean): Promise<void> {
  while (!isSo()) await wait(20)
}
