import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { csvCell } from '../../src/cli/commands/audit.ts'
import { createPerson } from '../../src/cli/terminal.ts'
import { problem, startFakeAdminApi, type FakeAdminApi, type FakeAnswer } from '../support/fake-admin-api.ts'
import { jsonMembers } from '../support/json-members.ts'
import { runCli, type CliSurroundings } from '../support/run-cli.ts'

/** What the command line makes of answers that a healthy broker gives seldom, or never. */
let folder = ''
let api: FakeAdminApi
const key = () => join(folder, 'admin.jwk.json')

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'downscope-answers-'))
  await writeFile(key(), JSON.stringify(createPerson('ops').privateJwk), { mode: 0o600 })
})
afterEach(() => api?.close())
afterAll(() => rm(folder, { recursive: true, force: true }))

async function run(
  args: readonly string[],
  answers: Readonly<Record<string, readonly FakeAnswer[]>>,
  more: CliSurroundings = {},
) {
  api = await startFakeAdminApi(answers)
  return runCli(args, { ...more, env: { DOWNSCOPE_URL: api.url, DOWNSCOPE_ADMIN_KEY: key(), ...more.env } })
}

describe('a refusal of the broker', () => {
  const list = 'GET /v1/admin/credentials?limit=500'

  test.each([
    [401, 'admin_unauthenticated', 4, 'You are ops/ops, by the key in'],
    [403, 'admin_forbidden', 4, 'The part "admins" of the policy'],
    [404, 'not_found', 1, 'nothing'],
    [412, 'changed_meanwhile', 5, 'nothing'],
    [422, 'document_invalid', 1, 'nothing'],
    [429, 'caller_throttled', 3, 'Try again in 7 s.'],
    [500, 'bug', 1, 'nothing'],
    [503, 'store_unavailable', 3, 'Try again in 7 s.'],
  ] as const)(
    '%i %s is status %i, with its words, its request id and what to do',
    async (status, code, exit, hint) => {
      const answer = {
        status,
        body: problem(status, code, 'nothing of the kind'),
        headers: { 'retry-after': '7' },
      }
      const outcome = await run(['credentials', 'list'], { [list]: [answer] })

      expect(outcome).toMatchObject({ status: exit, stdout: '' })
      expect(outcome.stderr).toContain('error: nothing of the kind')
      expect(outcome.stderr).toContain('request id request-1')
      expect(outcome.stderr).toContain(hint)
    },
  )

  test('is one document with --json', async () => {
    const answer = { status: 404, body: problem(404, 'not_found', 'there is nothing here') }
    const { stderr } = await run(['credentials', 'list', '--json'], { [list]: [answer] })

    expect(jsonMembers(stderr)).toEqual({
      error: 'there is nothing here',
      code: 'not_found',
      request_id: 'request-1',
      hints: [],
      exit: 1,
    })
  })

  test('so is a command line that is not understood, and a setting that is wrong', async () => {
    const unknown = await runCli(['policy', 'diff', '--json'])
    const setting = await runCli(['policy', 'apply', '--store', '-', '--json'], {
      env: { DOWNSCOPE_STORE: 'x' },
      stdin: 'version: 1',
    })

    expect(unknown).toMatchObject({ status: 2, stdout: '' })
    expect(jsonMembers(unknown.stderr)).toMatchObject({ error: "missing required argument 'FILE'", exit: 2 })
    expect(setting).toMatchObject({ status: 2, stdout: '' })
    expect(jsonMembers(setting.stderr)).toMatchObject({
      error: expect.stringContaining('DOWNSCOPE_STORE') as unknown,
      exit: 2,
    })
  })

  test('an answer that no broker gives is told as such', async () => {
    const outcome = await run(['credentials', 'list'], { [list]: [{ body: { credentials: 'many' } }] })

    expect(outcome).toMatchObject({ status: 1, stdout: '' })
    expect(outcome.stderr).toContain('is not the answer of a broker that this version knows')
  })

  test('a redirect is followed by nobody: a JWT goes where it was meant to go', async () => {
    const away = { status: 302, headers: { location: 'http://127.0.0.1:1/' } }

    expect(await run(['credentials', 'list'], { [list]: [away] })).toMatchObject({ status: 3, stdout: '' })
  })

  test('what it says cannot move the cursor or change colours', async () => {
    const answer = { status: 422, body: problem(422, 'document_invalid', 'evil \u001B[2J\u0007 text') }
    const { stderr } = await run(['credentials', 'list'], { [list]: [answer] })

    expect(stderr).toMatch(/^error: evil +text\n/)
    expect(stderr).not.toContain('\u001B')
  })
})

