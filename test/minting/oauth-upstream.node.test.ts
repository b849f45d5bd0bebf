import { inspect } from 'node:util'
import { exportJWK, exportPKCS8, generateKeyPair } from 'jose'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createHttpClient } from '../../src/adapters/system/fetch-http-client.ts'
import { isBrokerError } from '../../src/domain/broker-error.ts'
import { epochSeconds } from '../../src/domain/time.ts'
import { createRevokeVersion } from '../../src/enrolment/revoke-credential.ts'
import { failureOf, startMintWorld, type MintWorld } from '../support/mint-world.ts'
import {
  startAuthorizationServer,
  type AuthorizationServer,
} from '../support/oidc-provider/authorization-server.ts'
import { finderOf } from '../support/upstreams.ts'

// Against oidc-provider, a certified server, with rotation and reuse detection.

const scopes = ['orders:read', 'orders:write', 'profile'] as const
/** Characters that HTTP Basic would garble unless they are form-encoded first (RFC 6749 §2.3.1). */
const oddId = 'app:one+two%20'
const oddSecret = 's3cret:with+odd/chars%and&more=+~'
const plain = { id: 'app', secret: 'an ordinary secret'.replaceAll(' ', '-') }

let keys: Awaited<ReturnType<typeof createKeys>>
let server: AuthorizationServer
let upstreams: readonly object[]
let world: MintWorld

async function createKeys() {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  return {
    pem: await exportPKCS8(privateKey),
    jwk: await exportJWK(privateKey),
    public: await exportJWK(publicKey),
  }
}

beforeAll(async () => {
  keys = await createKeys()
})

beforeEach(async () => {
  server = await startAuthorizationServer({
    scopes,
    clients: [
      { client_id: plain.id, client_secret: plain.secret, token_endpoint_auth_method: 'client_secret_post' },
      { client_id: oddId, client_secret: oddSecret, token_endpoint_auth_method: 'client_secret_basic' },
      {
        client_id: 'signer',
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        jwks: { keys: [{ ...keys.public, kid: 'k1', alg: 'ES256' }] },
      },
      { client_id: 'public', token_endpoint_auth_method: 'none' },
    ],
  })
  const stated = { token_endpoint: server.tokenEndpoint }
  upstreams = [
    { ...stated, name: 'post', client_auth: 'client_secret_post' },
    { ...stated, name: 'basic', client_auth: 'client_secret_basic' },
    { ...stated, name: 'open', client_auth: 'none' },
    { name: 'found', issuer: server.issuer, discovery: true, client_auth: 'private_key_jwt' },
    { ...stated, name: 'endpoint-aud', client_auth: 'private_key_jwt' },
    { ...stated, name: 'quirky', client_auth: 'client_secret_post', ...quirks },
    { ...stated, name: 'unnarrowed', client_auth: 'client_secret_post', scope_in_refresh: 'omit' },
    { ...stated, name: 'steady', client_auth: 'client_secret_post', refresh_token_rotates: false },
    {
      ...stated,
      name: 'revocable',
      client_auth: 'client_secret_post',
      revocation_endpoint: server.revocationEndpoint,
    },
  ]
  world = await startMintWorld({
    upstreams: [...upstreams, elsewhere],
    // The server's own clock judges assertions.
    startAt: epochSeconds(Math.floor(Date.now() / 1000)),
  })
})

/** What a policy may come to say of an upstream: that it is at another host now. */
const elsewhere = {
  name: 'elsewhere',
  token_endpoint: 'http://localhost:9/token',
  client_auth: 'client_secret_post',
}

const quirks = {
  token_type: 'bot',
  lifetime_seconds_default: 900,
  expires_in_text: true,
  errors_with_status_200: true,
  invalid_grant_errors: ['bad_refresh_token'],
}

