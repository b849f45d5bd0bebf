import type { BrokerProcess, BrokerSettings } from '../../test/support/spawn-broker.ts'
import { brokerIssuer } from '../../test/support/test-broker/callers.ts'
import { post, type Answer } from '../../test/support/test-broker/ask.ts'
import type { TestWorld } from '../../test/support/test-broker/test-world.ts'
import { same, type Checks } from './checks.ts'
import type { Keycloak } from './keycloak.ts'

/** On loopback as Keycloak is, or the broker would trust no issuer there (T27); the realm's mapper names it. */
export const issuerHere = 'http://127.0.0.1:8787'
const reporting = ['reporting', 'secret-of-reporting'] as const
const chatty = ['chatty', 'secret-of-chatty'] as const
const ann = { grant_type: 'password', username: 'ann', password: 'password-of-ann' }
const scope = 'https://www.googleapis.com/auth/devstorage.read_only'

/** Keycloak's service accounts as callers, by docs/issuers.md#keycloak. */
export async function checkIssuer(world: TestWorld, keycloak: Keycloak, checks: Checks): Promise<void> {
  const { check } = checks
  const broker = await startBroker(world, keycloak)
  await world.enrolAccount(broker, 'reports-sa')
  const clientToken = async (client: readonly [string, string]) =>
    (await keycloak.token(client, { grant_type: 'client_credentials' })).token

  await check('a service account gets a token', async () => {
    same((await exchange(broker, await clientToken(reporting))).status, 200)
  })
  await check('another client of the realm gets none', async () => {
    const other = await startBroker(world, keycloak, { tolerated_audiences: ['account'] })
    await world.enrolAccount(other, 'reports-sa')
    same(errorOf(await exchange(other, await clientToken(chatty))), [400, 'invalid_target'])
    await other.stop()
  })
  await check('a token that is for Keycloak’s account API too is refused by default', async () => {
    same(errorOf(await exchange(broker, await clientToken(chatty))), [400, 'invalid_request'])
  })
  await check('tolerated_audiences: [account] lets it in', async () => {
    const tolerant = await startBroker(world, keycloak, { tolerated_audiences: ['account'] }, 'chatty')
    await world.enrolAccount(tolerant, 'reports-sa')
    same((await exchange(tolerant, await clientToken(chatty))).status, 200)
    await tolerant.stop()
  })
  await check('an ID token in place of an access token is refused', async () => {
    const client = ['downscope', 'secret-of-downscope'] as const
    const { body } = await keycloak.token(client, { ...ann, scope: 'openid' })
    same(typeof body['id_token'], 'string', 'no ID token came')
    same(errorOf(await exchange(broker, String(body['id_token']))), [400, 'invalid_request'])
  })
  await check('a token of another realm is refused', async () => {
    const admin = { grant_type: 'password', username: 'admin', password: 'admin', client_id: 'admin-cli' }
    const { token } = await keycloak.token(['admin-cli', ''], admin, 'master')
    same(errorOf(await exchange(broker, token)), [400, 'invalid_request'])
  })
  await check('a key that the realm signs with at once is found at once', async () => {
    const before = keyIdOf(await clientToken(reporting))
    await rotateKeys(keycloak)
    const token = await clientToken(reporting)
    if (keyIdOf(token) === before) throw new Error('the realm did not rotate its key')
    same((await exchange(broker, token)).status, 200)
  })
  await check(
    'while the realm is down its tokens are good, and a broker that never read its keys says 503',
    async () => {
      const token = await clientToken(reporting)
      const fresh = await startBroker(world, keycloak)
      await world.enrolAccount(fresh, 'reports-sa')
      keycloak.pause()
      try {
        same((await exchange(broker, token)).status, 200)
        const { status, headers } = await exchange(fresh, token)
        same([status, headers.get('retry-after') !== null], [503, true])
      } finally {
        keycloak.resume()
      }
      await fresh.stop()
    },
  )
  await broker.stop()
}

function startBroker(
  world: TestWorld,
  { issuer }: Keycloak,
  more: object = {},
  client = 'reporting',
): Promise<BrokerProcess> {
  const rules = [
    {
      name: 'reporting reads',
      callers: [{ issuer: 'sso', subject: '*', claims: { client_id: client } }],
      credential: 'reports-sa',
      scopes: [scope],
    },
  ]
  const entry = { name: 'sso', issuer, keys: { discovery: true }, replay: 'allowed', ...more }
  return world.yard.start(brokerSettings(world, { issuers: [entry], rules }))
}

/** A policy's issuers and rules, with an administrator beside them. */
export function brokerSettings(
  world: TestWorld,
  { issuers = [], rules = [] }: { readonly issuers?: readonly object[]; readonly rules?: readonly object[] },
): BrokerSettings {
  const { ops } = world
  const own = {
    name: 'ops',
    issuer: 'ops',
    self_issued: true,
    keys: { jwks: { keys: [ops.signer.jwk] } },
    audiences: [brokerIssuer],
  }
  const admins = [{ callers: [{ issuer: 'ops', subject: 'ops' }], role: 'admin' }]
  const policy = { version: 1, issuers: [...issuers, own], rules, admins }
  return world.settings([], { DOWNSCOPE_ISSUER: issuerHere, DOWNSCOPE_POLICY_YAML: JSON.stringify(policy) })
}

/** The broker's answer to a token exchange with this token as proof. */
export function exchange(broker: BrokerProcess, token: string): Promise<Answer> {
  return post(broker, {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: token,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    audience: 'reports-sa',
  })
}

function errorOf({ status, body }: Answer): readonly unknown[] {
  return [status, body['error']]
}

function keyIdOf(token: string): unknown {
  const header: unknown = JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())
  return typeof header === 'object' && header !== null && 'kid' in header ? header.kid : undefined
}

/** A new RSA key of a higher priority signs from now on. */
async function rotateKeys(keycloak: Keycloak): Promise<void> {
  await keycloak.admin('POST', '/components', {
    name: 'rotated',
    providerId: 'rsa-generated',
    providerType: 'org.keycloak.keys.KeyProvider',
    config: { priority: ['200'], enabled: ['true'], active: ['true'], algorithm: ['RS256'] },
  })
}
