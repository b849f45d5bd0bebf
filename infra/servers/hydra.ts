import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../../test/support/free-port.ts'
import type { BrokerProcess, BrokerSettings } from '../../test/support/spawn-broker.ts'
import { administer, askToken, send, type Answer } from '../../test/support/test-broker/ask.ts'
import { textOf } from '../../test/support/test-broker/json.ts'
import type { TestWorld } from '../../test/support/test-broker/test-world.ts'
import { until } from '../../test/support/test-broker/until.ts'
import { createVisitor } from '../../test/support/visitor.ts'
import { prepareProgram } from '../clients/toolchains.ts'
import { same, type Checks } from './checks.ts'
import { enrolCredential, serveExpiries, startTwoBrokers, stopBoth, type Brokers } from './two-brokers.ts'

const client = { client_id: 'downscope', client_secret: 'secret-of-downscope' } as const
const callback = 'http://127.0.0.1:9/callback'
const scopes = ['offline', 'orders:read', 'orders:write']

interface Hydra {
  readonly issuer: string
  readonly admin: (method: string, path: string, body: object) => Promise<Answer>
  readonly token: (form: Readonly<Record<string, string>>) => Promise<Answer>
  readonly close: () => void
}

/** Ory Hydra's tokens through the broker, by docs/upstreams.md#ory-hydra. Says so where Hydra cannot be built. */
export async function checkHydra(world: TestWorld, { check, say }: Checks, expiries: number): Promise<void> {
  const program = await prepareProgram('hydra', join(import.meta.dirname, 'hydra'), {
    tools: ['go'],
    sources: ['go.mod', 'go.sum', 'main.go'],
    // Without cgo's extensions; the tag builds SQLite in, where Hydra keeps what it must remember for a run.
    commands: () => [['go', 'build', '-tags', 'sqlite,sqlite_omit_load_extension', '-o', 'hydra', '.']],
  })
  if (!program.found) {
    say(`no Hydra: ${program.why}`)
    return
  }
  const hydra = await startHydra(world, join(program.folder, 'hydra'))
  say('Hydra is ready')
  try {
    await check('Hydra is seen to ignore scope in a refresh when it is enrolled, and callers are told', () =>
      checkNarrowing(world, hydra),
    )
    await check(`Hydra's rotating refresh token serves through ${expiries} expiries, on SQLite`, async () => {
      const brokers = await startBrokers(world, hydra, scopes, {
        DOWNSCOPE_STORE: `sqlite:${join(world.folder, 'hydra.db')}`,
      })
      await enrol(world, brokers[0], hydra)
      say(await serveExpiries(world, brokers, { audience: 'shop', scope: scopes.join(' '), expiries }))
      await stopBoth(brokers)
    })
    await check('within rotation_grace_period Hydra takes a refresh token once more', async () => {
      const form = { grant_type: 'refresh_token', refresh_token: await refreshToken(hydra) }
      const answers = [await hydra.token(form), await hydra.token(form)]
      same(
        answers.map(({ status }) => status),
        [200, 200],
        answers[1]?.text,
      )
    })
  } finally {
    hydra.close()
  }
}

/** `verify` at enrolment tries a narrowed refresh; a rule that cannot be served is refused without another one. */
async function checkNarrowing(world: TestWorld, hydra: Hydra): Promise<void> {
  const brokers = await startBrokers(world, hydra, ['orders:read'], { DOWNSCOPE_STORE: 'memory:' })
  await enrol(world, brokers[0], hydra)
  const { body } = await administer(brokers[0], world.ops, { method: 'GET', path: 'credentials/shop' })
  same(body['narrows'], 'no')
  const { status, text } = await askToken(brokers[0], world.workload, { audience: 'shop' })
  same(status, 400, text)
  await stopBoth(brokers)
}

async function startBrokers(
  world: TestWorld,
  { issuer }: Hydra,
  ruleScopes: readonly string[],
  settings: BrokerSettings,
): Promise<Brokers> {
  const policy = JSON.parse(world.policy([world.rule('shop', [...ruleScopes])])) as object
  const upstream = { name: 'hydra', issuer, discovery: true, client_auth: 'client_secret_basic' }
  return await startTwoBrokers(world, { ...policy, upstreams: [upstream] }, settings)
}

