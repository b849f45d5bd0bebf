import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { runAnswering } from '../../test/support/answering-cli.ts'
import { startPeopleWorld, type PeopleWorld } from '../../test/support/people-world.ts'
import { runCli } from '../../test/support/run-cli.ts'
import { until } from '../../test/support/test-broker/until.ts'
import { createVisitor, type Page, type Visitor } from '../../test/support/visitor.ts'
import { same, type Checks } from './checks.ts'
import type { Keycloak } from './keycloak.ts'

const secret = 'secret-of-the-clients'
const scopes = ['orders:read', 'orders:write']

/** Keycloak as the issuer of people, by docs/sign-in.md#keycloak, and its offline tokens as what is connected. */
export async function checkPeople(keycloak: Keycloak, { check }: Checks): Promise<void> {
  const world = await startPeopleWorld({
    settings: () => ({
      DOWNSCOPE_SIGN_IN_ISSUER: keycloak.issuer,
      DOWNSCOPE_SIGN_IN_CLIENT_SECRET: secret,
    }),
    policy: () => ({
      issuers: [{ name: 'keycloak', issuer: keycloak.issuer, keys: { discovery: true } }],
      admins: [
        {
          callers: [{ issuer: 'keycloak', subject: '*', claims: { groups: 'token-admins' } }],
          role: 'admin',
        },
      ],
      upstreams: [
        { name: 'sso', issuer: keycloak.issuer, discovery: true, client_auth: 'client_secret_basic' },
      ],
      rules: [
        {
          name: 'billing reads orders',
          callers: [{ issuer: 'billing', subject: 'billing' }],
          credential: 'orders',
          scopes: ['orders:read'],
        },
      ],
    }),
  })
  const folder = mkdtempSync(join(tmpdir(), 'downscope-keycloak-'))
  try {
    await prepareRealm(keycloak, world.url)
    await check('somebody of the group signs in at the pages as an admin', async () => {
      const page = await logIn(createVisitor(), `${world.url}/console`, 'ann')
      same([page.url, page.html.includes('<dd>admin</dd>')], [`${world.url}/console`, true], page.html)
    })
    await check('somebody without the group reads that they have no role', async () => {
      const page = await logIn(createVisitor(), `${world.url}/console`, 'bob')
      same([page.status, page.html.includes('no role')], [403, true], page.html)
    })
    await check('the same person is an admin at the command line', async () => {
      const env = { XDG_CONFIG_HOME: folder }
      const answer = async (link: string) => void (await logIn(createVisitor(), link, 'ann'))
      const signedIn = await runAnswering(['login', '--url', world.url], { env, answer })
      same(signedIn.status, 0, signedIn.stderr)
      const who = await runCli(['whoami', '--json'], { env })
      same(who.stdout.includes('"role": "admin"') || who.stdout.includes('"role":"admin"'), true, who.stdout)
    })
    await checkConnecting(world, keycloak, check)
  } finally {
    rmSync(folder, { recursive: true, force: true })
    await world.close()
  }
}

async function checkConnecting(
  world: PeopleWorld,
  keycloak: Keycloak,
  check: Checks['check'],
): Promise<void> {
  const enrolled = { type: 'oauth_client', client_id: 'connect', client_secret: secret }
  await world.admin('POST credentials', { name: 'sso-client', upstream: 'sso', secret: enrolled })
  const connect = async () => {
    const body = { name: 'orders', upstream: 'sso', client: 'sso-client', scopes }
    const { document } = await world.admin('POST connections', body)
    const visitor = createVisitor()
    const asking = await visitor.open(String(document['url']))
    const thanks = await logInAt(visitor, await visitor.press(asking, 'Continue'), 'ann')
    same(thanks.html.includes('Thank you'), true, thanks.html)
    const { nonce, id } = document
    return world.admin(`POST connections/${String(id)}:finalize`, { nonce, account: 'ann@acme.example' })
  }
  await check('an offline token is connected by consent, and gives a narrower token', async () => {
    const { document } = await connect()
    same([document['account'], document['scopes']], ['ann@acme.example', scopes], JSON.stringify(document))
    const token = await world.token('orders')
    same([token.status, token.document['scope']], [200, 'orders:read'], JSON.stringify(token.document))
  })
  await check('its session is ended: no token, and connected again it gives one', async () => {
    const users = await keycloak.admin('GET', '/users?username=ann')
    const [user] = JSON.parse(users.text) as readonly { readonly id: string }[]
    await keycloak.admin('DELETE', `/users/${user?.id ?? ''}/consents/connect`)
    // As long as its access token lives there.
    await wait(9_000)
    same((await world.token('orders')).status, 400)
    const shown = await world.admin('GET credentials/orders')
    same(JSON.stringify(shown.document).includes('"status":"broken"'), true, JSON.stringify(shown.document))
    same((await connect()).status, 200)
    await until('a token of the new grant', async () => {
      const { document: token } = await world.token('orders')
      return token['scope'] === 'orders:read'
    })
  })
}

