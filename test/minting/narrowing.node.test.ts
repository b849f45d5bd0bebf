import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createVerifyGrant } from '../../src/rotation/prove-version.ts'
import { failureOf, startMintWorld, type MintWorld } from '../support/mint-world.ts'
import { startScriptedServer, type ScriptedServer } from '../support/scripted-authorization-server.ts'
import { createSigner, type Signer } from '../support/signer.ts'

// A server that answers whatever the test says: what is believed of its replies, of its access tokens and of its
// introspection endpoint (T7), and how often it is asked.

const consent = ['orders:read', 'orders:write']
const wide = { scope: 'orders:read orders:write offline_access' }

let own: Signer
let foreign: Signer
let server: ScriptedServer
let world: MintWorld

beforeAll(async () => {
  own = await createSigner('ES256', 'k1')
  foreign = await createSigner('ES256', 'k1')
})

beforeEach(async () => {
  server = await startScriptedServer([own.jwk])
  const stated = {
    issuer: server.issuer,
    token_endpoint: `${server.issuer}/token`,
    client_auth: 'client_secret_post',
  }
  const keys = { jwks_uri: `${server.issuer}/keys` }
  world = await startMintWorld({
    upstreams: [
      { ...stated, name: 'plain' },
      { ...stated, ...keys, name: 'signed' },
      { ...stated, ...keys, name: 'roles', accepts_roles: true },
      { ...stated, name: 'asking', introspection_endpoint: `${server.issuer}/introspect` },
      { name: 'found', issuer: server.issuer, discovery: true, client_auth: 'client_secret_post' },
    ],
  })
})

afterEach(async () => {
  await world.background.settled()
  await Promise.all([world.google.close(), server.close()])
})

const enrol = (upstream: string) =>
  world.administration.enrol({
    name: 'shop',
    upstream,
    secret: { type: 'oauth_refresh_token', client_id: 'app', client_secret: 's3cret', refresh_token: 'r-0' },
    scopes: consent,
  })
const mint = async (scopes: readonly string[] = ['orders:read']) =>
  world.mint(await world.grantFor('shop', scopes))
const refused = async (scopes?: readonly string[]) => failureOf(mint(scopes))

/** An access token that counts, with changes; an `undefined` member is left out. */
async function accessToken(
  changes: Readonly<Record<string, unknown>> = {},
  { signer = own, typ = 'at+jwt' }: { readonly signer?: Signer; readonly typ?: string } = {},
): Promise<string> {
  const now = world.clock.now()
  const claims = {
    iss: server.issuer,
    sub: 'ann',
    aud: 'https://api.example',
    client_id: 'app',
    scope: 'orders:read',
    iat: now,
    exp: now + 300,
    ...changes,
  }
  return signer.signTexts(JSON.stringify({ alg: 'ES256', kid: 'k1', typ }), JSON.stringify(claims))
}

