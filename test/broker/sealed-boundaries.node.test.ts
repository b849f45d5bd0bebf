import { afterEach, describe, expect, test } from 'vitest'
import { formatScope } from '../../src/domain/scopes.ts'
import { bucket, reach, under, viewer } from '../support/boundaries.ts'
import { startBrokerPair, type Asked, type BrokerPair } from '../support/broker-pair.ts'
import type { StorageRequest } from '../support/google/cloud-storage.ts'

// Two whole brokers over one store, and what the stand-in for Google lets their tokens do.

const READ = 'https://www.googleapis.com/auth/devstorage.read_only'
const WRITE = 'https://www.googleapis.com/auth/devstorage.read_write'
const CLOUD_PLATFORM = 'https://www.googleapis.com/auth/cloud-platform'
const account = 'reports@acme.iam.gserviceaccount.com'
const locally = { bounded_locally: true, accept_unproved: true }
const ofTeam = { boundary: [reach({ availabilityCondition: under('team/') })] }
const reading = (object: string): StorageRequest => ({
  permission: 'storage.objects.get',
  bucket: 'reports',
  object,
})

const worlds: BrokerPair[] = []

afterEach(async () => {
  for (const world of worlds.splice(0)) {
    expect(leaksIn(world)).toEqual([])
    await world.close()
  }
})

async function start(rule: object = {}, options: object = locally): Promise<BrokerPair> {
  const rules = [
    {
      name: 'it',
      callers: [{ issuer: 'platform', subject: 'caller' }],
      credential: 'it',
      scopes: [READ],
      ...rule,
    },
  ]
  const world = await startBrokerPair({}, { rules })
  worlds.push(world)
  await enrol(world, await world.google.createServiceAccount({ email: account }), options)
  return world
}

async function enrol(world: BrokerPair, secret: object, options: object, name = 'it'): Promise<void> {
  const body = { name, secret, ...options }
  expect(await world.administer(world.brokers[0], 'POST credentials', body)).toMatchObject({ status: 201 })
}

const optionsOf = (...rules: readonly object[]) =>
  JSON.stringify({ accessBoundary: { accessBoundaryRules: rules } })
const folder = (name: string) => optionsOf(reach({ availabilityCondition: under(`team/${name}/`) }))

async function ask(world: BrokerPair, params: Record<string, string> = {}, at: 0 | 1 = 0): Promise<Asked> {
  return world.ask(world.brokers[at], 'it', await world.callerJwt(), params)
}

async function token(world: BrokerPair, params: Record<string, string> = {}, at: 0 | 1 = 0): Promise<string> {
  const { status, body } = await ask(world, params, at)
  expect([status, body['error_description']]).toEqual([200, undefined])
  return String(body['access_token'])
}

function leaksIn({ google, book, records }: BrokerPair): readonly string[] {
  const said = JSON.stringify([book.lines, records])
  const intermediaries = google.tokens().filter(({ kind }) => kind === 'intermediary')
  return [...google.sessionKeys(), ...intermediaries.map(({ value }) => value)].filter((secret) =>
    said.includes(secret),
  )
}

async function explanation(world: BrokerPair, question: object = {}): Promise<Record<string, unknown>> {
  const { body } = await world.administer(world.brokers[0], 'POST policy:explain', {
    issuer: 'platform',
    claims: { sub: 'caller' },
    credential: 'it',
    ...question,
  })
  return body
}

const exchanges = ({ google }: BrokerPair) => google.calls.count({ grant: 'token-exchange' })