describe('who asks, and whom', () => {
  test('nobody is asked without an administrator', async () => {
    const outcome = await run(['service', 'status'], {}, { env: { DOWNSCOPE_ADMIN_KEY: '' } })

    expect(outcome).toMatchObject({ status: 2, stdout: '' })
    expect(outcome.stderr).toContain('Set DOWNSCOPE_ADMIN_KEY')
    expect(api.asked).toEqual([])
  })

  test('a key and a token at once are a mistake, but an option goes before both', async () => {
    const both = { env: { DOWNSCOPE_ADMIN_TOKEN_FILE: '-' } }
    const twice = await run(['callers', 'list'], {}, both)
    const chosen = await run(
      ['callers', 'list', '--admin-key', key()],
      { 'GET /v1/admin/callers': [{ body: { callers: [] } }] },
      both,
    )

    expect(twice).toMatchObject({ status: 2 })
    expect(chosen).toEqual({ status: 0, stdout: 'No caller is revoked.\n', stderr: '' })
  })

  test('a JWT may come from standard input, and nothing else is one', async () => {
    const jwt = `${['{"alg":"ES256"}', '{"iss":"ops","sub":"kim"}'].map((part) => Buffer.from(part).toString('base64url')).join('.')}.AAAA`
    const args = ['callers', 'list', '--admin-token-file', '-']
    const answers = { 'GET /v1/admin/callers': [{ body: { callers: [] } }] }
    const good = await run(args, answers, { stdin: `${jwt}\n` })
    const bad = await run(args, answers, { stdin: 'hunter2' })

    expect(good).toMatchObject({ status: 0 })
    expect(bad).toMatchObject({ status: 2, stderr: 'error: standard input holds no JWT\n' })
  })

  test('a broker that calls itself another name is not believed', async () => {
    const outcome = await run(['callers', 'list', '--url', 'http://localhost:1'], {})
    api = await startFakeAdminApi({})
    const elsewhere = api.url.replace('127.0.0.1', 'localhost')
    const renamed = await runCli(['callers', 'list', '--url', elsewhere, '--admin-key', key()])

    expect(outcome).toMatchObject({ status: 3 })
    expect(renamed).toMatchObject({ status: 2 })
    expect(renamed.stderr).toContain(`--broker-issuer ${api.url}`)
    expect(api.asked).toEqual([])
  })

  test('the issuer in the environment is that of the broker there, and of no other that --url names', async () => {
    const env = { DOWNSCOPE_ISSUER: 'https://tokens.acme.example' }
    const answers = { 'GET /v1/admin/callers': [{ body: { callers: [] } }] }
    const there = await run(['callers', 'list'], answers, { env })
    const audience = api.audiences.at(-1)
    await api.close()
    const elsewhere = await startFakeAdminApi(answers)
    const own = { env: { ...env, DOWNSCOPE_ADMIN_KEY: key() } }
    const named = await runCli(['callers', 'list', '--url', elsewhere.url], own)
    await elsewhere.close()

    expect([there.status, named.status]).toEqual([0, 0])
    expect(audience).toBe('https://tokens.acme.example')
    expect(elsewhere.audiences).toEqual([elsewhere.url])
  })

  test('nor is it that of what listens at the default URL, where the environment names no broker', async () => {
    const asked: string[] = []
    vi.stubGlobal('fetch', async (url: string) => {
      asked.push(url)
      return Response.json({ issuer: 'https://tokens.acme.example' })
    })
    const outcome = await runCli(['callers', 'list', '--admin-key', key()], {
      env: { DOWNSCOPE_ISSUER: 'https://tokens.acme.example' },
    })
    vi.unstubAllGlobals()

    expect(outcome).toMatchObject({ status: 2 })
    expect(outcome.stderr).toContain('http://127.0.0.1:8080 calls itself https://tokens.acme.example')
    expect(asked).toEqual(['http://127.0.0.1:8080/.well-known/oauth-authorization-server'])
  })

  test.each(['http://tokens.acme.example', 'ftp://x', 'tokens.acme.example', 'https://x/?a=b'])(
    '%s is no URL for a JWT',
    async (url) => {
      expect(await runCli(['callers', 'list', '--url', url, '--admin-key', key()])).toMatchObject({
        status: 2,
      })
    },
  )

  test('a key that others may read is warned of', async () => {
    const open = join(folder, 'open.jwk.json')
    await writeFile(open, JSON.stringify(createPerson('ops').privateJwk), { mode: 0o644 })
    const answers = { 'GET /v1/admin/callers': [{ body: { callers: [] } }] }
    const { stderr } = await run(['callers', 'list', '--admin-key', open], answers)

    expect(stderr).toContain(`warning: others may read ${open}: chmod 600`)
  })
})

