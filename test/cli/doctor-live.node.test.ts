import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { GoogleProject } from '../../src/cli/live/google-project.ts'
import { clean, openJournal } from '../../src/cli/live/journal.ts'
import { checks } from '../../src/cli/live/live-checks.ts'
import { runChecks } from '../../src/cli/live/run-live.ts'
import type { HttpClient, HttpRequest } from '../../src/ports/http-client.ts'
import { nextPolicy } from '../support/google/buckets.ts'
import type { GoogleStandIn } from '../support/google/stand-in.ts'
import { jsonMembers } from '../support/json-members.ts'
import { createLiveWorld, kmsKey, type LiveWorld } from '../support/live-world.ts'
import { runCli } from '../support/run-cli.ts'
import { startFakeAdminApi } from '../support/fake-admin-api.ts'
import { readPage } from '../support/guides.ts'
import { createPerson } from '../../src/cli/terminal.ts'
import { plainEnvironment, repository } from '../support/run-node.ts'
import type { Check, CheckOptions } from '../../src/cli/live/live-scene.ts'

let world: LiveWorld
beforeEach(async () => {
  world = await createLiveWorld()
})
afterEach(() => world.close())

async function run(names: readonly string[]) {
  const { live, options, end } = await world.open()
  const chosen = checks.filter(({ name }) => names.includes(name))
  const results = await runChecks(live, chosen, { ...options, approve: () => Promise.resolve(true) })
  await end()
  return { results, cleaned: await clean(live) }
}

/** How Google would have to behave for the check to notice. */
const otherwise: Readonly<Record<string, (google: GoogleStandIn) => void>> = {
  impersonation: ({ script }) =>
    script.iamCredentials.always({ do: 'amend', members: { expireTime: '2099-01-01T00:00:00Z' } }),
  'key-upload': ({ tune }) => tune({ keyPropagation: 100 }),
  'error-bodies': ({ script }) => script.revoke.always({ do: 'refuse', as: 'token_not_revocable' }),
  boundary: ({ tune }) => tune({ ignoresConditions: true }),
  'boundary-narrow-source': ({ tune }) => tune({ refusesNarrowSources: true }),
  'boundary-conditions': ({ tune }) => tune({ takesAnyCondition: true }),
  'boundary-twice': ({ tune }) => tune({ boundsTwice: true }),
  'boundary-beyond-storage': ({ tune }) => tune({ boundaryReachesBeyond: true }),
  'sealed-boundary': ({ tune }) => tune({ ignoresConditions: true }),
  'sealed-boundary-beyond-storage': ({ tune }) => tune({ boundaryReachesBeyond: true }),
  'intermediary-alone': ({ tune }) => tune({ takesIntermediaryAlone: true }),
  federation: ({ script }) => script.sts.always({ do: 'refuse', as: 'subject_token_bad' }),
  kms: ({ script }) => script.kms.always({ do: 'amend', members: { verifiedPlaintextCrc32c: undefined } }),
  'firestore-ttl': ({ tune }) => tune({ ttlNeedsRepair: true }),
  'metadata-scopes': ({ runAs }) =>
    runAs('machine@acme-trial.iam.gserviceaccount.com', { respectsScopes: false }),
  'refresh-token-narrowing': ({ tune }) => tune({ impliesScopes: true }),
  revocation: ({ tune }) => tune({ revokesTokenOnly: true }),
}

describe('doctor --live', () => {
  test('every check finds what is documented, and all that was made is gone', async () => {
    const { results, cleaned } = await run(checks.map(({ name }) => name))

    expect(results).toMatchObject(checks.map(({ name }) => ({ name, verdict: 'as documented' })))
    expect(cleaned.left).toEqual([])
  })

  test.each(checks.map(({ name }) => name))('%s notices another behaviour', async (name) => {
    otherwise[name]?.(world.google)
    const { results } = await run([name])

    expect(results).toMatchObject([{ name, verdict: 'otherwise' }])
  })
})