describe('a boundary that is sealed locally', () => {
  test.each(['AES128_TINK', 'AES128_RAW', 'AES256_TINK', 'AES256_RAW'] as const)(
    'P30: lets a token do what rule and request allow, as Cloud Storage judges it: %s',
    async (sessionKey) => {
      const world = await start(ofTeam)
      world.google.tune({ sessionKey })
      const { body } = await ask(world)
      const whole = String(body['access_token'])
      const part = await token(world, { options: folder('a') })

      expect(body).toMatchObject({ token_type: 'Bearer', expires_in: 3599, scope: CLOUD_PLATFORM })
      expect((await world.google.openToken(whole))?.isSealed).toBe(true)
      for (const [value, object, isOpen] of [
        [whole, 'team/a/x', true],
        [whole, 'team/b/x', true],
        [whole, 'teams/x', false],
        [part, 'team/a/x', true],
        [part, 'team/b/x', false],
      ] as const)
        expect(await world.google.mayDo(value, reading(object))).toBe(isOpen)
      const write = { ...reading('team/a/x'), permission: 'storage.objects.create' } as const
      expect(await world.google.mayDo(whole, write)).toBe(false)
      expect(await world.google.mayDo(whole, { ...reading('team/a/x'), bucket: 'other' })).toBe(false)
      expect(exchanges(world)).toBe(1)
    },
  )

  test('P30: is behind an intermediary token that nobody gets alone, and that opens nothing alone', async () => {
    const world = await start(ofTeam)
    const value = await token(world)
    const intermediary = value.slice(0, value.lastIndexOf('.'))

    expect(world.google.token(intermediary)).toMatchObject({ kind: 'intermediary', subject: account })
    expect(await world.google.mayDo(intermediary, reading('team/a'))).toBe(false)
    expect(JSON.stringify(await ask(world))).not.toContain(world.google.sessionKeys()[0])
  })

  test('P15: costs one exchange an hour for 400 boundaries on two instances', async () => {
    const world = await start(ofTeam)
    const seen = new Set<string>()
    for (let index = 0; index < 400; index += 1)
      seen.add(await token(world, { options: folder(`f${index}`) }, index % 2 === 0 ? 0 : 1))

    expect(seen.size).toBe(400)
    expect(world.google.calls.all().map(({ grant }) => grant)).toEqual(['jwt-bearer', 'token-exchange'])
  })

  test('P20: goes on for ten minutes without the Security Token Service, and then renews', async () => {
    const world = await start(ofTeam)
    await token(world)
    await token(world, {}, 1)
    await world.clock.advance(2_900_000)
    world.google.script.sts.always({ do: 'unavailable', status: 503 })
    for (let minute = 0; minute < 10; minute += 1) {
      await world.clock.advance(60_000)
      for (const at of [0, 1] as const) {
        const value = await token(world, { options: folder(`f${minute}`) }, at)
        expect(await world.google.mayDo(value, reading(`team/f${minute}/x`))).toBe(true)
      }
    }
    world.google.clearScripts()
    await world.clock.advance(30_000)
    await token(world)
    for (const broker of world.brokers) await world.settle(broker.settled())
    const { body } = await ask(world, { options: folder('last') })
    expect(body['expires_in']).toBeGreaterThan(3_000)
  }, 60_000)

  test('P26: ends with its credential within 10 s, and what it was sealed behind leaves store and memory', async () => {
    const world = await start(ofTeam)
    await token(world)
    await token(world, {}, 1)
    const kept = async () => (await world.store.list({ prefix: 'tokens/intermediary@', limit: 10 })).length
    expect(await kept()).toBe(1)

    await world.administer(world.brokers[0], 'POST credentials/it:disable')
    expect(await kept()).toBe(0)
    await world.clock.advance(10_000)
    for (const at of [0, 1] as const) expect((await ask(world, {}, at)).body['error']).toBe('invalid_target')
    await world.administer(world.brokers[0], 'POST credentials/it:enable')
    await world.clock.advance(10_000)
    await token(world, {}, 1)
    expect(exchanges(world)).toBe(2)
  })

  test('P26: ends with a stop, and with the switch itself', async () => {
    const world = await start(ofTeam)
    await token(world)
    await world.administer(world.brokers[0], 'POST service:stop')
    expect(await world.store.list({ prefix: 'tokens/intermediary@', limit: 10 })).toEqual([])
    await world.clock.advance(10_000)
    expect((await ask(world)).status).toBe(503)
    await world.administer(world.brokers[0], 'POST service:resume')
    await world.clock.advance(10_000)
    await token(world)
    expect(exchanges(world)).toBe(2)
    await world.administer(world.brokers[0], 'PATCH credentials/it', { bounded_locally: false })
    expect(await world.store.list({ prefix: 'tokens/intermediary@', limit: 10 })).toEqual([])
    await world.clock.advance(10_000)
    expect((await world.google.openToken(await token(world)))?.isSealed).toBe(false)
  })

  test('P26: another instance forgets with the switch what was sealed behind', async () => {
    const world = await start(ofTeam)
    await token(world)
    await token(world, {}, 1)
    const turn = async (change: object) => {
      expect(await world.administer(world.brokers[0], 'PATCH credentials/it', change)).toMatchObject({
        status: 200,
      })
      await world.clock.advance(10_000)
      return world.google.openToken(await token(world, {}, 1))
    }
    expect(await turn({ bounded_locally: false })).toMatchObject({ isSealed: false })
    expect(await turn(locally)).toMatchObject({ isSealed: true })
    // One for both at first, one for the bounded token, and a new one to seal behind.
    expect(exchanges(world)).toBe(3)
  })

  test('is introspected and given back like any other', async () => {
    const world = await start(ofTeam)
    const value = await token(world)
    const form = async (path: string, more: Record<string, string> = {}) =>
      world.post(world.brokers[1], path, { token: value, ...more })

    expect((await form('introspect')).body).toMatchObject({ active: true, username: account })
    await form('revoke', {
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await world.callerJwt(),
    })
    await world.clock.advance(10_000)
    expect((await form('introspect')).body).toEqual({ active: false })
    expect(await token(world)).not.toBe(value)
  })

  test('T13: a claim fills the parsed condition, never its text', async () => {
    const boundary = [reach({ availabilityCondition: under('${claims.folder}/') })]
    const world = await start({ boundary })
    for (const claim of ["o'neil", 'a"b', 'a\\', 'a\u0000b', "') || true || ('", '😀']) {
      const jwt = await world.callerJwt({ folder: claim })
      const { body } = await world.ask(world.brokers[0], 'it', jwt)
      const value = String(body['access_token'])
      expect(await world.google.mayDo(value, reading(`${claim}/x`))).toBe(true)
      expect(await world.google.mayDo(value, reading('other/x'))).toBe(false)
    }
  })
})