afterEach(async () => {
  await world.background.settled()
  const said = inspect([world.book.lines, world.errors], { depth: 20, maxStringLength: null })
  const secrets = [...server.secrets(), plain.secret, oddSecret, keys.pem.split('\n')[1] ?? '']
  expect(secrets.filter((secret) => said.includes(secret))).toEqual([])
  await Promise.all([world.google.close(), server.close()])
})

interface EnrolledClient {
  readonly client_id: string
  readonly client_secret?: string
  readonly private_key?: unknown
  readonly alg?: string
  readonly kid?: string
}

async function enrolGrant(name: string, upstream: string, client: EnrolledClient) {
  const token = await server.createRefreshToken(client.client_id, scopes)
  await world.administration.enrol({
    name,
    upstream,
    secret: { type: 'oauth_refresh_token', ...client, refresh_token: token },
    scopes,
  })
  return token
}

const enrolPlain = (upstream = 'post') =>
  enrolGrant('shop', upstream, { client_id: plain.id, client_secret: plain.secret })
const mint = async (wanted: readonly string[] = ['orders:read'], name = 'shop') =>
  world.mint(await world.grantFor(name, wanted))
const health = async (name = 'shop') => {
  await world.background.settled()
  return (await world.administration.read(name)).health
}

describe('a refresh at a certified server', () => {
  test.each([
    ['a secret in the body', 'post', () => ({ client_id: plain.id, client_secret: plain.secret })],
    [
      'Basic, with an id and a secret that need encoding',
      'basic',
      () => ({ client_id: oddId, client_secret: oddSecret }),
    ],
    [
      'an assertion for its issuer, found by discovery',
      'found',
      () => ({ client_id: 'signer', private_key: keys.pem, alg: 'ES256', kid: 'k1' }),
    ],
    [
      'an assertion for its endpoint, by a JWK',
      'endpoint-aud',
      () => ({ client_id: 'signer', private_key: { ...keys.jwk, alg: 'ES256', kid: 'k1' } }),
    ],
    ['nothing, for a public client', 'open', () => ({ client_id: 'public' })],
  ])('proves the client by %s', async (_, upstream, client) => {
    await enrolGrant('shop', upstream, client())
    for (let round = 0; round < 3; round += 1) {
      const token = await mint(['orders:read'])
      expect(await server.scopesOf(token.secret.reveal())).toEqual(['orders:read'])
      expect(token.scopes).toEqual(['orders:read'])
      expect(token.expiresAt - token.issuedAt).toBe(3600)
    }
    expect(server.storage.revokedGrants()).toEqual([])
    expect((await health()).status).toBe('healthy')
  })

  test('P13: carries the scopes asked for, as the server itself recorded them', async () => {
    await enrolPlain()
    const token = await mint(['orders:read', 'profile'])
    expect((await server.scopesOf(token.secret.reveal()))?.toSorted()).toEqual(['orders:read', 'profile'])
    expect((await failureOf(mint(['orders:delete']))).code).toBe('scope_refused')
  })

  test('P16: the rotated refresh token is durable before the access token is handed out', async () => {
    const first = await enrolPlain()
    for (let round = 0; round < 3; round += 1) await mint()
    const { name, version } = await world.administration.read('shop')
    const { secret } = await world.credentials.openSecret(name, version)
    const held = secret.kind === 'refresh_token' ? secret.refreshToken.reveal() : ''
    expect(held).not.toBe(first)
    expect(server.storage.valuesOf('RefreshToken').at(-1)).toBe(held)
  })

  test('positive control: a consumed refresh token that comes again revokes the family, tokens and all', async () => {
    const first = await enrolPlain()
    const token = await mint()
    const again = await fetch(server.tokenEndpoint, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'refresh_token',
        client_id: plain.id,
        client_secret: plain.secret,
        refresh_token: first,
      }),
    })
    expect(again.status).toBe(400)
    expect(server.storage.revokedGrants()).toHaveLength(1)
    expect(await server.scopesOf(token.secret.reveal())).toBeUndefined()
  })

  test('P17: a revoked grant breaks the credential and destroys nothing; a new one heals it', async () => {
    const token = await enrolPlain()
    await server.storage.adapterFor('RefreshToken').destroy(token)
    const refused = await failureOf(mint())
    expect([refused.code, refused.reason.includes('invalid_grant')]).toEqual(['target_unavailable', true])
    expect(await health()).toMatchObject({ status: 'broken', reason: refused.reason })
    expect((await world.administration.read('shop')).state).toBe('enabled')
  })

  test('a client that is refused is the credential’s fault, told with the server’s own words', async () => {
    await enrolGrant('shop', 'post', { client_id: plain.id, client_secret: 'another-secret-than-registered' })
    const refused = await failureOf(mint())
    expect(refused.reason).toContain('invalid_client')
    expect((await health()).status).toBe('broken')
  })
})