test('an account that was just made, and is not known everywhere yet, is waited for', async () => {
  const { script } = world.google
  script.iam.next(1, { do: 'honest' })
  script.iam.next(2, { do: 'google_error', status: 'NOT_FOUND', message: 'Unknown service account' })
  script.storage.next(3, { do: 'honest' })
  script.storage.next(1, {
    do: 'answer',
    status: 400,
    body: { error: { code: 400, message: 'Service account of this run does not exist.' } },
  })
  const { results, cleaned } = await run(['boundary'])

  expect(results).toMatchObject([{ verdict: 'as documented' }])
  expect(cleaned.left).toEqual([])
})

describe('what a project does not allow', () => {
  test('is not run, with the reason, and never a pass', async () => {
    const { live, options } = await world.open()
    world.google.createProject('acme-trial', '123456789012', 'somebody@acme.example')
    world.google.denyCryptoKey('ops@acme.example', kmsKey)
    world.google.runAs()
    world.google.sitDown({ email: 'ops@acme.example', consents: false })
    const results = await runChecks({ ...live, bucket: 'no-such-bucket' }, checks, {
      ...options,
      kmsKey: `${kmsKey}-of-others`,
      approve: yes,
    })
    const { left } = await clean(live)

    expect(results.filter(({ verdict }) => verdict !== 'not run').map(({ name }) => name)).toEqual([
      'error-bodies',
    ])
    expect(results[0]?.saw).toMatch(/service account could not be made: 403/)
    expect(left).toEqual([])
    expect(live.journal.things()).toEqual([])
  })

  test('a check that is not wanted is not run', async () => {
    const { live, options } = await world.open()
    const results = await runChecks(live, checks, { ...options, approve: () => Promise.resolve(false) })

    expect(new Set(results.map(({ verdict }) => verdict))).toEqual(new Set(['not run']))
    expect(world.google.calls.count()).toBe(0)
  })
})

