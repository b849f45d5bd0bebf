import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { exportJWK, generateKeyPair } from 'jose'
import type { BrokerProcess, BrokerSettings } from '../../test/support/spawn-broker.ts'
import { administer, askToken } from '../../test/support/test-broker/ask.ts'
import type { TestWorld } from '../../test/support/test-broker/test-world.ts'
import { same, type Checks } from './checks.ts'
import type { Keycloak } from './keycloak.ts'
import { enrolCredential, serveExpiries, startTwoBrokers, stopBoth, type Brokers } from './two-brokers.ts'

const client = ['downscope', 'secret-of-downscope'] as const
const ann = { grant_type: 'password', username: 'ann', password: 'password-of-ann' }
const scopes = ['orders:read', 'orders:write']

export interface UpstreamRun {
  /** Beside SQLite: where the two brokers keep what they share. */
  readonly stores: Readonly<Record<string, BrokerSettings>>
  readonly expiries: number
}

/** Keycloak's tokens through the broker, by docs/upstreams.md#keycloak. */
export async function checkUpstream(
  world: TestWorld,
  keycloak: Keycloak,
  { check, say, ...checks }: Checks,
  { stores, expiries }: UpstreamRun,
): Promise<void> {
  void checks
  const sqlite = { DOWNSCOPE_STORE: `sqlite:${join(world.folder, 'upstream.db')}` }
  for (const [store, settings] of Object.entries({ SQLite: sqlite, ...stores }))
    await check(
      `an offline token narrowed to one scope serves through ${expiries} expiries, on ${store}`,
      async () => {
        const brokers = await startBrokers(world, keycloak, settings)
        await enrol(world, brokers[0], 'shop', await refreshToken(keycloak, 'offline_access'))
        say(await serveExpiries(world, brokers, { audience: 'shop', scope: 'orders:read', expiries }))
        await stopBoth(brokers)
      },
    )
  await check(
    `with Revoke Refresh Token an ordinary one serves through ${expiries} expiries, none sent twice`,
    async () => {
      await keycloak.admin('PUT', '', { realm: 'shop', revokeRefreshToken: true, refreshTokenMaxReuse: 0 })
      const brokers = await startBrokers(world, keycloak, { ...sqlite })
      await enrol(world, brokers[0], 'rotating', await refreshToken(keycloak, ''))
      say(await serveExpiries(world, brokers, { audience: 'rotating', scope: 'orders:read', expiries }))
      await keycloak.admin('PUT', '', { realm: 'shop', revokeRefreshToken: false })
      await stopBoth(brokers)
    },
  )
  await check('a client that proves itself by private_key_jwt gets the scope it asked for', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
    await publishKey(keycloak, { ...(await exportJWK(publicKey)), kid: 's1', alg: 'ES256', use: 'sig' })
    const brokers = await startBrokers(world, keycloak, { DOWNSCOPE_STORE: 'memory:' })
    const key = JSON.stringify({ ...(await exportJWK(privateKey)), kid: 's1', alg: 'ES256' })
    const secret = { type: 'oauth_client_credentials', client_id: 'signer', private_key: key }
    await enrolCredential(world, brokers[0], { name: 'robot', upstream: 'signed', secret })
    const { status, body, text } = await askToken(brokers[0], world.workload, { audience: 'robot' })
    same([status, body['scope']], [200, 'orders:read'], text)
    await stopBoth(brokers)
  })
  await check('a session that was ended gives nothing more, and the credential says why', async () => {
    const brokers = await startBrokers(world, keycloak, { DOWNSCOPE_STORE: 'memory:' })
    await enrol(world, brokers[0], 'shop', await refreshToken(keycloak, 'offline_access'))
    same((await askToken(brokers[0], world.workload, { audience: 'shop' })).status, 200)
    const users = await keycloak.admin('GET', '/users?username=ann')
    const [user] = JSON.parse(users.text) as readonly { readonly id: string }[]
    await keycloak.admin('DELETE', `/users/${user?.id ?? ''}/consents/downscope`)
    await wait(9_000)
    same((await askToken(brokers[0], world.workload, { audience: 'shop' })).body['error'], 'invalid_target')
    const shown = await administer(brokers[0], world.ops, { method: 'GET', path: 'credentials/shop' })
    if (!shown.text.includes('"status":"broken"')) throw new Error(shown.text)
    await stopBoth(brokers)
  })
}

async function refreshToken(keycloak: Keycloak, more: string): Promise<string> {
  const { body, text } = await keycloak.token(client, { ...ann, scope: [...scopes, more].join(' ').trim() })
  const token = body['refresh_token']
  if (typeof token !== 'string') throw new Error(`no refresh token: ${text}`)
  return token
}

async function startBrokers(
  world: TestWorld,
  { issuer }: Keycloak,
  settings: BrokerSettings,
): Promise<Brokers> {
  const rules = ['shop', 'rotating', 'robot'].map((name) => world.rule(name, ['orders:read']))
  const policy = JSON.parse(world.policy(rules)) as object
  const upstream = { name: 'sso', issuer, discovery: true, client_auth: 'client_secret_basic' }
  const upstreams = [upstream, { ...upstream, name: 'signed', client_auth: 'private_key_jwt' }]
  return await startTwoBrokers(world, { ...policy, upstreams }, settings)
}

async function enrol(world: TestWorld, broker: BrokerProcess, name: string, token: string): Promise<void> {
  const [client_id, client_secret] = client
  const secret = { type: 'oauth_refresh_token', client_id, client_secret, refresh_token: token }
  await enrolCredential(world, broker, { name, upstream: 'sso', secret, scopes })
}

async function publishKey(keycloak: Keycloak, jwk: object): Promise<void> {
  const found = await keycloak.admin('GET', '/clients?clientId=signer')
  const [signer] = JSON.parse(found.text) as readonly { readonly id: string; readonly attributes?: object }[]
  if (signer === undefined) throw new Error('the realm has no client signer')
  const attributes = { ...signer.attributes, 'jwks.string': JSON.stringify({ keys: [jwk] }) }
  await keycloak.admin('PUT', `/clients/${signer.id}`, { ...signer, attributes })
}