async function enrol(world: TestWorld, broker: BrokerProcess, hydra: Hydra): Promise<void> {
  const secret = { type: 'oauth_refresh_token', ...client, refresh_token: await refreshToken(hydra) }
  await enrolCredential(world, broker, { name: 'shop', upstream: 'hydra', secret, scopes, verify: true })
}

async function startHydra(world: TestWorld, program: string): Promise<Hydra> {
  const [publicPort, adminPort] = [await freePort(), await freePort()]
  const url = `http://127.0.0.1:${publicPort}`
  const config = join(world.folder, 'hydra.json')
  await writeFile(
    config,
    JSON.stringify({
      dsn: 'memory',
      serve: {
        public: { host: '127.0.0.1', port: publicPort },
        admin: { host: '127.0.0.1', port: adminPort },
      },
      urls: { self: { issuer: url }, login: `${url}/login-page`, consent: `${url}/consent-page` },
      secrets: { system: ['development-only-development-only'] },
      ttl: { access_token: '20s' },
      oauth2: { grant: { refresh_token: { rotation_grace_period: '30s' } } },
    }),
  )
  const child = spawn(program, ['serve', 'all', '--dev', '--sqa-opt-out', '--config', config], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  let issuer = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output = `${output}${chunk.toString()}`.slice(-2_000)))
  const close = () => void child.kill('SIGKILL')
  process.once('exit', close)
  const admin: Hydra['admin'] = async (method, path, body) => {
    const answer = await send(`http://127.0.0.1:${adminPort}/admin${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    if (answer.status >= 300) throw new Error(`Hydra: ${method} ${path}: ${answer.status} ${answer.text}`)
    return answer
  }
  try {
    await until(
      'Hydra is ready',
      async () => {
        if (child.exitCode !== null) throw new Error(`Hydra ended with ${child.exitCode}: ${output}`)
        const metadata = await send(`${url}/.well-known/openid-configuration`, {}).catch(() => undefined)
        issuer = metadata?.status === 200 ? textOf(metadata.body, 'issuer') : ''
        return issuer !== ''
      },
      { ms: 60_000, pauseMs: 250 },
    )
    await admin('POST', '/clients', {
      ...client,
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      redirect_uris: [callback],
      scope: scopes.join(' '),
      token_endpoint_auth_method: 'client_secret_basic',
    })
  } catch (error) {
    close()
    throw error
  }
  return {
    issuer,
    admin,
    token: (form) =>
      send(`${url}/oauth2/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa(`${client.client_id}:${client.client_secret}`)}` },
        body: new URLSearchParams(form),
      }),
    close,
  }
}

/** By its authorization code flow; sign-in and consent are answered at its admin API, as a login app does. */
async function refreshToken(hydra: Hydra): Promise<string> {
  const visitor = createVisitor()
  const query = new URLSearchParams({
    client_id: client.client_id,
    response_type: 'code',
    redirect_uri: callback,
    scope: scopes.join(' '),
    state: crypto.randomUUID(),
  })
  const to = async (url: string, stop: string) =>
    new URL((await visitor.open(url, { stopAt: (at) => at.includes(stop) })).url)
  const accept = async (what: 'login' | 'consent', at: URL, body: object) => {
    const challenge = `${what}_challenge`
    const path = `/oauth2/auth/requests/${what}/accept?${challenge}=${at.searchParams.get(challenge) ?? ''}`
    return textOf((await hydra.admin('PUT', path, body)).body, 'redirect_to')
  }
  const login = await to(`${hydra.issuer.replace(/\/$/, '')}/oauth2/auth?${query.toString()}`, '/login-page')
  const consent = await to(await accept('login', login, { subject: 'ann' }), '/consent-page')
  const granted = await accept('consent', consent, { grant_scope: scopes })
  const code = (await to(granted, callback)).searchParams.get('code') ?? ''
  const { body, text } = await hydra.token({ grant_type: 'authorization_code', code, redirect_uri: callback })
  const token = textOf(body, 'refresh_token')
  if (token === '') throw new Error(`no refresh token: ${text}`)
  return token
}
