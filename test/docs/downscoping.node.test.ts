import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { Environment } from '../../src/config/setting.ts'
import { startBrokerPair, type Asked, type BrokerPair, type Scene } from '../support/broker-pair.ts'
import type { GoogleStandIn } from '../support/google/stand-in.ts'
import { federatedPrincipal } from '../support/google/workload-pools.ts'
import {
  startAuthorizationServer,
  type AuthorizationServer,
} from '../support/oidc-provider/authorization-server.ts'
import { repository } from '../support/run-node.ts'
import { createPrivateJwk, keySetText, poolProvider, readKeys } from '../support/signing-key-set.ts'

// docs/downscoping.md, row by row, through whole brokers: what the server itself says that the token carries.

const READ = 'https://www.googleapis.com/auth/devstorage.read_only'
const PUBSUB = 'https://www.googleapis.com/auth/pubsub'
const CLOUD_PLATFORM = 'https://www.googleapis.com/auth/cloud-platform'
const audience = 'https://service.example'
const otherAudience = 'https://other.example'
const user = 'ann@acme.example'
const robot = 'robot@acme.iam.gserviceaccount.com'
const me = 'downscope@acme.iam.gserviceaccount.com'
const target = 'target@acme.iam.gserviceaccount.com'
const middle = 'middle@acme.iam.gserviceaccount.com'
const delegatedScopes = { [user]: [READ, PUBSUB] }
const boundary = [
  {
    availableResource: '//storage.googleapis.com/projects/_/buckets/reports',
    availablePermissions: ['inRole:roles/storage.objectViewer'],
  },
]
const narrower = JSON.stringify({
  accessBoundary: {
    accessBoundaryRules: boundary.map((rule) => ({
      ...rule,
      availabilityCondition: { expression: "resource.name.endsWith('.csv')" },
    })),
  },
})
const impersonation = { type: 'impersonation', service_account: target, source: 'robot' }
const idTokenType = 'urn:ietf:params:oauth:token-type:id_token'
const apiKeyType = 'urn:downscope:params:oauth:token-type:api_key'

type Params = Readonly<Record<string, string>>

interface Way {
  readonly settings?: (google: GoogleStandIn) => Promise<Environment>
  readonly rule?: object
  readonly prepare: (world: BrokerPair) => Promise<void>
  readonly params?: Params
  /** Of another token by the same way; by default one of another scope. */
  readonly again?: Params
  /** What the stand-in recorded of the token. */
  readonly carries: object
  /** In seconds. */
  readonly life?: number
}

const idTokens = {
  rule: { token_types: ['id_token'], scopes: [], id_token_audiences: [audience, otherAudience] },
  params: { requested_token_type: idTokenType, resource: audience, scope: '' },
  again: { requested_token_type: idTokenType, resource: otherAudience, scope: '' },
}

/** Every row of Google's. */
const ways: Readonly<Record<string, Way>> = {
  'Scopes of a service account key': {
    prepare: (world) => enrolKey(world),
    carries: { scopes: [READ], subject: target },
  },
  'Scopes of a refresh token': {
    prepare: async (world) => {
      const scopes = [READ, PUBSUB, 'openid']
      await enrol(world, 'it', world.google.createRefreshToken({ scopes, user }), { scopes })
    },
    carries: { scopes: [READ], subject: user },
  },
  'A user, by a service account key': {
    rule: { subjects: [user] },
    prepare: (world) => enrolKey(world),
    params: { requested_subject: user },
    carries: { scopes: [READ], subject: user, actor: target },
  },
  Impersonation: {
    prepare: enrolImpersonation,
    carries: { scopes: [READ], subject: target, actor: robot },
    life: 3600,
  },
  'A shorter life, by impersonation': {
    rule: { lifetime_seconds_max: 1800 },
    prepare: enrolImpersonation,
    params: { requested_lifetime: '600' },
    carries: { scopes: [READ], subject: target },
    life: 600,
  },
  'Impersonation by a chain of delegates': {
    prepare: async (world) => {
      await enrolImpersonation(world, { delegates: [middle] })
      world.google.denyImpersonation(robot, target)
      world.google.allowImpersonation(robot, middle)
      world.google.allowImpersonation(middle, target)
    },
    carries: { scopes: [READ], subject: target },
  },
  'A user, by impersonation': {
    rule: { subjects: [user] },
    prepare: enrolImpersonation,
    params: { requested_subject: user },
    carries: { scopes: [READ], subject: user, actor: target },
  },
  'The broker itself, on Cloud Run or Knative': {
    settings: runAsMe,
    prepare: enrolOwn,
    carries: { scopes: [READ], subject: me },
  },
  'The broker itself, by its own key': {
    settings: async (google) => ({
      DOWNSCOPE_GOOGLE_CREDENTIALS: JSON.stringify(await google.createServiceAccount({ email: me })),
    }),
    prepare: enrolOwn,
    carries: { scopes: [READ], subject: me },
  },
  'The broker itself, by federation': {
    settings: federate,
    prepare: enrolOwn,
    carries: { scopes: [READ], subject: federatedPrincipal(poolProvider, 'downscope') },
  },
  'The broker itself, by federation and a service account': {
    settings: async (google) => {
      await google.createServiceAccount({ email: me })
      google.allowImpersonation(federatedPrincipal(poolProvider, 'downscope'), me)
      return { ...(await federate(google)), DOWNSCOPE_GOOGLE_SERVICE_ACCOUNT: me }
    },
    prepare: enrolOwn,
    carries: { scopes: [READ], subject: me },
  },
  'An access boundary': {
    rule: { boundary },
    prepare: (world) => enrolKey(world),
    again: { options: narrower },
    carries: { scopes: [READ], subject: target, boundary: { accessBoundaryRules: boundary } },
  },
  'An access boundary, sealed locally': {
    rule: { boundary },
    prepare: (world) => enrolKey(world, { bounded_locally: true, accept_unproved: true }),
    again: { options: narrower },
    carries: { kind: 'intermediary', scopes: [CLOUD_PLATFORM], subject: target },
  },
  'An ID token of a service account key': {
    ...idTokens,
    prepare: (world) => enrolKey(world),
    carries: { kind: 'id_token', scopes: [], subject: target, audience },
  },
  'An ID token by impersonation': {
    ...idTokens,
    prepare: enrolImpersonation,
    carries: { kind: 'id_token', scopes: [], subject: target, audience },
  },
  'An ID token of the broker itself': {
    ...idTokens,
    settings: runAsMe,
    prepare: enrolOwn,
    carries: { kind: 'id_token', scopes: [], subject: me, audience },
  },
}