describe('what is wished for', () => {
  const explained = {
    'POST /v1/admin/policy:explain': [
      {
        body: {
          outcome: 'granted',
          caller: { issuer: 'ci', subject: 'ci' },
          rules: [],
          hints: [],
        },
      },
    ],
  }
  const explain = ['explain', 'reports-sa', '--issuer', 'ci']

  test.each(['abc', '-1', '0', '1e3', '1.5', '1000000000'])(
    'a lifetime of %s is a mistake on the command line, before anybody is asked',
    async (lifetime) => {
      const outcome = await run([...explain, `--lifetime=${lifetime}`], explained)
      const wanted = await runCli(['token', 'reports-sa', '--key', key(), `--lifetime=${lifetime}`])

      expect(outcome).toMatchObject({ status: 2, stdout: '' })
      expect(outcome.stderr).toContain('--lifetime is a whole number from 1 to')
      expect(wanted).toMatchObject({ status: 2, stderr: outcome.stderr })
      expect(api.asked).toEqual([])
    },
  )

  test('scopes may stand in one text, however many spaces are between', async () => {
    const outcome = await run([...explain, '--scope', ' a  b', '--scope', 'c', '--lifetime', '60'], explained)

    expect(outcome).toMatchObject({ status: 0 })
    expect(api.bodies).toEqual([
      {
        issuer: 'ci',
        claims: { sub: 'ci' },
        credential: 'reports-sa',
        scope: ['a', 'b', 'c'],
        requested_lifetime: 60,
      },
    ])
  })
})

describe('credentials rotate --wait', () => {
  const credential = (more: object) => ({
    body: {
      name: 'reports-sa',
      kind: 'service_account_key',
      upstream: 'google',
      state: 'enabled',
      version: 'v1',
      identity: 'reports@acme.iam.gserviceaccount.com',
      health: { status: 'healthy', since: '2026-11-24T00:00:00Z' },
      created_at: '2026-11-24T00:00:00Z',
      updated_at: '2026-11-24T00:00:00Z',
      versions: [],
      ...more,
    },
  })
  const rotation = (step: string) => ({
    rotation: { method: 'upload', step, since: 'x', next_try_at: 'x', failures: 0, former: 'v1' },
  })
  const rotate = (shown: FakeAnswer) =>
    run(['credentials', 'rotate', 'reports-sa', '--wait'], {
      'POST /v1/admin/credentials/reports-sa:rotate': [credential(rotation('count'))],
      'GET /v1/admin/credentials/reports-sa': [shown],
    })

  test('is done when the new version is active and the former one stands by', async () => {
    const outcome = await rotate(credential({ version: 'v2', ...rotation('overlap') }))

    expect(outcome).toEqual({
      status: 0,
      stdout: 'reports-sa: version v2 is active; the former one stands by\n',
      stderr: '',
    })
  })

  test('is no success when the rotation ends and the former version is still the active one', async () => {
    const outcome = await rotate(credential({}))

    expect(outcome).toMatchObject({ status: 1, stdout: '' })
    expect(outcome.stderr).toContain('ended, and no new version is active')
  })
})

