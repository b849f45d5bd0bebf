import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { consent, startPeopleWorld, type PeopleWorld } from '../support/people-world.ts'
import { runAnswering, type Answering } from '../support/answering-cli.ts'
import { consentAs, startConnectWorld } from '../support/connecting.ts'
import { runCli, type CliOutcome } from '../support/run-cli.ts'
import { createVisitor, type Page } from '../support/visitor.ts'

let world: PeopleWorld
let folder: string
let env: Record<string, string>
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'downscope-contexts-'))
  const settings = () => ({ DOWNSCOPE_SIGN_IN_DEVICE_CLIENT_ID: 'downscope-device' })
  world = (await startConnectWorld({ settings })).world
  env = { XDG_CONFIG_HOME: folder }
})
afterAll(async () => {
  await world.close()
  rmSync(folder, { recursive: true, force: true })
})

describe('downscope login', () => {
  test('signs in by a browser and loopback, and keeps tokens for this user alone', async () => {
    const signedIn = await login(['login', '--url', world.url, '--context', 'local'], 'Ann')

    expect(signedIn.status).toBe(0)
    expect(signedIn.stdout).toContain(`signed in at ${world.url} as ann@dev.example`)
    const file = join(folder, 'downscope/contexts.json')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(statSync(join(folder, 'downscope')).mode & 0o777).toBe(0o700)
    const who = await runCli(['whoami', '--json'], { env })
    expect(JSON.parse(who.stdout)).toMatchObject({
      url: world.url,
      email: 'ann@dev.example',
      subject: 'ann',
      role: 'admin',
    })
  })

  test('then commands ask that broker as that person, and the ID token is renewed before it ends', async () => {
    const file = join(folder, 'downscope/contexts.json')
    const before = readFileSync(file, 'utf8')
    // An ID token that has ended, as far as this side knows.
    const ended = `x.${Buffer.from(JSON.stringify({ iss: world.issuer.url, sub: 'ann', exp: 1 })).toString('base64url')}.x`
    writeFileSync(file, before.replace(/"id_token": "[^"]*"/, `"id_token": "${ended}"`))
    const listed = await runCli(['credentials', 'list', '--json'], { env })

    expect([listed.status, listed.stderr]).toEqual([0, ''])
    expect(readFileSync(file, 'utf8')).not.toContain(ended)
  })

  test('a token is shown to its own broker and to no other', async () => {
    const other = await runCli(['credentials', 'list', '--url', 'http://127.0.0.1:9'], { env })

    expect(other.stderr).toContain('none is named')
  })

  test('options come first, then the environment, then the context', async () => {
    const run = (args: readonly string[], more = {}) =>
      runCli(['whoami', ...args], { env: { ...env, ...more } })
    const elsewhere = 'http://127.0.0.1:9'

    expect((await run([])).status).toBe(0)
    expect((await run([], { DOWNSCOPE_URL: elsewhere })).status).not.toBe(0)
    expect((await run(['--url', world.url], { DOWNSCOPE_URL: elsewhere })).status).toBe(0)
  })

  test('T22 by device code nobody is more than a viewer', async () => {
    const device = await login(['login', '--device', '--url', world.url, '--context', 'device'], 'Ann')
    expect([device.status, device.stderr]).toEqual([0, expect.stringContaining('type')])
    const who = await runCli(['whoami', '--json'], { env })
    const stop = await runCli(['service', 'stop', '--yes'], { env })

    expect(JSON.parse(who.stdout)).toMatchObject({ role: 'viewer' })
    expect(stop.status).not.toBe(0)
  })

  test('contexts are listed and chosen', async () => {
    const chosen = await runCli(['context', 'use', 'local'], { env })
    const listed = await runCli(['context', 'list', '--json'], { env })
    const unknown = await runCli(['context', 'use', 'nowhere'], { env })

    expect([chosen.status, unknown.status]).toEqual([0, 2])
    expect(JSON.parse(listed.stdout)).toMatchObject({
      contexts: [
        { name: 'local', is_current: true, signed_in: true, email: 'ann@dev.example' },
        { name: 'device', is_current: false, signed_in: true },
      ],
    })
  })

  test('a broker where nobody signs in is told as that', async () => {
    const bare = await startPeopleWorld({
      settings: () => ({
        DOWNSCOPE_SIGN_IN_ISSUER: '',
        DOWNSCOPE_SIGN_IN_CLIENT_ID: '',
        DOWNSCOPE_SIGN_IN_CLI_CLIENT_ID: '',
      }),
    })
    const refused = await runCli(['login', '--url', bare.url], { env })
    await bare.close()

    expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining('nobody signs in at')])
  })
})