/** Every row of another server's, by the type of its credential. */
const elsewhere: Readonly<Record<string, (server: AuthorizationServer) => Promise<object>>> = {
  'A refresh token of another server': async (server) => ({
    type: 'oauth_refresh_token',
    refresh_token: await server.createRefreshToken('app', ['orders:read', 'orders:write']),
  }),
  'Client credentials of another server': async () => ({ type: 'oauth_client_credentials' }),
}

const worlds: { close(): Promise<void> }[] = []

afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close()
})

async function start(settings: Way['settings'] = async () => ({}), scene: Partial<Scene> = {}) {
  const world = await startBrokerPair(settings, scene)
  worlds.push(world)
  return world
}

const ruleFor = (more: object = {}) => ({
  name: 'it',
  callers: [{ issuer: 'platform', subject: 'caller' }],
  credential: 'it',
  scopes: [READ, PUBSUB],
  ...more,
})

async function enrol(world: BrokerPair, name: string, secret: object, more: object = {}): Promise<void> {
  const { status, body } = await world.administer(world.brokers[0], 'POST credentials', {
    name,
    secret,
    ...more,
  })
  expect([status, body['detail']]).toEqual([201, undefined])
}

async function enrolKey(world: BrokerPair, more: object = {}): Promise<void> {
  await enrol(world, 'it', await world.google.createServiceAccount({ email: target, delegatedScopes }), more)
}

async function enrolImpersonation(world: BrokerPair, more: object = {}): Promise<void> {
  await world.google.createServiceAccount({ email: target, delegatedScopes })
  await world.google.createServiceAccount({ email: middle })
  world.google.allowImpersonation(robot, target)
  await enrol(world, 'robot', await world.google.createServiceAccount({ email: robot }))
  await enrol(world, 'it', { ...impersonation, ...more })
}

async function enrolOwn(world: BrokerPair): Promise<void> {
  await enrol(world, 'it', { type: 'broker_identity' })
}

async function runAsMe(google: GoogleStandIn): Promise<Environment> {
  await google.createServiceAccount({ email: me })
  google.runAs(me)
  return {}
}

async function federate(google: GoogleStandIn): Promise<Environment> {
  const key = await createPrivateJwk('first')
  google.putPoolProvider({
    audience: poolProvider,
    issuer: 'https://tokens.acme.example',
    jwks: { keys: readKeys(key).map(({ published }) => published) },
  })
  return { DOWNSCOPE_SIGNING_KEYS: keySetText(key), DOWNSCOPE_GOOGLE_FEDERATION: poolProvider }
}

async function ask(world: BrokerPair, params: Params = {}, broker = world.brokers[0]): Promise<Asked> {
  return world.ask(broker, 'it', await world.callerJwt(), { scope: READ, ...params })
}

async function askWell(...asking: Parameters<typeof ask>): Promise<string> {
  const { status, body } = await ask(...asking)
  expect([status, body['error_description']]).toEqual([200, undefined])
  return String(body['access_token'])
}

/** Name, and what the first and the next token cost. */
const table = [
  ...readFileSync(join(repository, 'docs/downscoping.md'), 'utf8').matchAll(
    /^\| ([^|]+) \| [^|]+ \| [^|]+ \| (\d+)(?:, then (\d+))? \|$/gm,
  ),
].map(([, name = '', first, next = first]) => ({ name, calls: [Number(first), Number(next)] }))
const callsOf = (wanted: string) => table.find(({ name }) => name === wanted)?.calls