/** What the page says: two clients with a mapper of groups, and one for connecting. */
async function prepareRealm({ admin }: Keycloak, broker: string): Promise<void> {
  const mapper = (name: string, protocolMapper: string, config: object) => ({
    name,
    protocol: 'openid-connect',
    protocolMapper,
    config: { 'id.token.claim': 'true', ...config },
  })
  const attribute = (name: string, type: string, claim: string) =>
    mapper(claim, 'oidc-usermodel-property-mapper', {
      'user.attribute': name,
      'claim.name': claim,
      'jsonType.label': type,
    })
  const mappers = [
    attribute('email', 'String', 'email'),
    attribute('emailVerified', 'boolean', 'email_verified'),
  ]
  const groups = mapper('groups', 'oidc-group-membership-mapper', {
    'claim.name': 'groups',
    'full.path': 'false',
  })
  const scope = (name: string, protocolMappers: readonly object[]) =>
    admin('POST', '/client-scopes', {
      name,
      protocol: 'openid-connect',
      attributes: { 'include.in.token.scope': 'true' },
      protocolMappers,
    })
  await scope('email', mappers)
  await scope('profile', [])
  const people = {
    standardFlowEnabled: true,
    fullScopeAllowed: false,
    protocolMappers: [groups],
    defaultClientScopes: ['service'],
    optionalClientScopes: ['email', 'profile', 'offline_access'],
    attributes: { 'pkce.code.challenge.method': 'S256', 'access.token.lifespan': '300' },
  }
  await admin('POST', '/clients', {
    ...people,
    clientId: 'downscope-console',
    secret,
    redirectUris: [`${broker}/console/callback`],
  })
  await admin('POST', '/clients', {
    ...people,
    clientId: 'downscope-cli',
    publicClient: true,
    redirectUris: ['http://127.0.0.1/callback'],
  })
  await admin('POST', '/clients', {
    ...people,
    clientId: 'connect',
    secret,
    redirectUris: [`${broker}/connect/callback/sso`],
    protocolMappers: [],
    optionalClientScopes: [...scopes, 'email', 'profile', 'offline_access'],
    attributes: { 'access.token.lifespan': '8' },
  })
  const bob = {
    username: 'bob',
    enabled: true,
    email: 'bob@acme.example',
    firstName: 'Bob',
    lastName: 'Shop',
  }
  const credentials = [{ type: 'password', value: passwordOf('bob'), temporary: false }]
  await admin('POST', '/users', { ...bob, credentials })
  await admin('POST', '/groups', { name: 'token-admins' })
  const [group] = JSON.parse((await admin('GET', '/groups')).text) as readonly { readonly id: string }[]
  const [ann] = JSON.parse((await admin('GET', '/users?username=ann')).text) as readonly {
    readonly id: string
  }[]
  await admin('PUT', `/users/${ann?.id ?? ''}/groups/${group?.id ?? ''}`)
}

async function logIn(visitor: Visitor, url: string, username: string): Promise<Page> {
  return logInAt(visitor, await visitor.open(url), username)
}

/** Keycloak's own form, as it stands in its page. */
function logInAt(visitor: Visitor, page: Page, username: string): Promise<Page> {
  return visitor.submit(page, { username, password: passwordOf(username) })
}

function passwordOf(username: string): string {
  return `password-of-${username}`
}
