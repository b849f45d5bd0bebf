import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { commands } from '../../src/cli/main.ts'
import { createCliWorld, type CliWorld } from '../support/cli-world.ts'
import { freePort } from '../support/free-port.ts'
import { jsonMembers } from '../support/json-members.ts'
import type { CliOutcome } from '../support/run-cli.ts'
import { terminalFault } from '../support/run-in-terminal.ts'

/** From nothing to a token and back, by the command line alone, in a terminal and against a real broker. */
let world: CliWorld

const devstorage = 'https://www.googleapis.com/auth/devstorage.read_only'
const green = '\u001B[32m'

beforeAll(async () => {
  world = await createCliWorld()
})
afterAll(() => world.close())

describe.skipIf(terminalFault() !== undefined)('in a terminal', { timeout: 60_000 }, () => {
  test('keys generate makes what a broker starts with', async () => {
    const sealing = await world.type(['keys', 'generate', 'sealing', 'keys.txt'])
    // In a real terminal, as is everything for which keys are typed.
    const admin = await world.type(['keys', 'generate', 'admin', 'admin.jwk.json'], { typed: [] })
    const caller = await world.type(['keys', 'generate', 'caller', 'billing.jwk.json', '--issuer', 'billing'])
    const again = await world.type(['keys', 'generate', 'admin', 'admin.jwk.json'])

    expect(sealing).toMatchObject({ status: 0 })
    expect(world.read('keys.txt')).toMatch(/^k\d{8}-\d{6}:[\w+/]{43}=\n$/)
    expect(admin.screen).toContain(`${green}written\u001B[0m admin.jwk.json`)
    expect(again).toMatchObject({ status: 2 })
    expect(again.screen).toContain('admin.jwk.json cannot be written: it exists already')
    const [issuers = '', admins = ''] = partsOf(admin.screen)
    const [more = ''] = partsOf(caller.screen)
    world.write('policy.yaml', `version: 1\n${issuers}${more.replace('issuers:\n', '')}${admins}${rules}`)
  })

  test('policy check says where a mistake is, and that there is none', async () => {
    world.write('wrong.yaml', world.read('policy.yaml').replace('credential:', 'credentail:'))
    const wrong = await world.type(['policy', 'check', 'wrong.yaml'])
    const right = await world.type(['policy', 'check', 'policy.yaml'])

    expect(wrong).toMatchObject({ status: 1 })
    expect(wrong.screen).toMatch(/^wrong\.yaml:\d+:\d+ rules\[0\].*did you mean "credential"/m)
    expect(right).toMatchObject({ status: 0 })
    expect(right.screen).toContain('2 issuers, 1 rule, 1 admin rule')
  })

  test('policy apply --store begins a store; doctor finds what a broker would stand on', async () => {
    const before = await world.type(['doctor', '--local'], { env: world.settings() })
    const applied = await world.type(['policy', 'apply', '--store', 'policy.yaml'], { env: world.settings() })
    const again = await world.run(['policy', 'apply', '--store', world.path('policy.yaml')], world.settings())
    const forced = await world.run(
      ['policy', 'apply', '--store', '--force', '--json', world.path('policy.yaml')],
      world.settings(),
    )
    const after = await world.type(['doctor', '--local'], { env: world.settings() })

    expect(before.screen).toContain('is not there yet: the broker makes it')
    expect(applied).toMatchObject({ status: 0 })
    expect(again).toMatchObject({ status: 1, stdout: '' })
    const revision = /holds a policy already, revision (?<id>[\w-]+)\n/.exec(again.stderr)?.groups?.['id']
    expect(revision).toBeDefined()
    expect(again.stderr).toContain('--force')
    expect(jsonMembers(forced.stdout)).toMatchObject({ replaced: revision, rules: 1 })
    expect(after).toMatchObject({ status: 0 })
    expect(after.screen).toMatch(/ok.* {2}key ring .*\n.*ok.* {2}store .*\n/)
    expect(after.screen).toMatch(/warning.* policy .*no credential "reports-sa" is enrolled/)
  })

  test('doctor asks a broker that runs, and says what is missing', async () => {
    const nobody = await world.type(['doctor', '--url', world.url])
    await world.startBroker()
    world.env['DOWNSCOPE_URL'] = world.url
    const unnamed = await world.type(['doctor'])
    world.env['DOWNSCOPE_ADMIN_KEY'] = world.path('admin.jwk.json')
    const well = await world.type(['doctor'])

    expect(nobody).toMatchObject({ status: 1 })
    expect(nobody.screen).toContain('the connection is refused')
    expect(unnamed.screen).toContain('Set DOWNSCOPE_ADMIN_KEY')
    expect(well).toMatchObject({ status: 0 })
    expect(well.screen).toContain('ops/ops, by the key in')
    expect(well.screen).toContain('All is well.')
  })

  test('credentials import enrols a key file, and shows nothing secret of it', async () => {
    const key = await world.google.createServiceAccount({ email: 'reports@acme.iam.gserviceaccount.com' })
    world.write('key.json', JSON.stringify(key))
    world.write('cut.json', JSON.stringify(key).slice(0, -20))
    const cut = await world.type(['credentials', 'import', 'cut.json'])
    const imported = await world.type(['credentials', 'import', 'key.json', '--name', 'reports-sa'])
    const other = await world.google.createServiceAccount({ email: 'other@acme.iam.gserviceaccount.com' })
    world.write('other.json', JSON.stringify(other))
    const twice = await world.type(['credentials', 'import', 'other.json', '--name', 'reports-sa'])

    expect(cut).toMatchObject({ status: 2 })
    expect(cut.screen).toContain('cut.json is not JSON')
    expect(imported).toMatchObject({ status: 0 })
    expect(imported.screen).toContain('reports@acme.iam.gserviceaccount.com')
    expect(imported.screen).toContain('delete key.json')
    expect(`${cut.screen}${imported.screen}`).not.toContain('PRIVATE KEY')
    expect(twice).toMatchObject({ status: 1 })
    expect(twice.screen).toContain('request id ')
    expect(twice.screen).toContain('downscope credentials rotate reports-sa --with other.json')
    expect(imported.screen).toContain('Rules that give it: billing reads reports.')
    expect(imported.screen).not.toContain('add a rule')
  })

  test('credentials list and show tell how a credential fares', async () => {
    const list = await world.type(['credentials', 'list'])
    const show = await world.type(['credentials', 'show', 'reports-sa'])
    const none = await world.type(['credentials', 'show', 'nobody'], { env: { NO_COLOR: '1' } })

    expect(list.screen).toMatch(/NAME.*STATE.*HEALTH.*KIND.*IDENTITY/)
    expect(list.screen).toMatch(/reports-sa .*enabled.* service account key {2}reports@acme/)
    expect(show.screen).toMatch(/VERSION.*STATE/)
    expect(show.screen).toContain('active')
    expect(none).toMatchObject({ status: 1 })
    expect(none.screen).toContain('downscope credentials list')
    expect(none.screen).not.toContain('\u001B')
  })

  test('token gets one: bare, as a header, as JSON', async () => {
    const ask = ['token', 'reports-sa', '--key', world.path('billing.jwk.json')]
    const bare = await world.type(ask)
    const header = await world.run([...ask, '--header', '--scope', devstorage])
    const document = await world.run([...ask, '--json'])

    expect(bare.screen).toMatch(/^ya29\.\S+\n/)
    expect(bare.screen).toContain(`access token, good for`)
    expect(header).toMatchObject({ status: 0, stderr: '' })
    expect(header.stdout).toMatch(/^Authorization: Bearer ya29\.\S+\n$/)
    expect(jsonMembers(document.stdout)).toMatchObject({ token_type: 'Bearer', scope: devstorage })
    expect(world.google.token(bare.screen.split('\n')[0] ?? '')).toMatchObject({ scopes: [devstorage] })
  })

  test('explain says why somebody gets nothing, by a request id and by description', async () => {
    const ask = ['token', 'reports-sa', '--key', 'billing.jwk.json', '--scope', `${devstorage}.more`]
    const refused = await world.type(ask)
    const id = /downscope explain --request (?<id>[\w-]+)/.exec(refused.screen)?.groups?.['id'] ?? 'none'
    const byId = await world.type(['explain', '--request', id])
    const described = await world.type(['explain', 'reports-sa', '--issuer', 'billing'])
    const stranger = await world.type(['explain', 'reports-sa', '--issuer', 'ops'])

    expect(refused).toMatchObject({ status: 1 })
    expect(byId).toMatchObject({ status: 1 })
    expect(byId.screen).toContain('gets no token')
    expect(byId.screen).toMatch(/billing reads reports: .*decides/)
    expect(described).toMatchObject({ status: 0 })
    expect(described.screen).toContain('would get a token')
    expect(described.screen).toContain(devstorage)
    expect(stranger).toMatchObject({ status: 1 })
    expect(stranger.screen).toMatch(/callers\[0\]\.issuer: wants .*billing.*, found .*ops/)
  })

  test('audit list, show, export and tail tell what was decided', async () => {
    const list = await world.type(['audit', 'list', '--since', '1h', '--credential', 'reports-sa'])
    const refused = await world.run(['audit', 'list', '--outcome', 'refused', '--without-reads', '--json'])
    const first = jsonMembers(refused.stdout.split('\n')[0] ?? '')
    const show = await world.type(['audit', 'show', String(first['request_id'])])
    const csv = await world.type(['audit', 'export', '--csv', '--action', 'token.exchange'])
    const wrong = await world.run(['audit', 'list', '--since', 'yesterday'])
    const tail = await world.type(['audit', 'tail', '--since', '1h'], {
      typed: [{ at: 'audit.read', keys: '\u0003' }],
    })

    expect(list.screen).toMatch(/TIME.*OUTCOME.*ACTION/)
    expect(list.screen).toMatch(/issued\S* +token\.exchange +billing\/billing +reports-sa/)
    expect(first).toMatchObject({ outcome: 'refused', time: expect.stringMatching(/Z$/) as unknown })
    expect(show.screen).toContain('request_id')
    expect(csv.screen).toMatch(/^time,outcome,action,.*,issued,token\.exchange,billing,billing,/s)
    expect(wrong).toMatchObject({ status: 2 })
    expect(tail.screen).toContain('token.exchange')
  })

  test('events list tells what happened, and events test what is missing for a webhook', async () => {
    const listed = await world.type(['events', 'list', '--limit', '5'])
    const tested = await world.type(['events', 'test'])

    expect(listed).toMatchObject({ status: 0 })
    expect(listed.screen).toMatch(/TIME.*EVENT.*ABOUT.*DELIVERY|Nothing happened/)
    expect(tested).toMatchObject({ status: 1 })
    expect(tested.screen).toContain('set DOWNSCOPE_WEBHOOK_URL and DOWNSCOPE_WEBHOOK_SECRET')
  })

  test('policy suggest says what was used', async () => {
    const suggested = await world.type(['policy', 'suggest', '--days', '7'])

    expect(suggested).toMatchObject({ status: 0 })
    expect(suggested.screen).toMatch(/billing reads reports.* \(reports-sa\): /)
  })

  test('credentials disable takes it away, enable gives it back', async () => {
    const disabled = await world.type(['credentials', 'disable', 'reports-sa'])
    const enabled = await world.type(['credentials', 'enable', 'reports-sa'])

    expect(disabled.screen).toContain('is disabled')
    expect(disabled.screen).toMatch(
      /Off here already; on every other instance that can read the store by \d{4}-/,
    )
    expect(disabled.screen).toMatch(
      /live at their upstream until they expire: of Google until \d{4}-\S+ at most/,
    )
    expect(enabled.screen).toContain('is enabled')
  })

  test('credentials rotate makes a new key, waits until it is active, and keeps the old one as a version', async () => {
    const email = 'reports@acme.iam.gserviceaccount.com'
    world.google.allowKeyAdministration(email, email)
    const rotated = await world.type(['credentials', 'rotate', 'reports-sa', '--wait'])
    const shown = await world.run(['credentials', 'show', 'reports-sa', '--json'])
    const mistaken = await world.run(['credentials', 'rotate', 'reports-sa', '--withdraw-former'])

    expect(rotated).toMatchObject({ status: 0 })
    expect(rotated.screen).toMatch(/version [\w-]+ is active/)
    expect(jsonMembers(shown.stdout)['versions']).toMatchObject([{ state: 'retiring' }, { state: 'active' }])
    expect(mistaken).toMatchObject({ status: 2 })
    expect(mistaken.stderr).toContain('goes with --with FILE')
  })

  test('versions list shows the old one, disable and destroy take it away', async () => {
    const shown = jsonMembers((await world.run(['credentials', 'show', 'reports-sa', '--json'])).stdout)
    const former = firstIdOf(shown['versions'])
    const list = await world.type(['versions', 'list', 'reports-sa'])
    const early = await world.run(['versions', 'destroy', 'reports-sa', former, '--yes'])
    const disabled = await world.type(['versions', 'disable', 'reports-sa', former])
    const destroyed = await world.type(['versions', 'destroy', 'reports-sa', former], {
      typed: [{ at: 'Yes', keys: 'y' }],
    })

    expect(list.screen).toMatch(/VERSION.*STATE.*SINCE/)
    expect(early).toMatchObject({ status: 1 })
    expect(disabled.screen).toContain('disabled')
    expect(destroyed).toMatchObject({ status: 0 })
    expect(destroyed.screen).toContain(`destroyed`)
  })

  test('credentials boundaries takes what is unproved on trust only where it is told to', async () => {
    const command = ['credentials', 'boundaries', 'reports-sa']
    const nothing = await world.type(command)
    const refused = await world.type([...command, '--bounded-locally'])
    const sealed = await world.type([...command, '--bounded-locally', '--accept-unproved'])
    const list = await world.type(['credentials', 'list'])
    const exchanged = await world.type([...command, '--not-locally', '--source', 'granted'])

    expect(nothing).toMatchObject({ status: 2 })
    expect(refused).toMatchObject({ status: 1 })
    expect(refused.screen).toContain('accept_unproved')
    expect(sealed.screen).toContain('sealed locally, accepted unproved')
    expect(list.screen).toMatch(/BOUNDED[^]*reports-sa .*locally/)
    expect(exchanged).toMatchObject({ status: 0 })
    expect(exchanged.screen).not.toContain('sealed locally')
  })

  test('credentials schedule says when it is rotated by itself', async () => {
    const scheduled = await world.type(['credentials', 'schedule', 'reports-sa', '--after', '90'])
    const shown = await world.type(['credentials', 'show', 'reports-sa'])
    const never = await world.type(['credentials', 'schedule', 'reports-sa', '--never'])

    expect(scheduled.screen).toContain('is rotated when its version is 90 days old')
    expect(shown.screen).toContain('by itself after 90 days')
    expect(never.screen).toContain('by hand only')
  })

  test('maintenance run says what it did', async () => {
    const ran = await world.type(['maintenance', 'run'])

    expect(ran).toMatchObject({ status: 0 })
    expect(ran.screen).toMatch(/swept \d+ expired documents/)
  })

  test('keys rewrap seals what is there under the first key, and says which keys are still needed', async () => {
    const rewrapped = await world.type(['keys', 'rewrap'])

    expect(rewrapped).toMatchObject({ status: 0 })
    expect(rewrapped.screen).toMatch(/0 records rewrapped.* under k\d{8}-\d{6}; \d+ already were/)
    expect(rewrapped.screen).toContain('Nothing is sealed under another key any more')
  })

  test('status shows requests, latency and what wants attention, and refreshes at a terminal until it is stopped', async () => {
    const once = await world.run(['status', '--minutes', '60'])
    const asJson = jsonMembers((await world.run(['status', '--json'])).stdout)
    const watched = await world.type(['status', '--interval', '1'], {
      typed: [{ at: 'latency', keys: '\u0003' }],
    })
    const wrong = await world.run(['status', '--interval', '0'])

    expect(once).toMatchObject({ status: 0 })
    expect(once.stdout).not.toContain('\u001B')
    expect(once.stdout).toMatch(/^tokens +served$/m)
    expect(once.stdout).toMatch(/^rate +[\d.]+ a (?:second|minute) \(the last 60 minutes\)$/m)
    expect(once.stdout).toMatch(/^issued +[1-9]\d* \(\d+ %\)$/m)
    expect(once.stdout).toMatch(/^refused +[1-9]\d* \(\d+ %\)$/m)
    expect(once.stdout).toMatch(/^why +\w+ \d+/m)
    expect(once.stdout).toMatch(/^from +.*mint \d+/m)
    expect(once.stdout).toMatch(/^instances +1$/m)
    expect(once.stdout).toMatch(/^latency +[\d.]+ ms half of them, [\d.]+ ms/m)
    expect(once.stdout).toMatch(/^credentials +\d+ credentials?, /m)
    expect(asJson['requests']).toMatchObject({
      minutes: 5,
      outcomes: expect.any(Object) as unknown,
      instances: 1,
    })
    expect(JSON.stringify(asJson['service'])).not.toContain('settings')
    expect(watched.screen).toContain('latency')
    expect(wrong).toMatchObject({ status: 2 })
  })

  test('service stop asks, and doctor and status see it; service resume lets tokens be served again', async () => {
    const well = await world.type(['service', 'status'])
    const stopped = await world.type(['service', 'stop'], { typed: [{ at: 'Yes', keys: 'y' }] })
    const at = await world.run(['token', 'reports-sa', '--key', world.path('billing.jwk.json')])
    const status = await world.run(['service', 'status'])
    const doctor = await world.run(['doctor'])
    const resumed = await world.type(['service', 'resume'])

    expect(well).toMatchObject({ status: 0 })
    expect(well.screen).toMatch(/issuer +http[^]*store +.*ok/)
    expect(stopped.screen).toMatch(/stopped.*: by ops\/ops/)
    expect(stopped.screen).toMatch(
      /Off here already; on every other instance that can read the store by \d{4}-/,
    )
    expect(stopped.screen).toContain('DOWNSCOPE_STORE_OUTAGE_SECONDS')
    expect(at).toMatchObject({ status: 3 })
    expect(status).toMatchObject({ status: 1 })
    expect(status.stdout).toContain('stopped by ops/ops')
    expect(doctor).toMatchObject({ status: 1 })
    expect(doctor.stdout).toContain('downscope service resume')
    expect(resumed).toMatchObject({ status: 0 })
  })

  test('callers revoke takes everything away from one caller, list shows it, restore gives it back', async () => {
    const revoked = await world.type(['callers', 'revoke', 'billing', 'billing'], {
      typed: [{ at: 'Yes', keys: 'y' }],
    })
    const list = await world.type(['callers', 'list'])
    const restored = await world.type(['callers', 'restore', 'billing', 'billing'])
    const none = await world.run(['callers', 'list'])

    expect(revoked).toMatchObject({ status: 0 })
    expect(list.screen).toMatch(/billing +billing +ops\/ops/)
    expect(restored).toMatchObject({ status: 0 })
    expect(none.stdout).toBe('No caller is revoked.\n')
  })

  test('policy diff, apply and show are about the policy in force', async () => {
    const same = await world.type(['policy', 'diff', 'policy.yaml'])
    world.write('next.yaml', `${world.read('policy.yaml')}# more\n`)
    const differs = await world.type(['policy', 'diff', 'next.yaml'])
    const refused = await world.type(['policy', 'apply', 'wrong.yaml'])
    const applied = await world.type(['policy', 'apply', 'next.yaml'])
    const shown = await world.type(['policy', 'show'])

    expect(same).toMatchObject({ status: 0 })
    expect(differs).toMatchObject({ status: 1 })
    expect(differs.screen).toContain(`${green}+# more`)
    expect(refused).toMatchObject({ status: 1 })
    expect(refused.screen).toMatch(/wrong\.yaml:\d+:\d+ rules\[0\]/)
    expect(applied).toMatchObject({ status: 0 })
    expect(shown.screen).toContain('billing reads reports')
    await expect
      .poll(async () => (await world.run(['policy', 'show'])).stdout, { timeout: 10_000, interval: 500 })
      .toBe(world.read('next.yaml'))
  })

  test('completion offers commands, options, kinds and the names of credentials', async () => {
    const script = await world.type(['completion', 'bash'])
    const ask = async (...words: string[]) => (await world.run(['__complete', ...words])).stdout

    expect(script.screen).toContain('complete -o default -F _downscope downscope')
    expect(await ask('cred')).toMatch(/^credentials\t/)
    expect(await ask('credentials', 'dis')).toMatch(/^disable\t/)
    expect(await ask('keys', 'generate', '')).toBe('sealing\t\nsigning\t\nadmin\t\ncaller\t\n')
    expect(await ask('credentials', 'show', '')).toBe('reports-sa\treports@acme.iam.gserviceaccount.com\n')
    expect(await ask('policy', 'check', '')).toBe('')
  })

  test('dev starts a broker that can be used at once, and Ctrl-C ends it', async () => {
    const port = String(await freePort())
    const used: CliOutcome[] = []
    const use = async () => {
      const env = environmentIn(world.read('dev/env'))
      used.push(await world.run(['doctor'], env))
      used.push(
        await world.run(['credentials', 'import', world.path('key.json'), '--name', 'reports-sa'], env),
      )
      used.push(await world.run(['token', 'reports-sa', '--key', world.path('dev/my-service.jwk.json')], env))
      return '\u0003'
    }
    const nowhere = await world.run(['dev', '--folder', world.path('other')], {
      DOWNSCOPE_POLICY: '/no/such',
    })
    const dev = await world.type(['dev', '--folder', 'dev'], {
      env: { ...world.google.endpoints, PORT: port },
      typed: [{ at: 'Running until you press Ctrl-C.', keys: use }],
    })

    expect(used.map(({ status, stderr }) => ({ status, stderr }))).toEqual([
      { status: 0, stderr: '' },
      { status: 0, stderr: expect.stringContaining('delete') as unknown },
      { status: 0, stderr: '' },
    ])
    expect(used[2]?.stdout).toMatch(/^ya29\./)
    expect(nowhere).toMatchObject({ status: 2 })
    expect(nowhere.stderr).toContain('DOWNSCOPE_POLICY names /no/such, and there is no such file')
    expect(dev).toMatchObject({ status: 0 })
    expect(dev.screen).toContain('Stopping. The files stay')
    await expect(fetch(`http://127.0.0.1:${port}/healthz`)).rejects.toThrow('fetch failed')
  })

  test('dev --policy takes a policy of your own, and so does DOWNSCOPE_POLICY', async () => {
    const mine = world.read('dev/policy.yaml').replace('my service reads objects', 'mine')
    world.write('mine.yaml', mine)
    const ways = [
      { args: ['--policy', 'mine.yaml'], env: {} },
      { args: [], env: { DOWNSCOPE_POLICY: 'mine.yaml' } },
    ]
    for (const { args, env } of ways) {
      let got: CliOutcome | undefined
      const use = async () => {
        got = await world.run(['policy', 'get'], environmentIn(world.read('dev/env')))
        return '\u0003'
      }
      const dev = await world.type(['dev', '--folder', 'dev', ...args], {
        env: { ...world.google.endpoints, PORT: String(await freePort()), ...env },
        typed: [{ at: 'Running until you press Ctrl-C.', keys: use }],
      })

      expect(dev.screen).toContain('mine.yaml')
      expect(got).toEqual({
        status: 0,
        stdout: mine,
        stderr: expect.stringContaining('mine.yaml') as unknown,
      })
    }
  })

  test('credentials revoke asks, and says what happened here and what upstream', async () => {
    const revoked = await world.type(['credentials', 'revoke', 'reports-sa'], {
      typed: [{ at: 'Yes', keys: 'y' }],
    })
    const enabled = await world.run(['credentials', 'enable', 'reports-sa'])

    expect(revoked).toMatchObject({ status: 0 })
    expect(revoked.screen).toMatch(/here +done\n +upstream /)
    expect(enabled).toMatchObject({ status: 1, stdout: '' })
  })

  test('credentials destroy asks first, and a script must say --yes', async () => {
    const script = await world.run(['credentials', 'destroy', 'reports-sa'])
    const no = await world.type(['credentials', 'destroy', 'reports-sa'], {
      typed: [{ at: 'Yes', keys: 'n' }],
    })
    const still = await world.run(['credentials', 'show', 'reports-sa', '--json'])
    const yes = await world.type(['credentials', 'destroy', 'reports-sa'], {
      typed: [{ at: 'Yes', keys: 'y' }],
    })
    const gone = await world.run(['credentials', 'show', 'reports-sa', '--json'])

    expect(script).toMatchObject({ status: 2, stdout: '' })
    expect(script.stderr).toContain('--yes')
    expect(no).toMatchObject({ status: 1 })
    expect(no.screen).toContain('nothing was done')
    expect(jsonMembers(still.stdout)).toMatchObject({ name: 'reports-sa', state: 'revoked' })
    expect(yes).toMatchObject({ status: 0 })
    expect(yes.screen).toContain('destroyed')
    expect(gone).toMatchObject({ status: 1, stdout: '' })
    expect(jsonMembers(gone.stderr)).toMatchObject({ code: 'not_found', exit: 1 })
  })

  test('policy apply locks nobody out by mistake, but with --force', async () => {
    world.write('nobody.yaml', world.read('next.yaml').replace(/^admins:\n(?: .*\n)+/m, ''))
    const refused = await world.type(['policy', 'apply', 'nobody.yaml'])
    const forced = await world.type(['policy', 'apply', 'nobody.yaml', '--force'])

    expect(refused).toMatchObject({ status: 1 })
    expect(refused.screen).toContain('would lock you out')
    expect(refused.screen).toContain('If that is meant: --force')
    expect(forced).toMatchObject({ status: 0 })
  })

  test('every command there is was tried so, or has a story of its own', () => {
    const untried = commands
      .map(({ name }) => name)
      .filter((name) => !world.typed.some((line) => `${line} `.startsWith(`${name} `)))
    const told = untried.filter((name) => {
      const file = storiesElsewhere.get(name)
      const words = name.split(' ').map((word) => `'${word}'`)
      return (
        file !== undefined && readFileSync(join(import.meta.dirname, file), 'utf8').includes(words.join(', '))
      )
    })

    expect(untried.filter((name) => !told.includes(name))).toEqual([])
    expect(commands.length).toBeGreaterThan(25)
  })
})