test.each([[[]], [['--after', '30', '--never']]])(
  'credentials schedule takes a number of days or --never: %j',
  async (options) => {
    const outcome = await run(['credentials', 'schedule', 'reports-sa', ...options], {})

    expect(outcome).toMatchObject({ status: 2, stdout: '' })
    expect(outcome.stderr).toContain('error: schedule required: pass either --after DAYS or --never')
  },
)

describe('policy suggest', () => {
  const advice = {
    days: 30,
    observed_since: '2026-10-01T00:00:00Z',
    rules: [
      { rule: 'old', credential: 'old-sa', advice: 'remove', changes: [], notes: ['a note'] },
      {
        rule: 'wide',
        credential: 'files',
        advice: 'narrow',
        last_used: '2026-11-24T16:00:00Z',
        changes: [{ member: 'scopes', now: ['drive', 'mail'], enough: ['mail', 'drive.readonly'] }],
        notes: [],
      },
    ],
    unused_credentials: ['idle'],
  }
  const answers = { 'POST /v1/admin/policy:suggest': [{ body: advice }] }

  test('lists rule by rule what the policy could lose', async () => {
    const { status, stdout, stderr } = await run(['policy', 'suggest'], answers)

    expect(status).toBe(0)
    expect(stdout).toBe(
      [
        'old (old-sa): remove it, never used',
        '  a note',
        '',
        'wide (files): narrow it, last used 2026-11-24',
        '  scopes:',
        '  - drive',
        '    mail',
        '  + drive.readonly',
        '',
        'idle: no rule drew on this credential',
        '',
      ].join('\n'),
    )
    expect(stderr).toContain('Of the last 30 days; what is known begins 2026-10-01T00:00:00Z.')
  })

  test('prints the answer of the broker with --json, and changes no file', async () => {
    const { stdout } = await run(['policy', 'suggest', '--json'], answers)
    const written = await run(['policy', 'suggest', '--write', join(folder, 'narrowed.yaml')], answers)

    expect(jsonMembers(stdout)).toEqual(advice)
    expect(written).toMatchObject({ status: 2, stdout: '' })
  })
})