describe('T39: doctor --live destroys nothing it did not make', () => {
  const name = 'downscope-doctor/0badcafe/in/one'
  const stranger = { name, generation: '7', metadata: { of: 'somebody else' } }

  test('an object of the same name survives, and the check is not run', async () => {
    world.bucket.objects.set(name, stranger)
    const { results, cleaned } = await run(['boundary'])

    expect(results).toMatchObject([
      { verdict: 'not run', saw: expect.stringContaining('not of this run') as string },
    ])
    expect(cleaned.left).toEqual([])
    expect([...world.bucket.objects.values()]).toEqual([stranger])
  })

  test('a service account and a pool of the same name survive', async () => {
    const email = 'downscope-0badcafe@acme-trial.iam.gserviceaccount.com'
    const { live, options } = await world.open()
    const chosen = checks.filter(({ name }) => ['impersonation', 'federation'].includes(name))
    await runChecks(live, chosen.slice(1), { ...options, approve: yes })
    await world.google.createServiceAccount({ email })
    // The same run once more, as if the name had been drawn again.
    const results = await runChecks({ ...live, journal: openJournal(`${world.journal}.2`) }, chosen, {
      ...options,
      approve: yes,
    })
    const { left } = await clean({ ...live, journal: openJournal(`${world.journal}.2`) })

    expect(results.map(({ verdict, saw }) => [verdict, saw])).toEqual([
      ['not run', expect.stringContaining('the service account exists already')],
      ['not run', expect.stringContaining('the identity pool exists already')],
    ])
    expect(left).toEqual([])
    expect(world.google.keysOf(email)).toHaveLength(1)
    expect(world.google.made()).toEqual([expect.stringContaining('workloadIdentityPools/downscope-0badcafe')])
  })

  test('an object that somebody wrote over ours survives', async () => {
    const { live, options } = await world.open()
    await runChecks(
      live,
      checks.filter((check) => check.name === 'boundary'),
      { ...options, approve: yes },
    )
    expect(world.bucket.objects.has(name)).toBe(true)
    world.bucket.objects.set(name, stranger)
    const { left } = await clean(live)

    expect(left).toEqual([])
    expect([...world.bucket.objects.values()]).toEqual([stranger])
  })

  test('what others write into the IAM policy meanwhile stays, and ours goes', async () => {
    const { live, options } = await world.open()
    const theirs = (at: number) => ({
      role: 'roles/storage.objectViewer',
      members: [`user:person-${at}@acme.example`],
    })
    let writes = 0
    const http: typeof live.http = (request) => {
      const isWrite = request.method === 'PUT' && request.url.endsWith('/iam')
      // Between our read and our write, once each.
      if (isWrite && writes < 4 && writes++ % 2 === 0)
        world.bucket.policy = nextPolicy(world.bucket.policy, {
          bindings: [...world.bucket.policy.bindings, theirs(writes)],
        })
      return live.http(request)
    }
    const busy = { ...live, http }
    const results = await runChecks(
      busy,
      checks.filter((check) => check.name === 'boundary'),
      { ...options, approve: yes },
    )
    const { left } = await clean(busy)

    expect(results).toMatchObject([{ verdict: 'as documented' }])
    expect(left).toEqual([])
    expect(world.bucket.policy.bindings).toEqual([theirs(1), theirs(3)])
  })

  test('a grant that the client had before is not revoked', async () => {
    const { live, options, end } = await world.open()
    const before = world.google.createRefreshToken({
      scopes: ['https://www.googleapis.com/auth/drive'],
      user: 'ops@acme.example',
      clientId: 'desktop.apps.googleusercontent.com',
    })
    const chosen = checks.filter((check) => check.name === 'revocation')
    const results = await runChecks(live, chosen, { ...options, approve: yes })
    await end()

    expect(results).toMatchObject([{ verdict: 'not run', saw: expect.stringContaining('already') as string }])
    expect(world.google.grant(before.refresh_token)?.state).toBe('live')
    expect(world.google.calls.count({ endpoint: 'revoke' })).toBe(0)
  })

  test('a consent that no check revoked is revoked at the end', async () => {
    const { results } = await run(['refresh-token-narrowing'])

    expect(results).toMatchObject([{ verdict: 'as documented' }])
    expect(world.google.calls.where({ endpoint: 'revoke' })).toMatchObject([{ status: 200 }])
  })

  test('broken off at any request, before it or with its answer lost, the journal leads to all that was made', async () => {
    const { live, options } = await world.open()
    const chosen = checks.filter(({ name }) =>
      ['boundary', 'federation', 'kms', 'firestore-ttl'].includes(name),
    )
    const things = () => [
      ...world.google.made(),
      ...world.bucket.objects.keys(),
      ...world.bucket.policy.bindings.map(({ role }) => role),
    ]
    const all = await mutations(live, chosen, options)
    const found: number[] = []
    for (let at = 1; at <= all; at += 1)
      for (const isSent of [false, true]) {
        const next = await world.open()
        const named = { ...next.live, run: `${isSent ? 'after' : 'before'}-${at}` }
        await mutations(named, chosen, next.options, { at, isSent })
        found.push(things().length)
        const { left } = await clean((await world.open()).live)

        // Of a key version alone nobody can say whether it was made.
        expect(left.filter(({ thing }) => thing.kind !== 'key version')).toEqual([])
        expect(things()).toEqual([])
      }

    expect(all).toBeGreaterThanOrEqual(9)
    expect(Math.max(...found)).toBeGreaterThanOrEqual(6)
  })

  test('after kill -9 the next run takes away what was made, and not what a stranger made', async () => {
    const cli = join(repository, 'infra/downscope.mjs')
    world.google.script.storage.next(1, { do: 'hang', processed: true })
    const child = spawn(process.execPath, [cli, ...world.args, '--only', 'boundary', '--yes'], {
      env: { ...plainEnvironment(), ...world.env },
      stdio: 'ignore',
    })
    await expect.poll(() => world.bucket.objects.size, { timeout: 30_000 }).toBe(1)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const journal = jsonMembers(readFileSync(world.journal, 'utf8'))
    world.bucket.objects.set('downscope-doctor/other', { ...stranger, name: 'downscope-doctor/other' })
    const again = await runCli([...world.args, '--only', 'error-bodies', '--yes'], { env: world.env })

    expect(journal['things']).toMatchObject([{ kind: 'service account' }, { kind: 'object' }])
    expect(again).toMatchObject({ status: 0 })
    expect(again.stderr).toContain('Taken away again: object, service account')
    expect([...world.bucket.objects.keys()]).toEqual(['downscope-doctor/other'])
    expect(world.google.made()).toEqual([])
    expect(existsSync(world.journal)).toBe(false)
  })

  test('a journal that another process is writing is left alone', async () => {
    writeFileSync(world.journal, JSON.stringify({ pid: 1, things: [] }))
    const outcome = await runCli([...world.args, '--yes'], { env: world.env })

    expect(outcome).toMatchObject({ status: 1, stdout: '' })
    expect(outcome.stderr).toContain('process 1 is writing the journal')
  })

  test.each(['', '{"pid":', '{"pid":1}', '[]'])('a journal that holds %j is left alone', async (text) => {
    writeFileSync(world.journal, text)
    const outcome = await runCli([...world.args, '--yes'], { env: world.env })

    expect(outcome).toMatchObject({ status: 2, stdout: '' })
    expect(outcome.stderr).toContain(`the journal ${world.journal} cannot be read`)
    expect(readFileSync(world.journal, 'utf8')).toBe(text)
  })
})

