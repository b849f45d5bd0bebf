import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { createBroker } from '../../src/compose.ts'
import type { Serve } from '../../src/compose/platform.ts'
import { createNodePlatform, type NodePlatform } from '../../src/compose/node-platform.ts'
import { readSettings } from '../../src/config.ts'
import { epochSeconds } from '../../src/domain/time.ts'
import { createRunningClock } from '../support/running-clock.ts'
import { jsonMembers } from '../support/json-members.ts'
import {
  startAuthorizationServer,
  type AuthorizationServer,
} from '../support/oidc-provider/authorization-server.ts'
import { createSigner, type Signer } from '../support/signer.ts'
import { newKey } from '../support/test-broker/test-world.ts'

// Whole brokers over one store, from the admin API to a certified server that detects reuse.

const brokerIssuer = 'https://tokens.acme.example'
const scopes = ['orders:read', 'orders:write']
const client = { client_id: 'shop', client_secret: 'shop-secret-of-the-tests' }
const clock = createRunningClock(epochSeconds(1_800_000_000))
const platforms: NodePlatform[] = []

let server: AuthorizationServer
let signer: Signer
let brokers: readonly [Serve, Serve]

beforeAll(async () => {
  server = await startAuthorizationServer({
    scopes,
    clients: [{ ...client, token_endpoint_auth_method: 'client_secret_basic' }],
  })
  signer = await createSigner('ES256', 'ops-1')
  const store = createMemoryStore({ clock })
  const keys = newKey('k1')
  const open = (): Serve => {
    const settings = readSettings({
      DOWNSCOPE_ISSUER: brokerIssuer,
      DOWNSCOPE_STORE: 'memory:',
      DOWNSCOPE_KEYS: keys,
      DOWNSCOPE_POLICY_YAML: JSON.stringify(policy()),
    })
    const platform = createNodePlatform(settings)
    platforms.push(platform)
    const quiet = { log: () => undefined, auditTrail: async () => undefined }
    return createBroker(settings, { ...platform, ...quiet, clock, store }).serve
  }
  brokers = [open(), open()]
})

afterAll(async () => {
  await Promise.all([server.close(), ...platforms.map((platform) => platform.close())])
})

function policy(): object {
  const ops = { issuer: 'ops', subject: 'ops' }
  return {
    version: 1,
    issuers: [{ name: 'ops', issuer: 'ops', self_issued: true, keys: { jwks: { keys: [signer.jwk] } } }],
    upstreams: [
      { name: 'shop-sso', issuer: server.issuer, discovery: true, client_auth: 'client_secret_basic' },
    ],
    rules: [
      { name: 'orders', callers: [ops], credential: 'shop', scopes: ['orders:read'] },
      { name: 'robot', callers: [ops], credential: 'robot', scopes: ['orders:write'] },
    ],
    admins: [{ callers: [ops], role: 'admin' }],
  }
}

async function jwt(): Promise<string> {
  const iat = clock.now()
  const claims = { iss: 'ops', sub: 'ops', aud: brokerIssuer, iat, exp: iat + 240, jti: crypto.randomUUID() }
  return signer.sign(claims)
}

async function administer(method: string, path: string, body?: object) {
  const headers = {
    authorization: `Bearer ${await jwt()}`,
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  }
  return brokers[0](
    new Request(`${brokerIssuer}/v1/admin/${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  )
}

const enrol = (name: string, secret: object, more: object = {}) =>
  administer('POST', 'credentials', { name, upstream: 'shop-sso', secret: { ...client, ...secret }, ...more })

async function ask(broker: Serve, audience: string) {
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: await jwt(),
    audience,
  })
  const response = await broker(new Request(`${brokerIssuer}/v1/token`, { method: 'POST', body: form }))
  const { access_token: token = '', scope } = jsonMembers(await response.text())
  return { status: response.status, token: String(token), scope }
}

describe('an upstream of the policy', () => {
  test('gives a client’s own tokens, enrolled by the admin API', async () => {
    const enrolled = await enrol('robot', { type: 'oauth_client_credentials' })
    expect([enrolled.status, await enrolled.text()]).toEqual([201, expect.not.stringContaining('secret')])
    const { status, token, scope } = await ask(brokers[1], 'robot')
    expect([status, scope]).toEqual([200, 'orders:write'])
    expect(await server.scopesOf(token)).toEqual(['orders:write'])
  })

  test('is tried, and its next secret proved, with the scopes of a rule where none were enrolled', async () => {
    const maintain = async () => jsonMembers(await (await administer('POST', 'maintenance:run')).text())
    const read = async () => jsonMembers(await (await administer('GET', 'credentials/robot')).text())
    clock.skip(86_400_000)
    expect((await maintain())['probed']).toEqual([{ credential: 'robot', works: true }])

    const { version: former } = await read()
    const secret = { type: 'oauth_client_credentials', ...client }
    expect((await administer('POST', 'credentials/robot/versions', { secret })).status).toBe(201)
    await expect
      .poll(async () => JSON.stringify((await read())['rotation']), { timeout: 8_000 })
      .toContain('"step":"overlap"')
    expect((await read())['version']).not.toBe(former)
  })

  test('P15, P16: rotates through thirty expiries of two instances, and no family is revoked', async () => {
    const token = await server.createRefreshToken(client.client_id, scopes)
    await enrol('shop', { type: 'oauth_refresh_token', refresh_token: token }, { scopes })
    const cycles = 30
    const before = server.posts()
    for (let cycle = 1; cycle <= cycles; cycle += 1) {
      const asked = [...brokers, ...brokers, ...brokers].map((broker) => ask(broker, 'shop'))
      const answers = await Promise.all(asked)
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
      const tokens = new Set(answers.map((answer) => answer.token))
      expect([cycle, tokens.size, server.posts() - before]).toEqual([cycle, 1, cycle])
      for (const one of tokens) expect(await server.scopesOf(one)).toEqual(['orders:read'])
      clock.skip(3_600_000)
    }
    expect(server.storage.revokedGrants()).toEqual([])
    // Positive control: each expiry did use a refresh token up.
    expect(server.storage.valuesOf('RefreshToken')).toHaveLength(cycles + 1)
  })
})