/** Commands that want a browser, or stay beside a workload. */
const storiesElsewhere: ReadonlyMap<string, string> = new Map([
  ['connect', 'sign-in.node.test.ts'],
  ['store export', 'store.node.test.ts'],
  ['store import', 'store.node.test.ts'],
  ['store copy', 'store.node.test.ts'],
  ['agent', '../agent/processes.node.test.ts'],
  ['agent exec', '../agent/processes.node.test.ts'],
  ['jwt', 'jwt.node.test.ts'],
  ['credential-file', 'jwt.node.test.ts'],
  ['login', 'sign-in.node.test.ts'],
  ['logout', 'sign-in.node.test.ts'],
  ['whoami', 'sign-in.node.test.ts'],
  ['context list', 'sign-in.node.test.ts'],
  ['context use', 'sign-in.node.test.ts'],
])

function firstIdOf(versions: unknown): string {
  const list: readonly unknown[] = Array.isArray(versions) ? versions : []
  const first = list[0]
  return typeof first === 'object' && first !== null && 'id' in first ? String(first.id) : 'none'
}

/** As a shell reads `export NAME=VALUE`. */
function environmentIn(file: string): Record<string, string> {
  const lines = [...file.matchAll(/^export (?<name>\w+)='?(?<value>[^'\n]*)'?$/gm)]
  return Object.fromEntries(lines.map(({ groups }) => [groups?.['name'] ?? '', groups?.['value'] ?? '']))
}

const rules = `rules:
  - name: billing reads reports
    callers: [{ issuer: billing, subject: billing }]
    credential: reports-sa
    scopes: [${devstorage}]
`

/** What `keys generate` printed for the policy: its issuers, and its admins if there are. */
function partsOf(screen: string): readonly string[] {
  const text = screen.slice(screen.indexOf('issuers:'), screen.search(/^.*written/m))
  const at = text.indexOf('admins:')
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at)]
}