describe('P29: a secret goes to the host it was enrolled for', () => {
  test.each([
    ['a refresh token', 'oauth_refresh_token'],
    ['a client’s secret', 'oauth_client_credentials'],
  ])('and %s to no other, whatever the policy has come to say', async (_, type) => {
    const client = { client_id: plain.id, client_secret: plain.secret }
    const isRefresh = type === 'oauth_refresh_token'
    const token = await server.createRefreshToken(plain.id, scopes)
    const secret = { type, ...client, ...(isRefresh ? { refresh_token: token } : {}) }
    await world.administration.enrol({ name: 'shop', upstream: 'post', secret, scopes })
    const grant = await world.grantFor('shop', ['orders:read'])
    const moved = { ...grant, credential: { ...grant.credential, upstream: 'elsewhere' } }
    const refused = await failureOf(world.mint(moved))
    expect(refused.code).toBe('target_unavailable')
    expect(refused.reason).toContain(`was enrolled for ${server.issuer}, and upstream elsewhere is at`)
    expect((await health()).status).toBe('unknown')
    // Nothing was lost by the refusal.
    expect((await world.mint(grant)).scopes).toEqual(['orders:read'])
  })
})

function codeOf(error: unknown): unknown {
  return isBrokerError(error) ? error.code : error
}