describe('the exchange puts the boundary on', () => {
  test.each<[string, object, object, Record<string, string>]>([
    ['not bounded_locally', {}, {}, {}],
    [
      'projects/acme/roles/reader',
      { boundary: [reach({ availablePermissions: ['inRole:projects/acme/roles/reader'] })] },
      locally,
      {},
    ],
    [
      'objectAdmin',
      { boundary: [reach({ availablePermissions: ['inRole:roles/storage.objectAdmin'] })] },
      locally,
      {},
    ],
    [
      'more than 9 rules',
      {
        boundary: Array.from({ length: 10 }, (_, index) =>
          reach({ availableResource: bucket(`reports-${index}`) }),
        ),
      },
      locally,
      {},
    ],
  ])('and explain says why: %s', async (why, rule, options, params) => {
    const world = await start({ ...ofTeam, ...rule }, options)
    const value = await token(world, params)

    expect(world.google.token(value)).toMatchObject({ kind: 'downscoped', scopes: [READ] })
    expect(await explanation(world)).toMatchObject({
      token: {
        bounding: { way: 'exchanged', source: 'granted', why: expect.stringContaining(why) as string },
      },
    })
  })

  test('T13: where the rule allows less than an intermediary token lives', async () => {
    const world = await start({ ...ofTeam, lifetime_seconds_max: 900 })
    const source = { type: 'impersonation', service_account: account, source: 'robot' }
    const robot = 'robot@acme.iam.gserviceaccount.com'
    await enrol(world, await world.google.createServiceAccount({ email: robot }), {}, 'robot')
    world.google.allowImpersonation(robot, account)
    await world.administer(world.brokers[0], 'DELETE credentials/it')
    await enrol(world, source, locally)
    await world.clock.advance(10_000)
    const { body } = await ask(world)

    expect(body['expires_in']).toBeLessThanOrEqual(900)
    expect(world.google.token(String(body['access_token']))?.kind).toBe('downscoped')
    expect(JSON.stringify(await explanation(world))).toContain('900 s are allowed')
  })

  test.each([
    ['a keyset of another type', { sessionKey: 'AES_CTR_HMAC' }, {}],
    ['a session key that cannot be read', {}, { access_boundary_session_key: '!' }],
    ['no session key', {}, { access_boundary_session_key: undefined }],
    ['another type of token', {}, { issued_token_type: 'urn:ietf:params:oauth:token-type:jwt' }],
    ['a token already ended', {}, { expires_in: 0 }],
  ] as const)('where Google gives %s, and the log says why', async (_, tuning, members) => {
    const world = await start(ofTeam)
    world.google.tune(tuning)
    if (Object.keys(members).length > 0) world.google.script.sts.next(1, { do: 'amend', members })
    const value = await token(world)
    await token(world, { options: folder('a') })

    expect(world.google.token(value)).toMatchObject({ kind: 'downscoped', scopes: [READ] })
    expect(JSON.stringify(world.book.lines)).toContain('cannot be sealed locally')
    expect(exchanges(world)).toBe(3)
  })

  test('but not where it is the source token that came back', async () => {
    const world = await start(ofTeam)
    world.google.script.sts.next(1, ({ params }) => ({
      do: 'amend',
      members: { access_token: params['subject_token'] },
    }))
    expect(world.google.token(await token(world))?.kind).toBe('downscoped')
  })

  test('T12: with a source of cloud-platform only where the credential says so, and only for roles that are proved', async () => {
    const world = await start({ ...ofTeam, scopes: [READ, WRITE] }, {})
    world.google.tune({ refusesNarrowSources: true })
    const refused = await ask(world, { scope: READ })
    expect(refused.body['error']).toBe('invalid_scope')
    expect(JSON.stringify(world.records)).toContain('boundary_source to cloud-platform')

    await world.administer(world.brokers[0], 'PATCH credentials/it', { boundary_source: 'cloud-platform' })
    await world.clock.advance(10_000)
    const { body } = await ask(world, { scope: READ })
    expect(world.google.token(String(body['access_token']))).toMatchObject({ scopes: [CLOUD_PLATFORM] })
    expect(body['scope']).toBe(formatScope([CLOUD_PLATFORM]))
    expect((await explanation(world, { scope: READ }))['token']).toMatchObject({
      bounding: { way: 'exchanged', source: 'cloud-platform' },
    })
  })

  test('P13: a read-only caller never gets a writing role by a source of cloud-platform', async () => {
    const writing = { boundary: [reach({ availablePermissions: ['inRole:roles/storage.objectUser'] })] }
    const world = await start({ ...writing, scopes: [READ, WRITE] }, { boundary_source: 'cloud-platform' })

    expect((await ask(world, { scope: READ })).body['error']).toBe('invalid_scope')
    expect(await explanation(world, { scope: READ })).toMatchObject({
      outcome: 'refused',
      condition: 'boundary',
      reason: expect.stringContaining('roles/storage.objectUser of the boundary is not proved') as string,
    })
    expect(await world.google.mayDo(await token(world, { scope: WRITE }), reading('x'))).toBe(true)
    const custom = { boundary: [reach({ availablePermissions: [viewer, 'inRole:organizations/1/roles/x'] })] }
    const other = await start({ ...custom, scopes: [CLOUD_PLATFORM] }, { boundary_source: 'cloud-platform' })
    expect((await ask(other)).body['error']).toBe('invalid_scope')
  })
})