describe('downscope connect', () => {
  test('prints a link, waits, and enrols what came; the same again after the grant has ended', async () => {
    const args = [
      'connect',
      'notes',
      '--upstream',
      'dev',
      '--client',
      'dev-client',
      '--scopes',
      'notes.read notes.write',
    ]
    const connected = await answering([...args, '--yes', '--url', world.url], async (link) => {
      await consentAs(createVisitor(), link)
    })

    expect([connected.status, connected.stdout]).toEqual([
      0,
      expect.stringContaining('connected notes as ann@'),
    ])
    expect((await world.token('notes')).status).toBe(200)

    world.issuer.endGrants()
    world.pass(3600)
    expect((await world.token('notes')).status).not.toBe(200)
    const again = await answering(['connect', 'notes', '--yes', '--url', world.url], async (link) => {
      await consentAs(createVisitor(), link)
    })
    expect([again.status, again.stderr]).toEqual([0, expect.stringContaining('/connect/')])
    world.pass(8)
    expect((await world.token('notes')).document).toMatchObject({ scope: 'notes.read' })
  })

  test('a refusal ends it, and is told', async () => {
    const args = ['connect', 'other', '--upstream', 'dev', '--client', 'dev-client', '--scopes', 'notes.read']
    const refused = await answering([...args, '--url', world.url], async (link) => {
      const visitor = createVisitor()
      await visitor.press(await visitor.open(link), 'Refuse')
    })

    expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining('it was refused')])
  })
})

describe('what goes wrong is said, with what to do', () => {
  const asked = ['--upstream', 'dev', '--client', 'dev-client', '--scopes', 'notes.read notes.write']

  test('an issuer that is down: login fails, and nobody is signed in', async () => {
    const { world: down } = await startConnectWorld()
    await down.issuer.close()
    const refused = await runCli(['login', '--url', down.url], { env: { XDG_CONFIG_HOME: folder } })
    await down.close().catch(() => undefined)

    expect(refused.status).not.toBe(0)
    expect(refused.stderr).toMatch(/^error: .*(?:answer|reach)/)
    expect(refused.stderr).not.toMatch(/at \w+ \(|undefined/)
  })

  test('an upstream that is down: nothing is begun, and it says when to come back', async () => {
    const { world: down } = await startConnectWorld()
    await down.issuer.close()
    const body = { name: 'x', upstream: 'dev', client: 'dev-client', scopes: ['notes.read'] }
    const refused = await down.admin('POST connections', body)
    await down.close().catch(() => undefined)

    expect([refused.status, refused.headers.get('retry-after')]).toEqual([
      503,
      expect.stringMatching(/^\d+$/) as unknown,
    ])
  })

  test('fewer scopes than asked for: it names them, and --accept-fewer-scopes takes them', async () => {
    const leaveOut = async (link: string): Promise<void> => {
      const visitor = createVisitor()
      const login = await visitor.press(await visitor.open(link), 'Continue')
      const asking = login.html.includes('Who are you?')
        ? await visitor.press(login, 'Sign in as Ann')
        : login
      await visitor.press(asking, 'Allow', { unticked: ['scope', 'notes.write'] })
    }
    const refused = await answering(['connect', 'fewer', ...asked, '--yes'], leaveOut)
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining('left out: notes.write')])
    expect(refused.stderr).toContain('fewer scopes came than were asked for')
    const taken = await answering(['connect', 'fewer', ...asked, '--yes', '--accept-fewer-scopes'], leaveOut)

    expect([taken.status, taken.stdout]).toEqual([0, expect.stringContaining('connected fewer')])
  })
})

describe('downscope logout', () => {
  test('ends the sign-in of the current context, and no other', async () => {
    const before = await runCli(['whoami', '--json'], { env })
    const out = await runCli(['logout'], { env })
    const listed = await runCli(['context', 'list', '--json'], { env })
    const after = await runCli(['whoami', '--json'], { env })

    expect([before.status, out.status]).toEqual([0, 0])
    expect(JSON.parse(listed.stdout)).toMatchObject({
      contexts: expect.arrayContaining([
        expect.objectContaining({ name: 'local', signed_in: false }),
        expect.objectContaining({ name: 'device', signed_in: true }),
      ]) as unknown,
    })
    expect(after.status).not.toBe(0)
  })
})

function answering(args: readonly string[], answer: Answering['answer']): Promise<CliOutcome> {
  return runAnswering(args, { env, answer })
}

function login(args: readonly string[], person: string): Promise<CliOutcome> {
  return answering(args, async (link, said) => {
    const visitor = createVisitor()
    let page: Page = await visitor.open(link)
    const code = /type (\S+)/.exec(said)?.[1]
    if (code !== undefined) {
      page = await visitor.submit(page, { user_code: code })
      page = await visitor.submit(page, {})
    }
    if (page.html.includes('Who are you?')) page = await visitor.press(page, `Sign in as ${person}`)
    await consent(visitor, page)
  })
}