describe('P16: a connection cut while the server rotates', () => {
  test('after it did: the refresh token is sent once more, never twice, and its loss is told', async () => {
    await enrolPlain()
    server.interfereOnce({ after: (context) => context.req.socket.destroy() })
    const told = await failureOf(mint())
    expect(told.reason).toContain('a rotation was interrupted')
    expect(await health()).toMatchObject({ status: 'broken', reason: told.reason })
    expect(server.posts()).toBe(2)
    // Nor with the next request, nor by another instance.
    world.clock.skip(60_000)
    expect((await failureOf(mint())).reason).toBe(told.reason)
    const other = world.createInstance('other').mint(await world.grantFor('shop', ['orders:read']))
    expect((await failureOf(other)).reason).toBe(told.reason)
    expect(server.posts()).toBe(2)
  })

  test('after it did, and again where it was sent once more: the next request sends it once, and then nobody', async () => {
    await enrolPlain()
    const cut = (context: { readonly req: { readonly socket: { destroy(): unknown } } }) =>
      context.req.socket.destroy()
    server.interfereOnce({ after: cut })
    server.interfereOnce({ after: cut })
    expect((await failureOf(mint())).code).toBe('upstream_unavailable')
    expect([server.posts(), (await health()).status]).toEqual([2, 'unknown'])

    const other = world.createInstance('other')
    const grant = await world.grantFor('shop', ['orders:read'])
    world.clock.skip(60_000)
    const told = await failureOf(other.mint(grant))
    expect(told.reason).toContain('a rotation was interrupted')
    expect(server.posts()).toBe(3)
    for (const refused of [mint(), other.mint(grant)])
      expect((await failureOf(refused)).reason).toBe(told.reason)
    expect([server.posts(), (await health()).status]).toEqual([3, 'broken'])
  })

  test('by an upstream that is down: each later request sends it once, and nothing is lost', async () => {
    await enrolPlain()
    const down = () => {
      throw Object.assign(new Error('down'), { status: 503, expose: true })
    }
    const sent: number[] = []
    for (const times of [2, 1, 1]) {
      const before = server.posts()
      for (let time = 0; time < times; time += 1) server.interfereOnce({ before: down })
      expect((await failureOf(mint())).code).toBe('upstream_unavailable')
      sent.push(server.posts() - before)
      world.clock.skip(60_000)
    }
    expect(sent).toEqual([2, 1, 1])

    expect((await mint()).scopes).toEqual(['orders:read'])
    expect((await health()).status).toBe('healthy')
    expect(server.storage.revokedGrants()).toEqual([])
  })

  test.each([408, 500, 502, 503, 504])(
    'or answered %i before the server’s own answer: the refresh token is sent once more',
    async (status) => {
      await enrolPlain()
      server.interfereOnce({
        before: () => {
          throw Object.assign(new Error('a gateway gave up'), { status, expose: true })
        },
      })
      // It had not reached the server.
      expect((await mint()).scopes).toEqual(['orders:read'])
      expect(server.posts()).toBe(2)
      expect(server.storage.revokedGrants()).toEqual([])
    },
  )

  test('or refused unread: 429 comes before any work, and is repeated', async () => {
    await enrolPlain()
    server.interfereOnce({
      before: () => {
        throw Object.assign(new Error('too many'), { status: 429, expose: true })
      },
    })
    expect((await mint()).scopes).toEqual(['orders:read'])
    expect(server.posts()).toBe(2)
  })

  test('where no refresh token is used up, the request is repeated at once', async () => {
    await enrolPlain('steady')
    const cut = new Error('cut')
    server.interfereOnce({
      before: (context) => {
        context.req.socket.destroy()
        throw cut
      },
    })
    expect((await mint()).scopes).toEqual(['orders:read'])
    expect(server.posts()).toBe(2)
  })

  test.each([
    ['is not taken over by an instance that sees it first, whatever the clock says', 'post', 'lease_busy'],
    ['is over by the clock where no refresh token is used up', 'steady', undefined],
  ])('by a crash: the lease %s', async (_, upstream, refused) => {
    await enrolPlain(upstream)
    const { name, version } = await world.administration.read('shop')
    await world.refreshLeases.begin({ name, version })
    world.clock.skip(13_000)
    const minted = world.createInstance('new').mint(await world.grantFor('shop', ['orders:read']))
    const code = await minted.then(() => undefined, codeOf)
    expect([code, server.posts()]).toEqual([refused, refused === undefined ? 1 : 0])
  })

  test('before it did: nothing is lost', async () => {
    await enrolPlain()
    server.interfereOnce({
      before: (context) => {
        context.req.socket.destroy()
        throw new Error('cut')
      },
    })
    expect((await mint()).scopes).toEqual(['orders:read'])
    expect(server.posts()).toBe(2)
    expect(server.storage.revokedGrants()).toEqual([])
  })
})

describe('revoking a refresh token at its own server', () => {
  async function revoke() {
    const { clock, entropy, credentials } = world
    const http = createHttpClient()
    const revokeIt = createRevokeVersion({
      http,
      clock,
      entropy,
      log: () => undefined,
      sharesWork: true,
      credentials,
      findUpstream: finderOf(...upstreams),
      google: { oauthTokenUrl: 'https://never.example', revokeUrl: 'https://never.example' },
    })
    const summary = await credentials.find('shop')
    if (summary === undefined) throw new Error('shop is not enrolled')
    return revokeIt(summary, summary.version)
  }

  test.each([
    ['stated', 'revocable', () => ({ client_id: plain.id, client_secret: plain.secret })],
    ['discovered', 'found', () => ({ client_id: 'signer', private_key: keys.pem, alg: 'ES256', kid: 'k1' })],
  ])('is done at the %s endpoint, and the grant is dead', async (_, upstream, client) => {
    await enrolGrant('shop', upstream, client())
    expect(await revoke()).toBe('done')
    expect(server.storage.revokedGrants()).toHaveLength(1)
    expect((await failureOf(mint())).reason).toContain('invalid_grant')
  })

  test('is told to be impossible where no endpoint is known', async () => {
    await enrolPlain()
    expect(await revoke()).toBe('no_endpoint')
    expect((await mint()).scopes).toEqual(['orders:read'])
  })
})

