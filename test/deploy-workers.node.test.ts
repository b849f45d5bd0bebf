import { spawn, type ChildProcess } from 'node:child_process'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { startWorld, type World } from '../infra/quickstart/world.ts'
import { runWrangler } from '../infra/wrangler.ts'
import { createBrokerYard } from './support/spawn-broker.ts'
import { freePort } from './support/free-port.ts'
import { codeBlocksOf } from './support/markdown-blocks.ts'
import { plainEnvironment, repository, runProgram } from './support/run-node.ts'
import { jsonObject, textOf } from './support/test-broker/json.ts'
import { until } from './support/test-broker/until.ts'

/** docs/deploy-workers.md: what needs no account is run as a reader would; docs/guides.node.test.ts reads the rest. */
const guide = readFileSync(join(repository, 'docs/deploy-workers.md'), 'utf8')
const tour = readFileSync(join(repository, 'docs/tour.md'), 'utf8')
const blocks = codeBlocksOf(guide)

let folder = ''

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'downscope-guide-'))
  for (const name of ['node_modules', 'package.json', 'infra'])
    symlinkSync(join(repository, name), join(folder, name))
  return () => rmSync(folder, { recursive: true, force: true })
})

describe('a Worker on your machine', () => {
  let world: World | undefined
  let worker: ChildProcess | undefined

  afterAll(async () => {
    if (worker !== undefined) await end(worker)
    await world?.stop()
  })

  test(
    'starts, enrols, gives a token and ends by the commands of the guide',
    { timeout: 90_000 },
    async () => {
      world = await startWorld(join(folder, '.downscope/quickstart'))
      const [port, inspector] = await Promise.all([freePort(), freePort()])
      const here = (text: string): string => text.replaceAll('8790', String(port))
      // What it keeps, and .dev.vars, belong to this run and not to whoever works here.
      const own = `--ip 127.0.0.1 --inspector-port ${inspector} --persist-to ${folder}/state --env-file ${folder}/.dev.vars`

      expect(await shell(blockOf('once'))).toMatchObject({ status: 0, stderr: '' })
      worker = spawn(
        'bash',
        ['-c', here(blockOf('serve')).replace(` --port ${port}`, ` --port ${port} ${own}`)],
        {
          cwd: folder,
          env: plainEnvironment(),
          stdio: 'ignore',
          detached: true,
        },
      )
      await until('the Worker is ready', () => isReady(port), { ms: 60_000 })
      const asked = await shell(here(blockOf('ask')))

      expect(asked).toMatchObject({ status: 0, stderr: '' })
      const answer = jsonObject(/\{"access_token".*\}$/.exec(asked.stdout)?.[0] ?? '') ?? {}
      expect(asked.stdout).toContain('"name":"reports-sa"')
      expect(world.google.token(textOf(answer, 'access_token'))).toMatchObject({
        scopes: ['https://www.googleapis.com/auth/devstorage.read_only'],
      })

      await end(worker)
      expect(await isReady(port)).toBe(false)
    },
  )
})

describe('the bundle', () => {
  test(
    'is made with what the guide adds to wrangler.toml, and is as big as the pages say',
    { timeout: 60_000 },
    () => {
      const config = join(folder, 'wrangler.toml')
      const own = readFileSync(join(repository, 'wrangler.toml'), 'utf8')
      const [main = '', staging = ''] = blocks
        .filter(({ language }) => language === 'toml')
        .map(({ text }) => text)
      writeFileSync(config, `${own.replace('src/workers.ts', join(repository, 'src/workers.ts'))}\n${main}`)
      const outdir = join(folder, 'bundle')

      const output = runWrangler(['deploy', '--dry-run', '--minify', '--config', config, '--outdir', outdir])
      const kb = gzipSync(readFileSync(join(outdir, 'workers.js'))).length / 1000

      expect(output).toContain('env.DOWNSCOPE_ISSUER ("https://tokens.acme.example")')
      expect(output).not.toMatch(/warning|unexpected/i)
      for (const page of [guide, tour])
        expect(Number(/([\d.]+) KB compressed/.exec(page)?.[1]) / kb).toBeCloseTo(1, 1)

      appendFileSync(config, `\n${staging}`)
      const other = runWrangler([
        'deploy',
        '--dry-run',
        '--config',
        config,
        '--env',
        'staging',
        '--outdir',
        outdir,
      ])
      expect(other).toContain('env.DOWNSCOPE_ISSUER ("https://tokens-staging.acme.example")')
      for (const binding of ['DOCUMENTS', 'CALLER_LIMIT', 'TOTAL_LIMIT'])
        expect(other).toContain(`env.${binding} `)
      expect(other).not.toMatch(/warning|unexpected/i)
    },
  )
})

