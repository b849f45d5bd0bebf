import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { load } from 'js-yaml'
import { bundleAction } from '../../infra/build-action.ts'
import { createClientWorld, reading, type ClientWorld } from '../support/clients/client-world.ts'
import { serveOnLoopback, type LoopbackServer } from '../support/clients/loopback-server.ts'
import { startFakeBroker } from '../support/fake-broker.ts'
import { repository, runProgram } from '../support/run-node.ts'
import { until } from '../support/test-broker/until.ts'

/** A runner: GitHub's OIDC site, its files, and a temporary folder for each job. */
let world: ClientWorld
let site: LoopbackServer
let job = ''
const audiences: (string | null)[] = []
const at = (name: string): string => join(job, name)
const action = join(repository, 'infra/action')

beforeAll(async () => {
  world = await createClientWorld()
  site = await serveOnLoopback(
    createServer((request, response) => {
      if (request.headers.authorization !== 'Bearer runner') return void response.writeHead(401).end()
      audiences.push(new URL(request.url ?? '', 'http://a').searchParams.get('audience'))
      void world.subjectToken().then((jwt) => response.end(JSON.stringify({ value: jwt.trim() })))
    }),
  )
  return async () => {
    await site.close()
    await world.close()
  }
}, 60_000)

beforeEach(() => {
  job = mkdtempSync(join(tmpdir(), 'downscope-job-'))
  for (const name of ['output', 'state', 'env']) writeFileSync(at(name), '')
  mkdirSync(at('temp'))
  return () => rmSync(job, { recursive: true })
})

function run(step: 'main' | 'post', env: Readonly<Record<string, string>>) {
  return runProgram(process.execPath, [join(action, `${step}.js`)], {
    cwd: job,
    env: {
      GITHUB_OUTPUT: at('output'),
      GITHUB_STATE: at('state'),
      GITHUB_ENV: at('env'),
      RUNNER_TEMP: at('temp'),
      ACTIONS_ID_TOKEN_REQUEST_URL: `${site.url}/token?api-version=2`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'runner',
      ...env,
    },
  })
}

const inputs = (more: Readonly<Record<string, string>> = {}) => ({
  INPUT_BROKER: world.url,
  INPUT_CREDENTIAL: 'reports',
  ...more,
})

/** What the runner gives to the step at the end of the job. */
function state(): Record<string, string> {
  const lines = readFileSync(at('state'), 'utf8').trim().split('\n')
  return Object.fromEntries(
    lines.map((line) => [`STATE_${line.split('=')[0]}`, line.slice(line.indexOf('=') + 1)]),
  )
}

describe('the GitHub Action', () => {
  test('is bundled from its sources: npm run build:action', async () => {
    for (const [path, text] of await bundleAction()) expect(readFileSync(path, 'utf8')).toBe(text)
    const { runs } = load(readFileSync(join(action, 'action.yml'), 'utf8')) as {
      runs: Record<string, string>
    }
    expect(runs).toEqual({ using: 'node24', main: 'main.js', post: 'post.js', 'post-if': 'always()' })
  })

  test('T31: gets a masked token, keeps it in a private file of the runner’s folder, and revokes it at the end', async () => {
    const main = await run('main', inputs({ INPUT_SCOPES: `${reading}\n` }))
    expect([main.status, main.stderr]).toEqual([0, ''])
    const token = /^token<<(\S+)\n(.*)\n\1\n$/.exec(readFileSync(at('output'), 'utf8'))?.[2] ?? ''
    expect(world.carried(token).scopes).toEqual([reading])
    expect(audiences.at(-1)).toBe(world.url)
    const masked = `::add-mask::${token}\n`
    expect(main.stdout).toContain(masked)
    expect(main.stdout.replace(masked, '')).not.toContain(token)
    const [file = ''] = readdirSync(at('temp'))
    expect(statSync(join(at('temp'), file)).mode & 0o777).toBe(0o600)
    expect(readFileSync(at('state'), 'utf8')).not.toContain(token)

    const isActive = async (): Promise<boolean> => {
      const body = new URLSearchParams({ token })
      const response = await fetch(`${world.url}/v1/introspect`, { method: 'POST', body })
      return ((await response.json()) as { active: boolean }).active
    }
    expect(await isActive()).toBe(true)
    const post = await run('post', state())
    expect(post).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('the token is revoked') as unknown,
    })
    // An instance looks for what was revoked every 5 s.
    await until('the token is not active any more', async () => !(await isActive()))
    expect(readdirSync(at('temp'))).toEqual([])
  }, 30_000)

  test('T31: writes a private credential file, sets it for all clients, and deletes it at the end', async () => {
    const main = await run('main', inputs({ 'INPUT_CREDENTIAL-FILE': 'true' }))
    expect(main.status).toBe(0)
    const [name = ''] = readdirSync(at('temp'))
    const path = join(at('temp'), name)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readFileSync(at('env'), 'utf8')).toContain(`GOOGLE_APPLICATION_CREDENTIALS=${path}\n`)
    const { IdentityPoolClient } = await import('google-auth-library')
    const file = JSON.parse(readFileSync(path, 'utf8')) as ConstructorParameters<typeof IdentityPoolClient>[0]
    const { token } = await new IdentityPoolClient({ ...file, scopes: [reading] }).getAccessToken()
    expect(world.carried(token).scopes).toEqual([reading])

    expect((await run('post', state())).status).toBe(0)
    expect(readdirSync(at('temp'))).toEqual([])
  }, 30_000)

  test('T28: makes out no JWT for a broker that calls itself by another name', async () => {
    const other = await startFakeBroker()
    other.issuer = 'https://evil.example'
    const before = audiences.length
    const { status, stdout } = await run('main', inputs({ INPUT_BROKER: other.url }))
    await other.close()

    expect(status).toBe(1)
    expect(stdout).toMatch(/^::error::downscope: the broker at \S+ calls itself https:\/\/evil\.example/)
    expect([audiences.length - before, other.asked.length]).toEqual([0, 0])
  })

  test.each([
    ['without a credential', { INPUT_CREDENTIAL: '' }, 'the input credential is required'],
    ['without id-token: write', { ACTIONS_ID_TOKEN_REQUEST_URL: '' }, 'id-token: write|is no https URL'],
    [
      'with a scope that policy refuses',
      { INPUT_SCOPES: 'https://www.googleapis.com/auth/drive' },
      'invalid_scope',
    ],
  ])('%s says what is wrong in one line', async (_name, env, sentence) => {
    const { status, stdout } = await run('main', inputs(env))
    expect(status).toBe(1)
    expect(stdout).toMatch(new RegExp(`^::error::downscope: .*(?:${sentence})`, 'm'))
  })
})