describe('docs/downscoping.md', () => {
  test('has a row for each way that is tested here, and no other', () => {
    const tested = [...Object.keys(ways), ...Object.keys(elsewhere), 'An API key']
    expect(table.map(({ name }) => name).toSorted()).toEqual(tested.toSorted())
    expect(table.length).toBeGreaterThan(15)
  })

  test.each(Object.entries(ways))(
    'P13: %s: the token carries just that, for so many calls',
    async (name, way) => {
      const world = await start(way.settings, { rules: [ruleFor(way.rule)] })
      await way.prepare(world)
      world.google.calls.reset()

      const { status, body } = await ask(world, way.params)
      const first = world.google.calls.count()
      expect([status, body['error_description']]).toEqual([200, undefined])
      const value = String(body['access_token'])
      const carried = world.google.token(value) ?? (await world.google.openToken(value))?.token
      expect(carried).toMatchObject(way.carries)
      if (way.life !== undefined) expect(body['expires_in']).toBe(way.life)
      await askWell(world, way.again ?? { ...way.params, scope: PUBSUB })
      expect([first, world.google.calls.count() - first]).toEqual(callsOf(name))
    },
  )

  test.each(Object.entries(elsewhere))(
    'P13: %s: the token carries just that, for so many calls',
    async (name, secretOf) => {
      const server = await startAuthorizationServer({
        scopes: ['orders:read', 'orders:write'],
        clients: [
          {
            client_id: 'app',
            client_secret: 'a-secret-of-the-app',
            token_endpoint_auth_method: 'client_secret_post',
          },
        ],
      })
      worlds.push(server)
      const shop = { name: 'shop', token_endpoint: server.tokenEndpoint, client_auth: 'client_secret_post' }
      const scopes = ['orders:read', 'orders:write']
      const world = await start(undefined, { rules: [ruleFor({ scopes })], upstreams: [shop] })
      const secret = { client_id: 'app', client_secret: 'a-secret-of-the-app', ...(await secretOf(server)) }
      await enrol(world, 'it', secret, { upstream: 'shop', scopes })

      const token = await askWell(world, { scope: 'orders:read' })
      const first = server.posts()
      expect(await server.scopesOf(token)).toEqual(['orders:read'])
      await askWell(world, { scope: 'orders:write' })
      expect([first, server.posts() - first]).toEqual(callsOf(name))
    },
  )

  test('P13: An API key: is labelled as what it is, and nobody is asked', async () => {
    const world = await start(undefined, { rules: [ruleFor({ token_types: ['api_key'], scopes: [] })] })
    await enrol(world, 'it', { type: 'api_key', key: 'AIzaSy-the-key-itself' })
    const params = { requested_token_type: apiKeyType, scope: '' }

    expect((await ask(world, params)).body).toEqual({
      access_token: 'AIzaSy-the-key-itself',
      issued_token_type: apiKeyType,
      token_type: 'N_A',
      expires_in: 3600,
    })
    expect((await ask(world, { scope: '' })).body['error']).toBe('invalid_target')
    expect([world.google.calls.count(), 0]).toEqual(callsOf('An API key'))
    expect(JSON.stringify([world.book.lines, world.records])).not.toContain('the-key-itself')
  })
})

describe('what acts for a service account', () => {
  test('P15: is one token for two instances and every scope, refreshed once an hour', async () => {
    const world = await start(undefined, { rules: [ruleFor()] })
    await enrolImpersonation(world)
    const sources = () => world.google.calls.count({ grant: 'jwt-bearer' })

    await Promise.all(
      world.brokers.flatMap((broker) => [
        askWell(world, {}, broker),
        askWell(world, { scope: PUBSUB }, broker),
      ]),
    )
    expect(sources()).toBe(1)
    expect(world.google.tokens()[0]).toMatchObject({ scopes: [CLOUD_PLATFORM], subject: robot })
    await world.clock.advance(3_590_000)
    await askWell(world)
    expect(sources()).toBe(2)
  })

  test('P26: takes what was drawn from it along when its credential is disabled', async () => {
    const world = await start(undefined, { rules: [ruleFor()] })
    await enrolImpersonation(world)
    for (const broker of world.brokers) await askWell(world, {}, broker)

    await world.administer(world.brokers[0], 'POST credentials/robot:disable')
    await world.clock.advance(10_000)
    for (const broker of world.brokers)
      expect(await ask(world, {}, broker)).toMatchObject({ status: 400, body: { error: 'invalid_target' } })
  })

  test('P13: goes to nobody whom no rule gives it', async () => {
    const world = await start(undefined, { rules: [ruleFor()] })
    await enrolImpersonation(world)
    await askWell(world)
    const { status } = await world.ask(world.brokers[0], 'robot', await world.callerJwt(), {
      scope: CLOUD_PLATFORM,
    })
    expect(status).toBe(400)
    expect((await ask(world, { scope: CLOUD_PLATFORM })).status).toBe(400)
  })
})
