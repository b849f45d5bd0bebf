import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPaint } from '../src/cli/output.ts'
import { freePort } from './support/free-port.ts'
import { jsonMembers } from './support/json-members.ts'
import { consent } from './support/people-world.ts'
import { createVisitor } from './support/visitor.ts'
import { plainEnvironment, repository, runProgram } from './support/run-node.ts'

const main = join(repository, 'infra/quickstart/main.ts')
const escape = '\u001B'

let root = ''
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'downscope-quickstart-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

describe('npm run quickstart', () => {
  test('-- --once shows every kind of exchange, without a secret, a colour or a warning, and ends well', async () => {
    const folder = join(root, 'once')

    const { status, stdout, stderr } = await runProgram(
      process.execPath,
      [main, '--once', '--folder', folder],
      {
        cwd: root,
      },
    )

    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toContain('a local stand-in replaces Google')
    expect(stdout).toMatch(
      /carries {3}devstorage\.read_only as .*, only roles\/storage\.objectViewer in bucket acme-reports/,
    )
    expect(stdout).toContain('memory, in')
    expect(stdout).toContain('carries   calendar.readonly as team@acme.example')
    expect(stdout).toMatch(/invalid_target.*\n.*no rule gives "team-calendar"/)
    expect(stdout).not.toMatch(/ya29\.|1\/\/0|PRIVATE KEY|GOCSPX|eyJ/)
    expect(stdout).not.toContain(escape)
    await expectNobodyAt(urlIn(stdout))
    // The files stay, for their owner alone.
    for (const file of ['admin.jwt', 'admin.jwk.json', 'env'])
      expect((await stat(join(folder, file))).mode & 0o077).toBe(0)
    expect(await readFile(join(folder, 'broker.log'), 'utf8')).not.toContain('Warning')
  }, 60_000)

  test('stays up; the curl line it prints works; Ctrl-C ends it, and the broker with it', async () => {
    const started = await start(join(root, 'up'))
    const command = /^curl (?:.*\\\n)+.*$/m.exec(started.output())?.[0] ?? ''

    const pasted = await runProgram('bash', ['-c', command], { cwd: tmpdir() })
    const answer = jsonMembers(pasted.stdout)
    expect(answer).toMatchObject({ token_type: 'Bearer' })
    expect(answer['expires_in']).toBeGreaterThan(3000)

    // Somebody signs in there, without any account.
    const url = urlIn(started.output())
    const visitor = createVisitor()
    const login = await visitor.open(`${url}/console`)
    const page = await consent(visitor, await visitor.press(login, 'Sign in as Ann'))
    expect([page.url, page.html]).toEqual([`${url}/console`, expect.stringContaining('<dd>admin</dd>')])

    started.child.kill('SIGINT')
    expect(await started.ended).toBe(0)
    expect(started.output()).toContain('Stopping. The files stay')
    await expectNobodyAt(urlIn(started.output()))
    expect(existsSync(join(root, 'up/pid'))).toBe(false)
  }, 60_000)

  test('killed, it leaves no broker behind', async () => {
    const started = await start(join(root, 'killed'))
    const url = urlIn(started.output())
    expect((await fetch(`${url}/healthz`)).status).toBe(200)

    started.child.kill('SIGKILL')
    await started.ended

    await expect.poll(() => isUp(url), { timeout: 9_000 }).toBe(false)
  }, 60_000)

  test('in a folder that another one uses it says so and touches nothing', async () => {
    await writeFile(join(root, 'pid'), String(process.pid))

    const { status, stderr } = await runProgram(process.execPath, [main, '--once', '--folder', root], {
      cwd: root,
    })

    expect(status).toBe(1)
    expect(stderr).toContain(`another one (process ${process.pid}) is using ${root}`)
    expect(await readFile(join(root, 'pid'), 'utf8')).toBe(String(process.pid))
  })

  test.each([
    ['--port', (port: number) => ({ args: ['--port', String(port)], env: {} })],
    ['PORT', (port: number) => ({ args: [], env: { PORT: String(port) } })],
  ])(
    'listens where %s says, and nowhere else where that is taken',
    async (name, asking) => {
      const port = await freePort()
      const { args, env } = asking(port)
      const run = () =>
        runProgram(process.execPath, [main, '--once', '--folder', join(root, name), ...args], {
          cwd: root,
          env,
        })
      const good = await run()
      const taken = createServer().listen(port, '127.0.0.1')
      const refused = await run()
      taken.close()

      expect(good).toMatchObject({ status: 0 })
      expect(urlIn(good.stdout)).toBe(`http://127.0.0.1:${port}`)
      expect(refused).toMatchObject({ status: 1 })
      expect(refused.stderr).toContain(`port ${port} is taken`)
    },
    40_000,
  )

  test('an argument that it does not know is told, with status 1', async () => {
    const { status, stderr } = await runProgram(process.execPath, [main, '--onec'], { cwd: root })

    expect(status).toBe(1)
    expect(stderr).toContain("'--onec'")
  })
})

describe('colours', () => {
  const terminal = { isTTY: true, hasColors: () => true }

  test('are for terminals that have them, unless NO_COLOR is set', () => {
    expect(createPaint(terminal).bold('x')).toBe(`${escape}[1mx${escape}[0m`)
    expect(createPaint({}).bold('x')).toBe('x')
    expect(createPaint({ ...terminal, hasColors: () => false }).bold('x')).toBe('x')
    expect(createPaint(terminal, { NO_COLOR: '1' }).bold('x')).toBe('x')
    expect(createPaint(terminal, { NO_COLOR: '' }).bold('x')).toBe(`${escape}[1mx${escape}[0m`)
  })
})

interface Started {
  readonly child: ChildProcess
  readonly output: () => string
  readonly ended: Promise<number | string>
}

async function start(folder: string): Promise<Started> {
  const child = spawn(process.execPath, [main, '--folder', folder], {
    cwd: root,
    env: plainEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise<number | string>((resolve) =>
    child.once('close', (code, signal) => resolve(code ?? String(signal))),
  )
  let text = ''
  await new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (more: string) => {
      text += more
      if (text.includes('Running until you press Ctrl-C')) resolve()
    })
    void ended.then((status) => reject(new Error(`ended with ${status}:\n${text}`)))
  })
  return { child, output: () => text, ended }
}

function urlIn(output: string): string {
  return /broker {4}(?<url>http:\/\/127\.0\.0\.1:\d+)/.exec(output)?.groups?.['url'] ?? 'no URL'
}

async function expectNobodyAt(url: string): Promise<void> {
  expect(url).toMatch(/^http:/)
  expect(await isUp(url)).toBe(false)
}

async function isUp(url: string): Promise<boolean> {
  try {
    await fetch(`${url}/healthz`)
    return true
  } catch {
    return false
  }
}
