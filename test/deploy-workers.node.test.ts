import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startWorld, type World } from '../infra/quickstart/world.ts'
import { runWrangler } from '../infra/wrangler.ts'
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
      const added = blocks.filter(({ language }) => language === 'toml').map(({ text }) => text)
      writeFileSync(
        config,
        `${own.replace('src/workers.ts', join(repository, 'src/workers.ts'))}\n${added.join('\n')}`,
      )
      const outdir = join(folder, 'bundle')

      const output = runWrangler(['deploy', '--dry-run', '--minify', '--config', config, '--outdir', outdir])
      const kb = gzipSync(readFileSync(join(outdir, 'workers.js'))).length / 1000

      expect(added).toHaveLength(1)
      expect(output).toContain('env.DOWNSCOPE_ISSUER ("https://tokens.acme.example")')
      expect(output).not.toMatch(/warning|unexpected/i)
      for (const page of [guide, tour])
        expect(Number(/([\d.]+) KB compressed/.exec(page)?.[1]) / kb).toBeCloseTo(1, 1)
    },
  )
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