describe('client credentials at a certified server', () => {
  const enrolClient = (upstream: string, client: object, limited?: readonly string[]) =>
    world.administration.enrol({
      name: 'robot',
      upstream,
      secret: { type: 'oauth_client_credentials', ...client },
      ...(limited === undefined ? {} : { scopes: limited }),
    })

  test.each([
    ['post', () => ({ client_id: plain.id, client_secret: plain.secret })],
    ['basic', () => ({ client_id: oddId, client_secret: oddSecret })],
    ['found', () => ({ client_id: 'signer', private_key: keys.pem, alg: 'ES256', kid: 'k1' })],
  ])('P13: give a token of exactly the granted scopes (%s)', async (upstream, client) => {
    await enrolClient(upstream, client())
    const token = await mint(['orders:read'], 'robot')
    expect(await server.scopesOf(token.secret.reveal())).toEqual(['orders:read'])
    expect(token.scopes).toEqual(['orders:read'])
    expect((await health('robot')).status).toBe('healthy')
  })

  test('give nothing for no scope, no user and no ID token, and nothing is asked', async () => {
    await enrolClient('post', { client_id: plain.id, client_secret: plain.secret })
    const grant = await world.grantFor('robot', ['orders:read'])
    expect((await failureOf(world.mint({ ...grant, scopes: [] }))).code).toBe('scope_refused')
    expect((await failureOf(world.mint({ ...grant, subject: 'ann' }))).code).toBe('target_unavailable')
    const idToken = { ...grant, tokenType: 'id_token', audience: 'a' } as const
    expect((await failureOf(world.mint(idToken))).code).toBe('target_unavailable')
    expect(server.posts()).toBe(0)
  })

  test('P17: a wrong secret breaks the credential, and nothing is deleted', async () => {
    await enrolClient('post', { client_id: plain.id, client_secret: 'another-secret-than-registered' })
    expect((await failureOf(mint(['orders:read'], 'robot'))).reason).toContain('invalid_client')
    expect((await health('robot')).status).toBe('broken')
  })

  test('are repeated with a new assertion, for one counts once', async () => {
    await enrolClient('found', { client_id: 'signer', private_key: keys.pem, alg: 'ES256', kid: 'k1' })
    server.interfereOnce({
      after: (context) => {
        // The server has taken the assertion, and something before it answers in its place.
        context.status = 503
        context.body = {}
      },
    })
    expect((await mint(['orders:read'], 'robot')).scopes).toEqual(['orders:read'])
    expect(server.posts()).toBe(2)
  })

  test('are repeated when no answer came: nothing can be lost', async () => {
    await enrolClient('post', { client_id: plain.id, client_secret: plain.secret })
    server.interfereOnce({ after: (context) => context.req.socket.destroy() })
    expect((await mint(['orders:read'], 'robot')).scopes).toEqual(['orders:read'])
    expect(server.posts()).toBe(2)
  })
})

