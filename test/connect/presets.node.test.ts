import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { upstreamPresets } from '../../src/domain/upstream-presets.ts'
import { createConnecting, goOnTo, type Connecting } from '../support/connecting.ts'
import { consentClient, consentServers, createConsentServers } from '../support/consent-servers.ts'
import { startPeopleWorld, type PeopleWorld } from '../support/people-world.ts'
import { createVisitor } from '../support/visitor.ts'

// Each preset as it stands, at a stand-in with what is peculiar to that server. None was run against the real one.

interface Wanted {
  readonly preset: string
  readonly scopes: readonly string[]
  /** What is recorded, and what a rule has to name. */
  readonly recorded: readonly string[]
  /** What the request for consent says besides. */
  readonly asked: Readonly<Record<string, string>>
  /** As people are shown it; absent where nobody tells. */
  readonly account?: string
}

const drive = 'https://www.googleapis.com/auth/drive.readonly'
const mail = 'https://graph.microsoft.com/Mail.Read'
const presets: readonly Wanted[] = [
  {
    preset: 'google',
    scopes: [drive],
    recorded: [drive],
    asked: { access_type: 'offline', prompt: 'consent', scope: `${drive} openid email` },
    account: 'ann@acme.example',
  },
  {
    preset: 'microsoft',
    scopes: [mail],
    recorded: [mail, 'email', 'openid', 'profile'],
    asked: { scope: `${mail} openid profile email offline_access` },
    account: 'acme-1/ann-1',
  },
  { preset: 'github', scopes: ['app'], recorded: ['app'], asked: { scope: 'app' }, account: 'octocat' },
  {
    preset: 'gitlab',
    scopes: ['read_api'],
    recorded: ['read_api'],
    asked: { scope: 'read_api openid email' },
    account: 'ann@acme.example',
  },
  {
    preset: 'slack',
    scopes: ['channels:read', 'chat:write'],
    recorded: ['channels:read', 'chat:write'],
    asked: { scope: 'channels:read,chat:write' },
    account: 'Acme',
  },
  {
    preset: 'salesforce',
    scopes: ['api'],
    recorded: ['api', 'openid', 'refresh_token'],
    asked: { scope: 'api openid refresh_token' },
    account: 'https://login.salesforce.com/id/00D/005',
  },
  {
    preset: 'atlassian',
    scopes: ['read:jira-work'],
    recorded: ['offline_access', 'read:jira-work', 'read:me'],
    asked: {
      audience: 'api.atlassian.com',
      prompt: 'consent',
      scope: 'read:jira-work offline_access read:me',
    },
    account: '5b10',
  },
  {
    preset: 'zoom',
    scopes: ['meeting:read:meeting'],
    recorded: ['meeting:read:meeting', 'user:read:user'],
    asked: { scope: 'meeting:read:meeting user:read:user' },
    account: 'KdYKjnim',
  },
  {
    preset: 'hubspot',
    scopes: ['crm.objects.contacts.read'],
    recorded: ['crm.objects.contacts.read'],
    asked: { scope: 'crm.objects.contacts.read oauth' },
  },
  {
    preset: 'dropbox',
    scopes: ['files.content.read'],
    recorded: ['files.content.read'],
    asked: { token_access_type: 'offline', scope: 'files.content.read account_info.read' },
    account: 'dbid:AAH4',
  },
]
const values: Readonly<Record<string, object>> = {
  microsoft: { tenant: 'acme-1' },
  salesforce: { domain: 'acme' },
}

const servers = createConsentServers()
let world: PeopleWorld
let connecting: Connecting
beforeAll(async () => {
  world = await startPeopleWorld({
    http: servers,
    policy: () => ({
      upstreams: Object.entries(values).map(([preset, given]) => ({ name: preset, preset, with: given })),
      rules: presets.map(({ preset, recorded }) => ({
        name: `billing at ${preset}`,
        callers: [{ issuer: 'billing', subject: 'billing' }],
        credential: `at-${preset}`,
        scopes: recorded,
      })),
    }),
  })
  connecting = createConnecting(world, {})
  for (const { preset } of presets)
    await connecting.enrolClient(`${preset}-client`, preset, consentClient.id, consentClient.secret)
})
afterAll(() => world.close())

type AtPreset = Pick<Wanted, 'preset' | 'scopes'>

function wantedAt({ preset, scopes }: AtPreset) {
  return { name: `at-${preset}`, upstream: preset, client: `${preset}-client`, scopes }
}

async function consentAt(wanted: AtPreset) {
  const started = await connecting.start(wantedAt(wanted))
  const visitor = createVisitor()
  const server = consentServers[wanted.preset]
  const back = await goOnTo(visitor, started.url, new URL(server?.authorize ?? '').origin)
  const page = await visitor.open(back.with(servers.consent(back.asked)))
  return { ...started, page, back, visitor }
}