const credentialAnswer = {
  kind: 'service_account_key',
  upstream: 'google',
  state: 'active',
  version: 'v1',
  health: { status: 'healthy', since: '2026-11-24T00:00:00Z' },
  created_at: '2026-11-24T00:00:00Z',
  updated_at: '2026-11-24T00:00:00Z',
  versions: [],
}

/** The report in docs/live-proof.md. */
function sampleReport(): string {
  return /```text\n(# downscope doctor --live\n[^`]*)```/.exec(readPage('docs/live-proof.md'))?.[1] ?? ''
}

/** Without what is another in each run. */
function steady(report: string): string {
  return report
    .replace(/^Downscope .* \d{4}-\d\d-\d\d\./m, 'Downscope VERSION.')
    .replaceAll(/\b\d+ s\b/g, 'N s')
    .replaceAll(/\b\d+ octets/g, 'N octets')
}

const yes = () => Promise.resolve(true)

/** How many requests change something; it is broken off at one of them, before it is sent or before it is answered. */
async function mutations(
  live: GoogleProject,
  chosen: readonly Check[],
  options: CheckOptions,
  broken?: { readonly at: number; readonly isSent: boolean },
): Promise<number> {
  let count = 0
  const cut = Promise.withResolvers<undefined>()
  const isChange = ({ method, url }: HttpRequest) =>
    method !== 'GET' &&
    !/\/token$|tokeninfo|revoke|generateAccessToken|getIamPolicy|(?:en|de)crypt$/.test(url)
  const http: HttpClient = async (request) => {
    if (!isChange(request)) return live.http(request)
    count += 1
    if (count !== broken?.at) return live.http(request)
    if (broken.isSent) await live.http(request)
    cut.resolve(undefined)
    return new Promise(() => undefined)
  }
  const ended = runChecks({ ...live, http }, chosen, { ...options, approve: yes })
  await Promise.race([ended, cut.promise])
  if (broken === undefined) await clean(live)
  return count
}

describe('on the command line', () => {
  test('--dry-run wants neither project nor bucket, asks nobody and lists each check with what it creates', async () => {
    const outcome = await runCli(['doctor', '--live', '--dry-run'])
    const document = jsonMembers((await runCli(['doctor', '--live', '--dry-run', '--json'])).stdout)

    expect(outcome).toMatchObject({ status: 0, stderr: '' })
    for (const { name } of checks) expect(outcome.stdout).toContain(`${name}\n`)
    expect(document['checks']).toEqual(checks.map(({ name, claim, creates }) => ({ name, claim, creates })))
    expect(world.google.calls.count()).toBe(0)
  })

  test.each([
    [['--bucket', 'b-b-b'], '--project'],
    [['--project', 'acme-trial'], '--bucket'],
    [['--project', 'acme-trial', '--bucket', '../b'], '--bucket'],
    [['--project', 'acme-trial', '--bucket', 'bucket', '--kms-key', 'k'], '--kms-key'],
    [['--only', 'none'], 'no check none'],
  ])('%j is refused before anything is asked', async (args, says) => {
    const outcome = await runCli(['doctor', '--live', '--yes', ...args], { env: world.env })

    expect(outcome).toMatchObject({ status: 2, stdout: '' })
    expect(outcome.stderr).toContain(says)
    expect(world.google.calls.count()).toBe(0)
  })

  test('without a terminal and without --yes nothing is tried out', async () => {
    const outcome = await runCli(world.args, { env: world.env })

    expect(outcome).toMatchObject({ status: 2, stdout: '' })
    expect(outcome.stderr).toContain('confirmation required: pass --yes')
    expect(existsSync(world.journal)).toBe(false)
  })

  test('runs whole, writes a report that is in the docs, and no secret or name is in it', async () => {
    const report = join(world.folder, 'report.md')
    let journals = ''
    const watcher = watch(world.folder, () => {
      if (existsSync(world.journal)) journals += readFileSync(world.journal, 'utf8')
    })
    const outcome = await runCli([...world.args, '--yes', '--report', report, '--json'], {
      env: world.env,
      onStderr: (text) => {
        // With --json a link is all that is said.
        for (const [link] of text.matchAll(/http:\/\/\S+\/authorize\S+/g)) void world.browse(link)
      },
    })
    watcher.close()
    const written = readFileSync(report, 'utf8')
    const shown = `${outcome.stdout}${outcome.stderr}${written}${journals}`
    const secrets = [
      ...world.google.tokens().map(({ value }) => value),
      ...world.google.sessionKeys(),
      'GOCSPX',
      '1//0',
      'PRIVATE KEY',
    ]

    expect(outcome.status).toBe(0)
    expect(journals).toContain('service account')
    expect(secrets.length).toBeGreaterThan(20)
    expect(secrets.filter((secret) => shown.includes(secret))).toEqual([])
    for (const name of ['acme', '123456789012', 'ops@']) expect(written).not.toContain(name)
    expect(steady(written)).toBe(steady(sampleReport()))
  })

  test('T11: the refusal of a bare intermediary token is recorded for the credential whose account it was', async () => {
    const email = 'reports@acme-trial.iam.gserviceaccount.com'
    await world.google.createServiceAccount({ email })
    const credential = { ...credentialAnswer, name: 'reports', identity: email }
    const answers = { 'GET /v1/admin/credentials/reports': [{ body: credential }, { body: credential }] }
    const api = await startFakeAdminApi({
      ...answers,
      'PATCH /v1/admin/credentials/reports': [{ body: credential }],
    })
    const key = join(world.folder, 'admin.json')
    writeFileSync(key, JSON.stringify(createPerson('ops').privateJwk))
    const env = { ...world.env, DOWNSCOPE_URL: api.url, DOWNSCOPE_ADMIN_KEY: key }
    const args = [...world.args, '--only', 'intermediary-alone', '--yes', '--credential', 'reports']
    const forbidden = await runCli(args, { env })
    const asked = [...api.asked]
    world.google.allowImpersonation('ops@acme.example', email)
    const outcome = await runCli(args, { env })
    await api.close()

    expect(forbidden).toMatchObject({ status: 1, stdout: expect.stringContaining('not run') as string })
    expect(asked.filter((line) => line.startsWith('PATCH'))).toEqual([])
    expect(outcome).toMatchObject({ status: 0 })
    expect(api.asked.filter((line) => line.startsWith('PATCH'))).toEqual([
      'PATCH /v1/admin/credentials/reports',
    ])
    expect(world.bucket.policy.bindings).toEqual([])
    expect(world.google.made()).toEqual([])
  })
})
