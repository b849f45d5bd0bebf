import { createServer } from 'node:http'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { commands } from '../../src/cli/main.ts'
import { createPerson } from '../../src/cli/terminal.ts'
import { startFakeAdminApi, type FakeAdminApi } from '../support/fake-admin-api.ts'
import { jsonMembers } from '../support/json-members.ts'
import { listenOnLoopback } from '../support/listen.ts'
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
/** Those that change something on this machine, or in a store that they open themselves. */
const local = [
  'credential-file',
  'keys generate',
  'store export',
  'store import',
  'store copy',
  'login',
  'logout',
  'context use',
]
const changing = commands.filter(
  ({ name, options = [] }) => !local.includes(name) && options.some((option) => option.name === '--dry-run'),
)

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
      'events test',
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

describe('--curl of what only reads', () => {
  test.each([
    [['audit', 'list', '--caller', "it's me"], ['/v1/admin/audit?caller=it%27s+me&limit=100']],
    [['audit', 'export', '--csv', '--outcome', 'refused'], ['/v1/admin/audit?outcome=refused&limit=500']],
    [['audit', 'tail', '--credential', 'drive'], ['/v1/admin/audit?credential=drive&']],
    [['policy', 'diff', "it's a policy.yaml"], ['/v1/admin/policy']],
  ] as const)('T25: of %j is one request, which a shell runs as it is meant', async (args, parts) => {
    const whole = args.map((word) => (word.endsWith('.yaml') ? join(folder, word) : word))
    const outcome = await shown(whole)
    const given = await pasted(outcome.stdout)

    expect(outcome).toMatchObject({ status: 0, stderr: '' })
    for (const part of parts) expect(given.find((word) => word.includes('/v1/'))).toContain(part)
    expect(given).toContain('Authorization: Bearer THE.JWT.HERE')
  })

  test('T25: of doctor is all that a broker is asked, and a shell runs each', async () => {
    const outcome = await shown(['doctor'])
    const given = await pasted(outcome.stdout)

    expect(outcome).toMatchObject({ status: 0, stderr: '' })
    expect(given.filter((word) => word.startsWith(url))).toEqual([
      `${url}/.well-known/oauth-authorization-server`,
      `${url}/readyz`,
      `${url}/v1/admin/service`,
      `${url}/v1/admin/credentials?limit=500`,
    ])
  })
})

describe('--dry-run of what changes this machine', () => {
  const contexts = () => join(folder, 'config', 'downscope', 'contexts.json')
  const signedIn = {
    schema: 1,
    current: 'one',
    contexts: {
      one: {
        url: 'https://one.example',
        issuer: 'https://a.example',
        client_id: 'x',
        id_token: 't',
        refresh_token: 'r',
      },
      two: { url: 'https://two.example', issuer: 'https://a.example', client_id: 'x' },
    },
  }
  const named = (name: string) => join(folder, name)

  test('is there for each', () => {
    const names = commands.filter(({ options = [] }) => options.some((option) => option.name === '--dry-run'))
    expect(
      names.map(({ name }) => name).filter((name) => !changing.some((one) => one.name === name)),
    ).toEqual(expect.arrayContaining(local))
  })

  test.each([
    ['keys', 'generate', 'admin', 'new-admin.json'],
    ['keys', 'generate', 'caller', 'new-caller.json', '--issuer', 'billing'],
    ['keys', 'generate', 'sealing', 'new-keys.txt'],
    ['keys', 'generate', 'signing'],
    [
      'credential-file',
      'drive',
      '--broker',
      'https://one.example',
      '--jwt-file',
      'w.jwt',
      '--output',
      'new-file.json',
    ],
  ])('T26: %s %s %s %s writes no file and makes no key', async (...args) => {
    const whole = args.map((word) => (word.startsWith('new-') ? named(word) : word))
    const outcome = await runCli([...whole, '--dry-run'])

    expect(outcome).toMatchObject({ status: 0, stderr: '' })
    expect(outcome.stdout).toMatch(/^dry run, nothing was changed: /)
    expect(outcome.stdout).not.toMatch(/"d"|"k"|PRIVATE/)
    expect((await readdir(folder)).filter((name) => name.startsWith('new-'))).toEqual([])
  })

  test('a file that is there already is refused as it would be', async () => {
    const outcome = await runCli(['keys', 'generate', 'admin', join(folder, 'admin.jwk.json'), '--dry-run'])

    expect(outcome).toMatchObject({ status: 2, stdout: '' })
    expect(outcome.stderr).toContain('it exists already')
  })

  test.each([
    [['context', 'use', 'two'], 'commands would ask https://two.example'],
    [['logout', '--url', 'https://one.example'], 'the refresh token revoked at https://a.example'],
  ])('T26: %j leaves the contexts as they are, and asks no issuer', async (args, says) => {
    await mkdir(join(folder, 'config', 'downscope'), { recursive: true })
    await writeFile(contexts(), JSON.stringify(signedIn), { mode: 0o600 })
    const outcome = await runCli([...args, '--dry-run'], { env: { XDG_CONFIG_HOME: join(folder, 'config') } })

    expect(outcome).toMatchObject({ status: 0, stderr: '' })
    expect(outcome.stdout).toContain(says)
    expect(jsonMembers(await readFile(contexts(), 'utf8'))).toEqual(signedIn)
  })

  test('T26: login asks the broker where people sign in, and nobody else', async () => {
    await api.close()
    const asked: string[] = []
    const server = createServer((request, response) => {
      asked.push(request.url ?? '')
      response.end(JSON.stringify({ issuer: 'https://issuer.example', client_id: 'x' }))
    })
    const port = await listenOnLoopback(server)
    const outcome = await runCli(['login', '--url', `http://127.0.0.1:${port}`, '--dry-run'], {
      env: { XDG_CONFIG_HOME: named('new-contexts') },
    })
    server.close()

    expect(outcome).toMatchObject({ status: 0, stderr: '' })
    expect(outcome.stdout).toContain('you would sign in at https://issuer.example')
    expect(asked).toEqual(['/v1/sign-in'])
    expect(await readdir(folder)).not.toContain('new-contexts')
  })
})