describe('keys rewrap', () => {
  const keepAll = 'Take no key out of the ring'
  const page = (more: object) => ({
    body: { sealing_key: 'k2', rewrapped: 2, already: 1, passing: 0, failed: [], still_in_use: [], ...more },
  })

  test('goes from page to page to the end, and adds up', async () => {
    const outcome = await run(['keys', 'rewrap', '--json'], {
      'POST /v1/admin/keys:rewrap': [page({ after: 'credentials/b' })],
      'POST /v1/admin/keys:rewrap?after=credentials%2Fb': [
        page({ still_in_use: [{ key_id: 'k1', records: 1 }] }),
      ],
    })

    expect(outcome).toMatchObject({ status: 0 })
    expect(jsonMembers(outcome.stdout)).toEqual({
      sealing_key: 'k2',
      rewrapped: 4,
      already: 2,
      passing: 0,
      failed: [],
      still_in_use: [{ key_id: 'k1', records: 1 }],
    })
  })

  test('a key that only tokens need is told with its end, the latest of all pages', async () => {
    const uses = ['2026-11-24T16:00:00Z', '2026-11-24T17:00:00Z', '2026-11-24T16:30:00Z']
    const pages = uses.map((until) => ({ still_in_use: [{ key_id: 'k1', records: 2, until }] }))
    const outcome = await run(['keys', 'rewrap'], {
      'POST /v1/admin/keys:rewrap': [page({ ...pages[0], after: 'tokens/b' })],
      'POST /v1/admin/keys:rewrap?after=tokens%2Fb': [page({ ...pages[1], after: 'tokens/c' })],
      'POST /v1/admin/keys:rewrap?after=tokens%2Fc': [page({ ...pages[2] })],
    })

    expect(outcome).toMatchObject({ status: 0 })
    expect(outcome.stdout).toContain('k1, by 6 records, until 2026-11-24T17:00:00Z')
    expect(outcome.stderr).toContain('Only tokens are sealed under another key')
  })

  test('a key that a credential needs has no end, whatever tokens have', async () => {
    const use = { key_id: 'k1', records: 1 }
    const outcome = await run(['keys', 'rewrap'], {
      'POST /v1/admin/keys:rewrap': [page({ still_in_use: [use], after: 'tokens/b' })],
      'POST /v1/admin/keys:rewrap?after=tokens%2Fb': [
        page({ still_in_use: [{ ...use, until: '2026-11-24T17:00:00Z' }] }),
      ],
    })

    expect(outcome.stdout).toMatch(/k1, by 2 records$/m)
    expect(outcome.stderr).toContain('Keep these keys in the ring')
  })

  test('instances that seal under different keys are told, with status 1, and every key of theirs is in use', async () => {
    const outcome = await run(['keys', 'rewrap'], {
      'POST /v1/admin/keys:rewrap': [
        page({ still_in_use: [{ key_id: 'k1', records: 1 }], after: 'tokens/b' }),
      ],
      'POST /v1/admin/keys:rewrap?after=tokens%2Fb': [page({ sealing_key: 'k1' })],
    })

    expect(outcome).toMatchObject({ status: 1 })
    expect(outcome.stdout).toMatch(/^still in use: k2, by 3 records$/m)
    expect(outcome.stdout).not.toContain('still in use: k1')
    expect(outcome.stderr).toContain('instances seal under different keys')
    expect(outcome.stderr).toContain(keepAll)
  })

  test('a record that could not be rewrapped is told, with status 1', async () => {
    const failed = [{ key: 'credentials/a', reason: 'sealed under k0, which is not in the ring' }]
    const outcome = await run(['keys', 'rewrap'], { 'POST /v1/admin/keys:rewrap': [page({ failed })] })

    expect(outcome).toMatchObject({ status: 1 })
    expect(outcome.stdout).toContain('failed credentials/a: sealed under k0')
    expect(outcome.stderr).toContain(keepAll)
  })

  test('an old key can go when all is sealed under one, and nothing failed', async () => {
    const { status, stderr } = await run(['keys', 'rewrap'], { 'POST /v1/admin/keys:rewrap': [page({})] })

    expect(status).toBe(0)
    expect(stderr).toContain('old ones can be taken out of the ring')
  })
})

describe('a policy that the broker does not understand', () => {
  test('is replaced by whoever applies another, who is told so', async () => {
    const reading = {
      revision: 'first',
      origin: 'store version 1',
      status: 'stale',
      fault: 'line 1: version 2',
      latest_revision: 'newer',
      loaded_at: '2027-01-15T08:00:00Z',
      document: 'version: 1\n',
    }
    const file = join(folder, 'policy.yaml')
    await writeFile(file, '{}')
    const outcome = await run(['policy', 'apply', file], {
      'GET /v1/admin/policy': [{ body: reading, headers: { etag: '"first"' } }],
      'PUT /v1/admin/policy': [{ body: { revision: 'third', warnings: [] } }],
    })

    expect(outcome).toMatchObject({ status: 0 })
    expect(api.preconditions).toEqual([undefined, '"newer"'])
    expect(outcome.stderr).toContain('this replaces revision newer, which the broker does not understand')
    expect(outcome.stderr).toContain('line 1: version 2')
    expect(outcome.stderr).toContain('revision third, before newer')
  })
})