describe('T11: bounded_locally', () => {
  const patch = (world: BrokerPair, body: object) =>
    world.administer(world.brokers[0], 'PATCH credentials/it', body)

  test('is 409 until Google’s refusal is recorded or accepted unproved, which is audited', async () => {
    const world = await start(ofTeam, {})
    const again = { name: 'other', secret: await world.google.createServiceAccount(), bounded_locally: true }
    expect((await world.administer(world.brokers[0], 'POST credentials', again)).status).toBe(409)
    expect(await patch(world, { bounded_locally: true })).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('doctor --live') as string },
    })
    expect(await patch(world, locally)).toMatchObject({ status: 200, body: locally })
    expect(world.records.at(-1)).toMatchObject({ action: 'credential.change', acceptedUnproved: true })
    expect((await patch(world, { accept_unproved: false })).status).toBe(409)
    expect(await patch(world, { intermediary_refused: true, accept_unproved: false })).toMatchObject({
      status: 200,
      body: { bounded_locally: true, intermediary_refused_at: expect.any(String) as string },
    })
    const { body } = await world.administer(world.brokers[0], 'GET credentials/it')
    expect(body).not.toHaveProperty('accept_unproved')
    expect((await patch(world, { intermediary_refused: false })).status).toBe(409)
    expect((await patch(world, {})).status).toBe(400)
  })

  test('is nothing for what is no service account', async () => {
    const world = await start(ofTeam, {})
    const user = world.google.createRefreshToken({ scopes: [READ] })
    const body = { name: 'user', secret: user, scopes: [READ], ...locally, boundary_source: 'cloud-platform' }

    expect(await world.administer(world.brokers[0], 'POST credentials', body)).toMatchObject({
      status: 422,
      body: {
        detail: expect.stringMatching(
          /bounded_locally: only[^]*boundary_source: was not consented/,
        ) as string,
      },
    })
  })
})
