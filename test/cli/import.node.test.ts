import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPerson, issuerEntry } from '../../src/cli/terminal.ts'
import { newSealingKey } from '../../src/compose/keys.ts'
import { createCliWorld, type CliWorld } from '../support/cli-world.ts'
import { jsonMembers } from '../support/json-members.ts'

let world: CliWorld

const drive = 'https://www.googleapis.com/auth/drive.readonly'

beforeAll(async () => {
  world = await createCliWorld()
  const admin = createPerson('ops')
  world.write('keys.txt', newSealingKey())
  world.write('admin.jwk.json', JSON.stringify(admin.privateJwk))
  world.write(
    'policy.yaml',
    `version: 1
issuers:
${issuerEntry(admin, 'ops')}admins:
  - callers: [{ issuer: ops, subject: ops }]
    role: admin
upstreams:
  - { name: turning, issuer: https://turning.example, token_endpoint: https://turning.example/token, client_auth: client_secret_post }
  - { name: standing, issuer: https://standing.example, token_endpoint: https://standing.example/token, client_auth: client_secret_post, refresh_token_rotates: false }
rules:
  - { name: kim reads the drive, callers: [{ issuer: ops, subject: kim }], credential: drive, scopes: [drive.readonly] }
`,
  )
  const applied = await world.run(['policy', 'apply', '--store', world.path('policy.yaml')], world.settings())
  expect(applied).toMatchObject({ status: 0 })
  await world.startBroker()
  world.env['DOWNSCOPE_URL'] = world.url
  world.env['DOWNSCOPE_ADMIN_KEY'] = world.path('admin.jwk.json')
})
afterAll(() => world.close())

const importing = (file: string, ...more: readonly string[]) =>
  world.run(['credentials', 'import', world.path(file), ...more])
const refreshToken = (name: string) => {
  world.write(
    name,
    JSON.stringify(world.google.createRefreshToken({ user: 'kim@acme.example', scopes: [drive] })),
  )
}

describe('credentials import', () => {
  test('tries what it enrols, takes short scopes, and names the rules that give it, or that there is none', async () => {
    refreshToken('drive.json')
    refreshToken('other.json')
    const calls = world.google.calls.count({ endpoint: 'token' })
    const given = await importing('drive.json', '--name', 'drive', '--scope', 'drive.readonly')
    const ungiven = await importing(
      'other.json',
      '--name',
      'other',
      '--scope',
      'drive.readonly',
      '--no-verify',
    )

    expect(given).toMatchObject({ status: 0 })
    expect(given.stdout).toMatch(/^enrolled drive\n/)
    expect(given.stdout).toContain(drive)
    expect(given.stderr).toContain('Rules that give it: kim reads the drive.')
    expect(given.stderr).not.toContain('No caller')
    expect(world.google.calls.count({ endpoint: 'token' })).toBe(calls + 1)
    expect(ungiven.stderr).toContain('No caller can get a token from it yet')
    expect(ungiven.stderr).toContain('It was not tried at its upstream')
  })

  test('of nonsense is refused, with what the upstream said, and enrols nothing', async () => {
    world.write(
      'nonsense.json',
      JSON.stringify({
        type: 'authorized_user',
        client_id: 'a',
        client_secret: 'b',
        refresh_token: 'nonsense',
      }),
    )
    const outcome = await importing('nonsense.json', '--name', 'nonsense', '--scope', 'drive.readonly')
    const shown = await world.run(['credentials', 'show', 'nonsense'])

    expect(outcome).toMatchObject({ status: 1, stdout: '' })
    expect(outcome.stderr).toContain('error: secret: its upstream refuses it')
    expect(shown).toMatchObject({ status: 1 })
  })

  test('again says that it was there, and under another name that the secret is', async () => {
    const again = await importing('drive.json', '--name', 'drive', '--scope', 'drive.readonly')
    const other = await importing('drive.json', '--name', 'twin', '--scope', 'drive.readonly')
    const otherSecret = await importing('other.json', '--name', 'drive', '--scope', 'drive.readonly')

    expect(again).toMatchObject({ status: 0 })
    expect(again.stdout).toMatch(/^was enrolled already, with this very secret: drive\n/)
    expect(other.stderr).toContain('warning: the same secret is enrolled as drive already')
    expect(otherSecret).toMatchObject({ status: 1 })
    expect(otherSecret.stderr).toContain('with another secret')
    expect(otherSecret.stderr).toContain(
      `downscope credentials rotate drive --with ${world.path('other.json')}`,
    )
  })

  test('of a scope that Google does not have says what was meant', async () => {
    const outcome = await importing('other.json', '--name', 'x', '--scope', 'drive.redonly')

    expect(outcome).toMatchObject({ status: 1 })
    expect(outcome.stderr).toContain('did you mean "drive.readonly"?')
  })

  test.each([
    ['turning', [], undefined],
    ['turning', ['--verify'], true],
    ['standing', [], true],
    ['standing', ['--no-verify'], undefined],
  ])('for %s with %j sends verify: %s', async (upstream, more, verify) => {
    world.write(
      'oauth.json',
      JSON.stringify({ type: 'oauth_refresh_token', client_id: 'a', client_secret: 'b', refresh_token: 'c' }),
    )
    const options = ['--name', 'orders', '--upstream', upstream, '--scope', 'orders:read', ...more]
    const outcome = await importing('oauth.json', ...options, '--dry-run', '--json')

    expect(outcome).toMatchObject({ status: 0 })
    expect(jsonMembers(outcome.stdout)['request']).toMatchObject({
      method: 'POST',
      body: { name: 'orders', ...(verify === undefined ? {} : { verify }) },
    })
    expect(outcome.stdout.includes('"verify"')).toBe(verify === true)
  })
})
