import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { commands } from '../../src/cli/main.ts'
import { createPerson } from '../../src/cli/terminal.ts'
import { startFakeAdminApi, type FakeAdminApi } from '../support/fake-admin-api.ts'
import { jsonMembers } from '../support/json-members.ts'
import { runCli } from '../support/run-cli.ts'
import { runProgram } from '../support/run-node.ts'

/** What `--curl` prints, run by a shell with programs that write down what they were given; and `--dry-run`. */
let folder = ''
let api: FakeAdminApi

const url = 'http://127.0.0.1:1'
const hostile = [
  `$(touch pwned)`,
  '`touch pwned`',
  `'; touch pwned; '`,
  '"; touch pwned; "',
  '\\"$(touch pwned)',
  '!touch pwned',
  '-x',
  '*',
  '~root',
  'a b\\',
  '$HOME',
  'ö "ß"',
]

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'downscope-shown-'))
  const record =
    '#!/bin/sh\nfor one; do printf \'%s\\0\' "$one" >> args; done\ncase "$*" in *@-*) cat > stdin;; esac\n'
  await writeFile(join(folder, 'curl'), record)
  await writeFile(
    join(folder, 'downscope'),
    '#!/bin/sh\nfor one; do printf \'%s\\0\' "$one" >> jwt-args; done\necho THE.JWT.HERE\n',
  )
  for (const name of ['curl', 'downscope']) await chmod(join(folder, name), 0o755)
  await writeFile(join(folder, 'admin.jwk.json'), JSON.stringify(createPerson('ops').privateJwk), {
    mode: 0o600,
  })
  await writeFile(join(folder, 'key.json'), '{"type":"authorized_user","client_secret":"hunter2"}', {
    mode: 0o600,
  })
  await writeFile(join(folder, "it's a policy.yaml"), '{"version":1}')
})
afterAll(() => rm(folder, { recursive: true, force: true }))
beforeEach(async () => {
  api = await startFakeAdminApi({})
  for (const name of ['args', 'stdin', 'jwt-args']) await rm(join(folder, name), { force: true })
})
afterEach(() => api.close())

const shown = (args: readonly string[], env: Record<string, string> = { DOWNSCOPE_URL: url }) =>
  runCli([...args, '--curl'], { env })

/** What curl was given by the shell that ran the text. */
async function pasted(text: string): Promise<readonly string[]> {
  const { PATH = '' } = process.env
  const ran = await runProgram('sh', ['-eu', '-c', text], { cwd: folder, env: { PATH: `${folder}:${PATH}` } })
  expect(ran).toMatchObject({ status: 0, stderr: '' })
  expect(await readdir(folder)).not.toContain('pwned')
  return (await readFile(join(folder, 'args'), 'utf8')).split('\0').slice(0, -1)
}

describe('--curl', () => {
  test.each(hostile)(
    'T25: a line about the subject %j is run as one request about just that subject',
    async (subject) => {
      // A word that begins with a dash is no option behind the two dashes.
      const outcome = await runCli(['callers', 'revoke', '--curl', '--', 'https://issuer.example', subject], {
        env: { DOWNSCOPE_URL: url },
      })
      const args = await pasted(outcome.stdout)

      expect(outcome).toMatchObject({ status: 0, stderr: '' })
      expect(outcome.stdout).toContain('$(downscope jwt)')
      expect(args).toContain('Authorization: Bearer THE.JWT.HERE')
      expect(args).toContain(`${url}/v1/admin/callers:revoke`)
      expect(jsonMembers(args.at(-1) ?? '')).toEqual({ issuer: 'https://issuer.example', subject })
    },
  )

  test.each(hostile)('T25: so is one of a token whose user is %j', async (user) => {
    const args = ['token', 'drive', '--jwt', 'workload.jwt', `--act-for=${user}`]
    const outcome = await shown(args)
    const given = await pasted(outcome.stdout)

    expect(given).toContain('subject_token@workload.jwt')
    expect(given).toContain(`requested_subject=${user}`)
    expect(given).toContain('audience=drive')
  })

  test.each(['a\nb', 'a\u001B[2J', 'a\u202Eb', '\u0085'])(
    'T25: %j is refused, because a terminal shows another line',
    async (subject) => {
      const outcome = await shown(['callers', 'revoke', 'https://issuer.example', subject])

      expect(outcome).toMatchObject({ status: 2, stdout: '' })
      expect(outcome.stderr).toContain('control characters')
    },
  )

  test('T25: a secret stays in its file, and arrives whole', async () => {
    const file = join(folder, 'key.json')
    const outcome = await shown([
      'credentials',
      'import',
      file,
      '--name',
      'drive',
      '--scope',
      'a',
      '--scope',
      "b'c",
    ])
    await pasted(outcome.stdout)

    expect(outcome.stdout).not.toContain('hunter2')
    expect(outcome.stdout).toContain('@-')
    expect(jsonMembers(await readFile(join(folder, 'stdin'), 'utf8'))).toEqual({
      name: 'drive',
      scopes: ['a', "b'c"],
      verify: true,
      secret: { type: 'authorized_user', client_secret: 'hunter2' },
    })
  })

  test('T25: a policy is named as @FILE, and a signing key by downscope jwt', async () => {
    const policy = await shown(['policy', 'apply', `${folder}/it's a policy.yaml`])
    const token = await shown(['token', 'drive', '--key', 'billing.jwk.json'])
    const args = await pasted(policy.stdout)

    expect(args).toContain(`@${folder}/it's a policy.yaml`)
    expect(token.stdout).toContain(
      `"client_assertion=$(downscope jwt --broker ${url} --key billing.jwk.json)"`,
    )
  })

  test('says by settings what options said, so that downscope jwt knows it too', async () => {
    const outcome = await shown(['service', 'stop', '--url', url, '--admin-key', 'my key.json'], {
      DOWNSCOPE_ADMIN_TOKEN_FILE: 'other.jwt',
    })

    expect(outcome.stdout).toMatch(
      /^unset DOWNSCOPE_ADMIN_TOKEN_FILE\nexport DOWNSCOPE_URL=\S+\nexport DOWNSCOPE_ADMIN_KEY='my key.json'\ncurl /,
    )
  })
})

