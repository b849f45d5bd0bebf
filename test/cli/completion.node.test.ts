import { spawnSync } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPerson } from '../../src/cli/terminal.ts'
import { startFakeAdminApi } from '../support/fake-admin-api.ts'
import { listenOnLoopback } from '../support/listen.ts'
import { repository, runProgram } from '../support/run-node.ts'
import { runCli } from '../support/run-cli.ts'

/** What shells make of the scripts, with `downscope` as a program on their PATH. */
let folder = ''
const at = (name: string) => join(folder, name)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'downscope-completion-'))
  const launcher = join(repository, 'infra/downscope.mjs')
  await writeFile(at('downscope'), `#!/bin/sh\nexec '${process.execPath}' '${launcher}' "$@"\n`)
  await chmod(at('downscope'), 0o755)
  await writeFile(at('policy.yaml'), '')
  for (const shell of ['bash', 'zsh', 'fish'])
    await writeFile(at(shell), (await runCli(['completion', shell])).stdout)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

function missing(shell: string): boolean {
  if (spawnSync(shell, ['--version']).error === undefined) return false
  process.stdout.write(`cli: completion is not tried in ${shell}, which is not here\n`)
  return true
}

function run(shell: string, ...args: readonly string[]) {
  const path = [folder, process.env['PATH'] ?? ''].join(delimiter)
  return runProgram(shell, args, { cwd: folder, env: { PATH: path } })
}

describe('bash', () => {
  const complete = async (...words: readonly string[]) => {
    const list = words.map((word) => `'${word}'`).join(' ')
    // Sourced twice, as after a change of ~/.bashrc.
    const line = `. ./bash; . ./bash; COMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _downscope; printf '%s\\n' "\${COMPREPLY[@]}"`
    return run('bash', '--norc', '-c', line)
  }

  test('completes families, commands, options and choices', async () => {
    expect(await complete('downscope', 'cred')).toEqual({
      status: 0,
      stdout: 'credentials\ncredential-file\n',
      stderr: '',
    })
    expect((await complete('downscope', 'policy', 's')).stdout).toBe('show\nsuggest\n')
    expect((await complete('downscope', 'policy', 'apply', '--fo')).stdout).toBe('--force\n')
    expect((await complete('downscope', 'keys', 'generate', 'signing', '--alg', '')).stdout).toBe(
      'ES256\nRS256\n',
    )
  })

  test('leaves files to the shell', async () => {
    expect((await complete('downscope', 'policy', 'check', 'pol')).stdout).toBe('\n')
    expect((await run('bash', '--norc', '-c', '. ./bash; complete -p downscope')).stdout).toContain(
      '-o default',
    )
  })
})

describe('names of credentials', () => {
  const words = ['__complete', 'credentials', 'show', '']

  test('a broker that does not answer keeps nobody waiting', async () => {
    const asked: unknown[] = []
    const silent = createServer(({ url }) => void asked.push(url))
    const url = `http://127.0.0.1:${await listenOnLoopback(silent)}`
    await writeFile(at('admin.jwk.json'), JSON.stringify(createPerson('ops').privateJwk), { mode: 0o600 })
    const env = { DOWNSCOPE_URL: url, DOWNSCOPE_ADMIN_KEY: at('admin.jwk.json') }
    const finished = await runProgram(at('downscope'), words, { cwd: folder, env })
    silent.close()

    expect(asked).toEqual(['/.well-known/oauth-authorization-server'])
    expect(finished).toEqual({ status: 0, stdout: '', stderr: '' })
  })

  test('what is being typed is not read', async () => {
    const api = await startFakeAdminApi({})
    const stdin = new PassThrough()
    stdin.write('typed')
    const env = { DOWNSCOPE_URL: api.url, DOWNSCOPE_ADMIN_TOKEN_FILE: '-' }
    const { status, stdout } = await runCli(words, { env, stdin })
    await api.close()

    expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
    expect(String(stdin.read())).toBe('typed')
  })
})

test.skipIf(missing('fish'))('fish completes commands with their summaries, and files', async () => {
  const complete = (line: string) => run('fish', '--no-config', '-c', `source fish; complete -C '${line}'`)

  expect((await complete('downscope cred')).stdout).toMatch(/^credentials\t\w/)
  expect((await complete('downscope policy check pol')).stdout).toContain('policy.yaml')
})

test.skipIf(missing('zsh'))('zsh can read its script', async () => {
  expect(await run('zsh', '-n', './zsh')).toEqual({ status: 0, stdout: '', stderr: '' })
})