describe('a reply wider than what was asked', () => {
  test.each(['signed', 'found'])(
    'T7: is overruled by the access token’s own scope (%s)',
    async (upstream) => {
      await enrol(upstream)
      server.reply({ ...wide, access_token: await accessToken() })
      const token = await mint()
      expect(token.scopes).toEqual(['orders:read'])
      expect(server.requests('/token')).toHaveLength(1)
      server.reply({
        ...wide,
        access_token: await accessToken({
          client_id: undefined,
          azp: 'app',
          scp: ['orders:read'],
          scope: undefined,
        }),
      })
      expect((await mint()).scopes).toEqual(['orders:read'])
    },
  )

  test('T7: a token that ends before its reply says so has ended', async () => {
    await enrol('signed')
    server.reply({ ...wide, access_token: await accessToken({ exp: world.clock.now() + 100 }) })
    const { expiresAt, issuedAt } = await mint()
    expect(expiresAt - issuedAt).toBe(100)
  })

  test.each<[string, () => Promise<string>]>([
    ['of another issuer', () => accessToken({ iss: 'https://other.example' })],
    ['of the issuer with a slash more', () => accessToken({ iss: `${server.issuer}/` })],
    ['signed by another key', () => accessToken({}, { signer: foreign })],
    ['for another client', () => accessToken({ client_id: 'other' })],
    ['for another party', () => accessToken({ azp: 'other' })],
    ['for no client', () => accessToken({ client_id: undefined })],
    ['that outlives its reply', () => accessToken({ exp: world.clock.now() + 3_600 })],
    ['that has ended', () => accessToken({ exp: world.clock.now() - 1 })],
    ['that is an ID token', () => accessToken({ aud: 'app' }, { typ: 'JWT' })],
    ['that is an ID token with a list of one audience', () => accessToken({ aud: ['app'] }, { typ: 'JWT' })],
    ['that is an ID token by its nonce', () => accessToken({ nonce: 'n' }, { typ: 'JWT' })],
    ['that says that it is an ID token', () => accessToken({ typ: 'ID' }, { typ: 'JWT' })],
    ['without a scope', () => accessToken({ scope: undefined })],
    ['with roles that may be as wide as ever', () => accessToken({ realm_access: { roles: ['admin'] } })],
    ['with permissions', () => accessToken({ permissions: ['write:orders'] })],
    ['that is opaque', () => Promise.resolve('opaque-and-long-enough')],
  ])('T7: no token for an access token %s', async (_what, make) => {
    await enrol('signed')
    server.reply({ ...wide, access_token: await make() })
    expect((await refused()).code).toBe('upstream_nonsense')
  })

  test('T7: roles are no matter where the entry accepts them, or the whole consent is granted', async () => {
    await enrol('roles')
    server.reply({ ...wide, access_token: await accessToken({ realm_access: { roles: ['admin'] } }) })
    expect((await mint()).scopes).toEqual(['orders:read'])
    server.reply({
      ...wide,
      access_token: await accessToken({ scope: consent.join(' '), roles: ['admin'] }),
    })
    expect((await mint(consent)).scopes).toEqual(consent)
  })

  test('is refused with what was too much, and not asked again for five minutes, however often it is asked for', async () => {
    await enrol('plain')
    server.reply(wide)
    const first = await refused()
    expect([first.code, first.reason]).toEqual([
      'upstream_nonsense',
      expect.stringContaining('offline_access'),
    ])
    for (let times = 0; times < 60; times += 1) {
      expect((await refused(['orders:write'])).code).toBe('scope_refused')
      world.clock.skip(4_000)
    }
    expect(server.requests('/token')).toHaveLength(1)
    expect((await world.administration.read('shop')).narrowing).toMatchObject({
      refusedUntil: expect.any(Number) as number,
    })
    world.clock.skip(61_000)
    server.reply({ scope: 'orders:read' })
    expect((await mint()).scopes).toEqual(['orders:read'])
    expect((await world.administration.read('shop')).narrowing?.refusedUntil).toBeUndefined()
  })

  test('keeps the rotated refresh token, although the access token is refused', async () => {
    await enrol('plain')
    server.reply({ ...wide, refresh_token: 'r-1' })
    await refused()
    world.clock.skip(300_000)
    server.reply({ scope: 'orders:read', refresh_token: 'r-2' })
    await mint()
    expect(server.requests('/token').map(({ refresh_token: sent }) => sent)).toEqual(['r-0', 'r-1'])
  })

  test('while the keys cannot be read the caller is told to come back, and the grant is not called wide', async () => {
    await enrol('signed')
    server.keysStatus = 503
    server.reply({ ...wide, access_token: await accessToken() })
    expect((await refused()).code).toBe('upstream_unavailable')
    server.keysStatus = 200
    world.clock.skip(30_000)
    server.reply({ ...wide, access_token: await accessToken() })
    expect((await mint()).scopes).toEqual(['orders:read'])
  })
})

describe('a reply as narrow as what was asked', () => {
  test('T7: does not help a token that itself carries more', async () => {
    await enrol('signed')
    server.reply({
      scope: 'orders:read',
      access_token: await accessToken({ scope: 'orders:read orders:write' }),
    })
    const { code, reason } = await refused()
    expect([code, reason]).toEqual(['upstream_nonsense', expect.stringContaining('itself carries more')])
  })

  test('T7: is narrowed further by the token, and by nothing that does not count', async () => {
    await enrol('signed')
    server.reply({ scope: consent.join(' '), access_token: await accessToken() })
    expect((await mint(consent)).scopes).toEqual(['orders:read'])
    server.reply({
      scope: 'orders:read',
      access_token: await accessToken({ scope: 'x', client_id: 'other' }),
    })
    expect((await mint()).scopes).toEqual(['orders:read'])
  })
})