const samples: Readonly<Record<string, readonly string[]>> = {
  NAME: ['drive'],
  VERSION: ['v1'],
  ISSUER: ['billing'],
  SUBJECT: ['billing'],
}
const required: Readonly<Record<string, readonly string[]>> = {
  'credentials boundaries': ['--not-locally'],
  'credentials schedule': ['--never'],
  'credentials import': ['--name', 'drive', '--scope', 'drive.readonly'],
  doctor: ['--live'],
  connect: ['--upstream', 'google', '--scopes', 'drive.readonly', '--client', 'x'],
}
const changing = commands.filter(({ options = [] }) => options.some(({ name }) => name === '--dry-run'))

describe('--dry-run', () => {
  test('is there for each command that changes something at a broker', () => {
    expect(changing.map(({ name }) => name)).toEqual([
      'credentials import',
      'credentials boundaries',
      'credentials disable',
      'credentials enable',
      'connect',
      'credentials rotate',
      'credentials schedule',
      'credentials revoke',
      'credentials destroy',
      'versions disable',
      'versions destroy',
      'policy apply',
      'keys rewrap',
      'callers revoke',
      'callers restore',
      'service stop',
      'service resume',
      'maintenance run',
      'doctor',
    ])
  })

  test.each(changing.map(({ name, arguments: given = [] }) => ({ name, given })))(
    'T26: of $name asks nothing of the broker that changes something, and so nothing of an upstream',
    async ({ name, given }) => {
      const words = given.flatMap((argument) =>
        argument.name === 'FILE'
          ? [join(folder, name === 'policy apply' ? "it's a policy.yaml" : 'user.json')]
          : (samples[argument.name] ?? []),
      )
      await writeFile(
        join(folder, 'user.json'),
        '{"type":"authorized_user","client_id":"a","client_secret":"hunter2","refresh_token":"hunter3"}',
      )
      await api.close()
      api = await startFakeAdminApi({
        'GET /v1/admin/policy': [
          {
            body: {
              revision: 'r1',
              origin: 'store',
              status: 'current',
              loaded_at: 'x',
              document: 'version: 1\n',
            },
            headers: { etag: '"r1"' },
          },
        ],
        'POST /v1/admin/policy:validate': [{ body: { valid: true, warnings: [] } }],
        'GET /v1/admin/credentials/drive': [
          { status: 404, body: { type: 'about:blank', title: 'none', status: 404, code: 'not_found' } },
        ],
      })
      const env = { DOWNSCOPE_URL: api.url, DOWNSCOPE_ADMIN_KEY: join(folder, 'admin.jwk.json') }
      const outcome = await runCli([...name.split(' '), ...words, ...(required[name] ?? []), '--dry-run'], {
        env,
      })
      const changes = api.asked.filter((line) => !line.startsWith('GET ') && !line.endsWith(':validate'))

      expect(changes).toEqual([])
      expect(`${outcome.stdout}${outcome.stderr}`).not.toContain('hunter')
      expect(outcome).toMatchObject({ status: 0 })
      expect(outcome.stdout).toContain('dry run, nothing was changed')
    },
  )
})