test(
  'a policy goes into the store of a broker that began with one in a setting',
  { timeout: 90_000 },
  async () => {
    const yard = createBrokerYard()
    onTestFinished(() => yard.close())
    const port = await freePort()
    const config = join(folder, 'config')
    const first = await shell(`mkdir -m 700 ${config}
    npx downscope keys generate admin ${config}/admin.jwk.json > ${config}/policy.yaml
    printf 'k1:%s' "$(openssl rand -base64 32)" > ${config}/sealing-keys.txt`)
    expect(first.status).toBe(0)
    const policy = `version: 1\nrules: []\n${readFileSync(join(config, 'policy.yaml'), 'utf8')}`
    writeFileSync(join(config, 'policy.yaml'), `${policy}# ${'longer than a secret may be '.repeat(300)}\n`)
    const settings = {
      PORT: String(port),
      DOWNSCOPE_ISSUER: `http://127.0.0.1:${port}`,
      DOWNSCOPE_STORE: `sqlite:${join(folder, 'worker.db')}`,
      DOWNSCOPE_KEYS: readFileSync(join(config, 'sealing-keys.txt'), 'utf8'),
    }
    const broker = await yard.start({ ...settings, DOWNSCOPE_POLICY_YAML: policy })
    const block = blockOf('policy')
      .replace('https://tokens.acme.example', settings.DOWNSCOPE_ISSUER)
      // Whether its setting is deleted is for Cloudflare.
      .replace(/^npx wrangler .*$/m, 'true')
    const moved = await shell(`CONFIG=${config}\n${block}`)
    await broker.stop()

    expect(moved).toMatchObject({ status: 0, stderr: '' })
    await yard.start(settings)
    const shown = await shell(
      `DOWNSCOPE_URL=${settings.DOWNSCOPE_ISSUER} DOWNSCOPE_ADMIN_KEY=${config}/admin.jwk.json npx downscope policy show`,
    )
    expect(shown.stdout).toContain('longer than a secret may be')
  },
)

test('the Deploy button asks for what the Worker cannot do without, says what each is, and knows no value', () => {
  const example = readFileSync(join(repository, '.dev.vars.example'), 'utf8')
  const asked = [...example.matchAll(/^(\w+)=(.*)$/gm)]
  const { cloudflare } = jsonObject(readFileSync(join(repository, 'package.json'), 'utf8')) ?? {}
  const described = z.object({
    bindings: z.record(z.string(), z.object({ description: z.string().min(40) })),
  })

  expect(asked.map(([, , value]) => value)).toEqual(['', '', ''])
  expect(Object.keys(described.parse(cloudflare).bindings)).toEqual(asked.map(([, name]) => name))
})

function blockOf(step: string): string {
  const found = blocks.filter(({ note }) => note === `local ${step}`)
  const [only] = found
  if (only === undefined || found.length > 1) throw new Error(`${found.length} blocks are "local ${step}"`)
  return only.text
}

function shell(text: string) {
  return runProgram('bash', ['-euo', 'pipefail', '-c', text], { cwd: folder })
}

/** As Ctrl-C in a terminal does, to everything that was started there. */
async function end(child: ChildProcess): Promise<void> {
  const { pid, exitCode, signalCode } = child
  if (pid === undefined || exitCode !== null || signalCode !== null) return
  const ended = new Promise((resolve) => {
    child.once('close', resolve)
  })
  process.kill(-pid, 'SIGINT')
  await ended
}

async function isReady(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(5_000) })
    await response.body?.cancel()
    return response.status === 200
  } catch {
    return false
  }
}