describe('introspection', () => {
  const said = { active: true, client_id: 'app', scope: 'orders:read' }

  test('T7: says what an opaque token carries where the reply is wider, and is asked as the client', async () => {
    await enrol('asking')
    server.reply(wide)
    server.introspects(said)
    expect((await mint()).scopes).toEqual(['orders:read'])
    expect(server.requests('/introspect')).toMatchObject([{ client_id: 'app', client_secret: 's3cret' }])
    server.reply({ scope: 'orders:read' })
    await mint()
    expect(server.requests('/introspect')).toHaveLength(1)
  })

  test.each([
    ['of an inactive token', { ...said, active: false }],
    ['for another client', { ...said, client_id: 'other' }],
    ['for no client', { ...said, client_id: undefined }],
    ['without a scope', { ...said, scope: undefined }],
    ['of another issuer', { ...said, iss: 'https://other.example' }],
    ['with more than was asked for', { ...said, scope: 'orders:read orders:write' }],
    ['with roles', { ...said, realm_access: { roles: ['admin'] } }],
  ])('T7: no token for an answer %s', async (_what, answer) => {
    await enrol('asking')
    server.reply(wide)
    server.introspects(answer)
    expect((await refused()).code).toBe('upstream_nonsense')
  })
})

test('an HTML page with status 200 gives no token, costs one refresh, and says what it was', async () => {
  await enrol('signed')
  server.html = true
  const { code, reason } = await refused()
  expect([code, reason]).toEqual(['upstream_nonsense', expect.stringContaining('not application/json')])
  expect(server.requests('/token')).toHaveLength(1)
})

test('a refresh token whose answer was lost is sent once more and no more, and its refusal breaks the credential', async () => {
  await enrol('plain')
  server.drops = 1
  server.refuse = 'invalid_grant'
  const { code, reason } = await refused()
  expect([code, reason]).toEqual(['target_unavailable', expect.stringContaining('interrupted')])
  expect(server.requests('/token')).toHaveLength(2)
  expect((await world.administration.read('shop')).health.status).toBe('broken')
})

describe('verify at enrolment', () => {
  const verify = async () => {
    const verifyGrant = createVerifyGrant({
      credentials: world.credentials,
      find: world.credentials.find,
      rulesInUse: () => Promise.resolve([]),
      findUpstream: world.findUpstream,
      mintShowing: (showConfirmed) => world.createInstance('verifying', { showConfirmed }).mint,
    })
    await verifyGrant(await world.administration.read('shop'))
    return (await world.administration.read('shop')).narrowing
  }
  const whole = { scope: consent.join(' ') }

  test('remembers that the reply says what was asked for', async () => {
    await enrol('plain')
    server.replies(whole, { scope: 'orders:read', refresh_token: 'r-2' })
    expect(await verify()).toEqual({ way: 'by_reply' })
    server.reply({ scope: 'orders:read' })
    await mint()
    expect(server.requests('/token').map(({ refresh_token: sent }) => sent)).toEqual(['r-0', 'r-0', 'r-2'])
  })

  test('T26 a rotated refresh token is stored before anything is said, also where its token is refused', async () => {
    await enrol('plain')
    server.replies({ scope: 'orders:read orders:write admin', refresh_token: 'r-1' })
    await expect(verify()).rejects.toMatchObject({ code: 'upstream_nonsense' })
    server.reply(whole)
    await mint(consent)

    expect(server.requests('/token').map(({ refresh_token: sent }) => sent)).toEqual(['r-0', 'r-1'])
  })

  test('remembers that nothing can be narrowed, and then no token of less is asked for', async () => {
    await enrol('plain')
    server.replies(whole, whole)
    expect(await verify()).toEqual({ way: 'no' })
    expect((await refused()).code).toBe('scope_refused')
    expect(server.requests('/token')).toHaveLength(2)
    server.reply(whole)
    expect((await mint(consent)).scopes).toEqual(consent)
  })

  test('T7: roles that shrink are a narrowing by the token, and roles that do not are none', async () => {
    await enrol('signed')
    const offline = [...consent, 'offline_access'].join(' ')
    const both = await accessToken({ ...whole, realm_access: { roles: ['reader', 'writer'] } })
    const one = await accessToken({ realm_access: { roles: ['reader'] } })
    server.replies({ ...whole, access_token: both }, { scope: offline, access_token: one })
    expect(await verify()).toEqual({ way: 'by_token' })
    server.reply({ scope: offline, access_token: one })
    expect((await mint()).scopes).toEqual(['orders:read'])
    const same = await accessToken({ realm_access: { roles: ['reader', 'writer'] } })
    server.replies({ ...whole, access_token: both }, { scope: 'orders:read', access_token: same })
    expect(await verify()).toEqual({ way: 'no' })
  })
})