describe('quirks, as data', () => {
  const amend = (members: object, status = 200) =>
    server.interfereOnce({
      after: (context) => {
        context.body = { ...(typeof context.body === 'object' ? context.body : {}), ...members }
        context.status = status
      },
    })
  const life = async () => {
    const token = await mint()
    return token.expiresAt - token.issuedAt
  }

  test('no expires_in means the life that the policy states, and is refused where it states none', async () => {
    await enrolPlain('quirky')
    amend({ token_type: 'bot', expires_in: undefined })
    expect(await life()).toBe(900)
    await enrolGrant('strict', 'post', { client_id: plain.id, client_secret: plain.secret })
    amend({ expires_in: undefined })
    expect((await failureOf(mint(['orders:read'], 'strict'))).reason).toContain('no expires_in')
  })

  test('an expires_in in quotes counts only where the policy says that it may come so', async () => {
    await enrolPlain('quirky')
    amend({ token_type: 'Bot', expires_in: '1200' })
    expect(await life()).toBe(1200)
    amend({ token_type: 'bot', expires_in: '12 minutes' })
    expect((await failureOf(mint())).reason).toContain('expires_in')
    await enrolGrant('strict', 'post', { client_id: plain.id, client_secret: plain.secret })
    amend({ expires_in: '1200' })
    expect((await failureOf(mint(['orders:read'], 'strict'))).code).toBe('upstream_nonsense')
  })

  test('another token_type than the policy names is refused, and the rotated token is kept', async () => {
    await enrolPlain('quirky')
    expect((await failureOf(mint())).reason).toContain('a token_type other than bot')
    amend({ token_type: 'bot' })
    expect((await mint()).scopes).toEqual(['orders:read'])
    expect(server.storage.revokedGrants()).toEqual([])
  })

  test('an error with status 200 and a name of its own breaks the credential like invalid_grant', async () => {
    await enrolPlain('quirky')
    for (let time = 0; time < 2; time += 1)
      amend({ access_token: undefined, error: 'bad_refresh_token', error_description: 'It is incorrect.' })
    const refused = await failureOf(mint())
    expect([refused.code, refused.reason]).toEqual([
      'target_unavailable',
      'the upstream answered 200 bad_refresh_token, It is incorrect.',
    ])
    expect((await health()).status).toBe('broken')
  })

  test('more scopes than were asked for are refused, and named', async () => {
    await enrolPlain()
    amend({ scope: 'orders:read offline_access' })
    const refused = await failureOf(mint())
    expect([refused.code, refused.reason.includes('offline_access')]).toEqual(['upstream_nonsense', true])
  })

  test('P13: where nothing can be narrowed, only who is granted everything gets a token', async () => {
    await enrolPlain('unnarrowed')
    const refused = await failureOf(mint(['orders:read']))
    expect([refused.code, refused.reason.includes('cannot narrow')]).toEqual(['scope_refused', true])
    expect(server.posts()).toBe(0)
    const token = await mint(scopes)
    expect((await server.scopesOf(token.secret.reveal()))?.toSorted()).toEqual([...scopes].toSorted())
    // And where the server has no scopes at all, it says so with an empty one.
    amend({ scope: '' })
    expect((await mint(scopes)).scopes).toEqual([...scopes].toSorted())
  })

  test('an end that no use moves is told a week before, in the log and in the credential’s health', async () => {
    await enrolPlain()
    const day = 86_400
    for (const [skipped, left] of [
      [0, 8 * day],
      [day / 2, 7.5 * day],
      [day, 6.5 * day],
    ] as const) {
      world.clock.skip(skipped * 1000)
      amend({ refresh_token_expires_in: left })
      await mint()
    }
    const told = world.book.lines.filter(({ level }) => level === 'warn').map(({ message }) => message)
    expect(told).toEqual([expect.stringContaining('no use prolongs it: consent and enrol again')])
    expect(await health()).toMatchObject({ status: 'healthy', reason: told[0] })
  })

  test('the end of a refresh token is remembered and shown, with every rotation anew', async () => {
    await enrolPlain()
    amend({ refresh_token_expires_in: 86_400 })
    await mint()
    const { expiresAt = 0, versions } = await world.administration.read('shop')
    expect(expiresAt - world.clock.now()).toBe(86_400)
    expect(versions[0]?.expiresAt).toBe(expiresAt)
    world.clock.skip(3_600_000)
    amend({ refresh_expires_in: 86_400 })
    await mint()
    expect((await world.administration.read('shop')).expiresAt).toBe(expiresAt + 3600)
    await mint()
    expect(await world.administration.read('shop')).not.toHaveProperty('expiresAt')
  })
})