describe('events', () => {
  const list = 'GET /v1/admin/events?limit=100'
  const event = (more: object) => ({
    id: 'evt_1',
    type: 'credential.broken',
    timestamp: '2026-11-29T08:00:00Z',
    data: { credential: 'team', reason: 'a\u202Eb\u001B[2J' },
    ...more,
  })

  test('are a table, with what came of their delivery', async () => {
    const events = [
      event({ delivery: { state: 'delivered', attempts: 2 } }),
      event({ delivery: { state: 'given_up', attempts: 8, reason: 'hooks.acme.example answered 500' } }),
      event({}),
    ]
    const { stdout, stderr, status } = await run(['events', 'list'], {
      [list]: [{ body: { events, next_after: 'x' } }],
    })

    expect(status).toBe(0)
    expect(stdout).toMatch(/TIME +EVENT +ABOUT +DELIVERY/)
    expect(stdout).toMatch(/credential\.broken +credential=team reason=a b +delivered\n/)
    expect(stdout).toContain('given up after 8: hooks.acme.example answered 500')
    expect(stdout).not.toContain('\u202E')
    expect(stderr).toContain('there are more')
  })

  test('are none, or the document as it came', async () => {
    const none = await run(['events', 'list'], { [list]: [{ body: { events: [] } }] })
    const json = await run(['events', 'list', '--json'], { [list]: [{ body: { events: [event({})] } }] })

    expect(none.stdout).toBe('Nothing happened in the last 90 days.\n')
    expect(jsonMembers(json.stdout)).toMatchObject({ events: [{ type: 'credential.broken' }] })
  })

  test('events test says whether the receiver took it, by its status too', async () => {
    const tested = 'POST /v1/admin/events:test'
    const body = { id: 'evt_1', receiver: 'hooks.acme.example', delivered: true }
    const taken = await run(['events', 'test'], { [tested]: [{ body }] })
    const reason = 'hooks.acme.example answered 500'
    const not = await run(['events', 'test'], { [tested]: [{ body: { ...body, delivered: false, reason } }] })

    expect(taken).toMatchObject({ status: 0, stdout: 'delivered to hooks.acme.example\n' })
    expect(not).toMatchObject({ status: 1, stdout: `not delivered: ${reason}\n` })
  })
})