describe('presets, each at a stand-in with its peculiarities', () => {
  test('every preset has one, and Google', () => {
    const names = ['google', ...Object.keys(upstreamPresets)].toSorted()
    expect(presets.map(({ preset }) => preset).toSorted()).toEqual(names)
    expect(Object.keys(consentServers).toSorted()).toEqual(names)
  })

  test.each(presets)(
    '$preset has a page: what to register, where it leads back, what was never run',
    ({ preset }) => {
      const page = readFileSync(new URL(`../../docs/preset-${preset}.md`, import.meta.url), 'utf8')
      const name = values[preset] === undefined ? preset : 'NAME'

      expect(page).toContain('## Register')
      expect(page).toContain(`\`{DOWNSCOPE_ISSUER}/connect/callback/${name}\``)
      expect(page).toContain('It was never run at')
    },
  )

  test.each(presets)('$preset: consent, a token, a refresh, and the end of the grant', async (wanted) => {
    const { preset, account } = wanted
    const { id, nonce, page, back } = await consentAt(wanted)
    const query = Object.fromEntries(back.asked.searchParams)
    expect(query).toMatchObject({
      ...wanted.asked,
      redirect_uri: `${world.url}/connect/callback/${preset}`,
      code_challenge_method: 'S256',
    })
    expect([page.status, page.html]).toEqual([200, expect.stringContaining('Thank you') as unknown])

    const finished = await connecting.finalize(id, account === undefined ? { nonce } : { nonce, account })
    expect(finished.document).toMatchObject({ state: 'enabled', scopes: wanted.recorded.toSorted() })
    expect(finished.document['account']).toBe(account)

    const first = await world.token(`at-${preset}`)
    expect([first.status, first.document]).toMatchObject([200, { token_type: 'Bearer' }])
    expect(String(first.document['scope']).split(' ').toSorted()).toEqual(wanted.recorded.toSorted())
    // What it says beside the token stays with the broker.
    expect(Object.keys(first.document).toSorted()).toEqual([
      'access_token',
      'expires_in',
      'issued_token_type',
      'scope',
      'token_type',
    ])
    expect(first.document['access_token']).toMatch(/^at-\d+$/)
    world.pass(86_400)
    const second = await world.token(`at-${preset}`)
    expect(second.status).toBe(200)
    expect(second.document['access_token']).not.toBe(first.document['access_token'])

    servers.endAll()
    world.pass(86_400)
    expect((await world.token(`at-${preset}`)).status).not.toBe(200)
    const { document } = await world.admin(`GET credentials/at-${preset}`)
    expect(document['health']).toMatchObject({ status: 'broken' })
  })

  test.each([
    ['github', ['app'], 'bad_refresh_token'],
    ['slack', ['chat:write'], 'invalid_refresh_token'],
    ['atlassian', ['read:jira-work'], 'invalid_grant'],
    ['zoom', ['meeting:read:meeting'], 'invalid_request'],
  ])('%s: a code that it refuses enrols nothing, and its error is shown', async (preset, scopes, error) => {
    const { id, page, back, visitor, ...started } = await consentAt({ preset, scopes })
    expect(page.status).toBe(200)
    const again = await connecting.start({ ...wantedAt({ preset, scopes }), name: `${started.name}-again` })
    const next = await goOnTo(visitor, again.url, back.asked.origin)
    const refused = await visitor.open(next.with('code=code-of-somebody-else'))

    expect([refused.status, refused.html]).toEqual([400, expect.stringContaining(error) as unknown])
    expect(await connecting.stateOf(again.id)).toMatchObject({ state: 'rejected' })
    expect(await connecting.stateOf(id)).toMatchObject({ state: 'consented' })
  })

  test('the secret of a client is replaced by a new version, and what was connected with it goes on', async () => {
    const wanted = { preset: 'gitlab', scopes: ['read_api'] }
    const { id, nonce } = await consentAt(wanted)
    await connecting.finalize(id, { nonce, account: 'ann@acme.example' })
    expect((await world.token('at-gitlab')).status).toBe(200)
    const add = async (client_secret: string) => {
      const secret = { type: 'oauth_client', client_id: consentClient.id, client_secret }
      const added = await world.admin('POST credentials/gitlab-client/versions', { secret })
      expect([added.status, added.document['detail']]).toEqual([201, undefined])
      await world.admin('POST maintenance:run')
      return (await world.admin('GET credentials/gitlab-client')).document
    }

    // One that the upstream does not take changes nothing.
    const mistyped = await add('a-mistyped-secret')
    expect(mistyped).toMatchObject({ rotation: { step: 'prove' } })
    await world.admin('POST credentials/gitlab-client:abort')
    servers.takesToo('the-next-secret')
    const proved = await add('the-next-secret')
    expect(proved['version']).not.toBe(mistyped['version'])
    servers.takesNoLonger(consentClient.secret)
    world.pass(86_400)
    const token = await world.token('at-gitlab')
    servers.takesToo(consentClient.secret)

    expect(token.status).toBe(200)
  })

  test('hubspot, which does not say who consents, takes no expected account', async () => {
    const body = { ...wantedAt({ preset: 'hubspot', scopes: ['crm.objects.contacts.read'] }), name: 'other' }
    const refused = await world.admin('POST connections', { ...body, expected_account: 'ann@acme.example' })

    expect([refused.status, refused.document['detail']]).toEqual([
      422,
      expect.stringContaining('hubspot does not tell whose account') as unknown,
    ])
  })

  test('a token that carries a scope which no rule names goes to nobody', async () => {
    const wanted = { preset: 'atlassian', scopes: ['read:jira-work'] }
    const { id, nonce } = await consentAt(wanted)
    await connecting.finalize(id, { nonce, account: '5b10' })
    const narrowed = await world.token('at-atlassian', 'read:jira-work')

    expect([narrowed.status, narrowed.document['error']]).toEqual([400, 'invalid_scope'])
  })
})