describe('audit records', () => {
  const hostile = '=HYPERLINK("https://evil.example")'
  const page = (more: object) => ({
    body: {
      records: [
        { time: '2026-11-29T08:00:00Z', outcome: 'refused', caller: hostile, reason: 'a\u202Eb\u001B[2J' },
      ],
      complete: true,
      ...more,
    },
  })
  const list = 'GET /v1/admin/audit?limit=100'

  test('T25: a cell of CSV that a spreadsheet would calculate begins with an apostrophe', async () => {
    const { stdout } = await run(['audit', 'list', '--csv'], { [list]: [page({})] })
    expect(stdout).toContain(`"'=HYPERLINK(""https://evil.example"")"`)
    for (const sign of ['=', '+', '-', '@', '\t', '\r']) expect(csvCell(`${sign}1`)).toMatch(/^"?'/)
    expect(csvCell('billing')).toBe('billing')
  })

  test('T25: a terminal gets no control character and no mark that turns the direction', async () => {
    const table = await run(['audit', 'list'], { [list]: [page({})] })
    const json = await run(['audit', 'list', '--json'], { [list]: [page({})] })
    const csv = await run(['audit', 'list', '--csv'], { [list]: [page({})] })
    for (const { stdout } of [table, json, csv])
      for (const sign of ['\u001B', '\u202E']) expect(stdout).not.toContain(sign)
    expect(jsonMembers(json.stdout)).toMatchObject({ reason: 'a\u202Eb\u001B[2J' })
    expect(csv.stdout).toContain(String.raw`,a\u202eb\u001b[2J,`)
  })

  test('are asked for from the beginning by a time that is longer ago than any clock says', async () => {
    const { status } = await run(['audit', 'list', '--since', '999999d'], {
      'GET /v1/admin/audit?since=1970-01-01T00%3A00%3A00.000Z&limit=100': [page({})],
    })
    expect(status).toBe(0)
  })

  test('say how to keep them, that there are more, and that not everything was looked at', async () => {
    const hint = 'audit records go to standard output alone: with DOWNSCOPE_AUDIT=stdout+store they are kept'
    const unkept = await run(['audit', 'list'], { [list]: [{ body: { records: [], complete: true, hint } }] })
    const more = await run(['audit', 'list'], { [list]: [page({ next_after: 'a' })] })
    const cut = await run(['audit', 'list'], { [list]: [page({ next_after: 'a', complete: false })] })
    expect(unkept.stdout).toBe('No record matches.\n')
    expect(unkept.stderr).toContain('DOWNSCOPE_AUDIT=stdout+store')
    expect(more.stderr).toContain('there are more')
    expect(cut.stderr).toContain('not everything was looked at')
  })

  test('audit export writes each page before it asks for the next, and waits for whoever reads slowly', async () => {
    const pages = 10
    const of = (at: number) => `GET /v1/admin/audit?limit=500${at === 0 ? '' : `&after=p${at}`}`
    const answers = Array.from({ length: pages }, (_, at) => {
      const records = Array.from({ length: 500 }, (_, index) => ({ request_id: `r${at * 500 + index}` }))
      const next = at === pages - 1 ? {} : { next_after: `p${at + 1}` }
      return [of(at), [{ body: { records, complete: true, ...next } }]] as const
    })
    const written: string[] = []
    const asked: number[] = []
    const slow = new Writable({
      highWaterMark: 1,
      decodeStrings: false,
      write: (line: string, _, done) => {
        written.push(line)
        asked.push(api.asked.length)
        setImmediate(done)
      },
    })
    const { status } = await run(['audit', 'export'], Object.fromEntries(answers), { stdout: slow })

    expect(status).toBe(0)
    expect(written.map((line) => jsonMembers(line)['request_id'])).toEqual(
      Array.from({ length: pages * 500 }, (_, index) => `r${index}`),
    )
    // As each line is taken, no page was asked for beyond its own.
    expect(asked).toEqual(written.map((_, index) => Math.floor(index / 500) + 1))
  })

  test('audit show goes on until the request is found, and says when it is not kept', async () => {
    const first = 'GET /v1/admin/audit?request_id=r1&limit=10'
    const empty = { body: { records: [], complete: false, next_after: 'p' } }
    const found = await run(['audit', 'show', 'r1'], { [first]: [empty], [`${first}&after=p`]: [page({})] })
    const none = await run(['audit', 'show', 'r1'], { [first]: [{ body: { records: [], complete: true } }] })
    expect(found).toMatchObject({ status: 0 })
    expect(none).toMatchObject({ status: 1, stdout: '' })
  })
})

describe('what is asked again and again', () => {
  const record = (id: string, time: string) => ({
    request_id: id,
    time,
    outcome: 'issued',
    action: 'token.exchange',
  })
  const page = (...records: readonly object[]) => ({ body: { records, complete: true } })
  const away = { status: 503, body: problem(503, 'store_unavailable', 'the store is away') }
  const over = { status: 401, body: problem(401, 'admin_unauthenticated', 'the session is over') }

  beforeEach(() => {
    const wait = setTimeout
    vi.useFakeTimers({ now: Date.parse('2026-11-29T08:01:00Z'), toFake: ['Date'] })
    vi.stubGlobal('setTimeout', (work: () => void, ms: number) => wait(work, ms === 2_000 ? 0 : ms))
  })
  afterEach(() => {
    vi.unstubAllGlobals()
    vi.useRealTimers()
  })

  test('audit tail shows each record once, late ones too, though one clock is ahead and the broker was away', async () => {
    const ahead = record('ahead', '2026-11-29T08:05:00Z')
    const outcome = await run(['audit', 'tail', '--since', '2026-11-29T08:00:00Z'], {
      'GET /v1/admin/audit?since=2026-11-29T08%3A00%3A00.000Z&limit=500': [page(ahead)],
      'GET /v1/admin/audit?since=2026-11-29T08%3A00%3A45.000Z&limit=500': [
        away,
        away,
        page(ahead, record('late', '2026-11-29T08:00:50Z')),
        page(ahead, record('late', '2026-11-29T08:00:50Z')),
        over,
      ],
    })

    expect(outcome.status).toBe(4)
    expect(outcome.stdout.match(/ahead|late/g)).toEqual(['ahead', 'late'])
    expect(outcome.stderr.split('\n').slice(0, 3)).toEqual([
      'warning: the store is away; it is asked again every 2 seconds',
      'warning: the broker answers again',
      'error: the session is over',
    ])
  })

  test('audit tail gives up at once where it was never answered', async () => {
    const outcome = await run(['audit', 'tail', '--since', '2026-11-29T08:00:00Z'], {
      'GET /v1/admin/audit?since=2026-11-29T08%3A00%3A00.000Z&limit=500': [away],
    })

    expect(outcome.status).toBe(3)
  })
})
