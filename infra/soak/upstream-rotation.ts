import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { isMembers, parseJsonObject } from '../../src/domain/json.ts'
import { startAuthorizationServer } from '../../test/support/oidc-provider/authorization-server.ts'
import type { BrokerProcess } from '../../test/support/spawn-broker.ts'
import { administer, askToken } from '../../test/support/test-broker/ask.ts'
import type { TestWorld } from '../../test/support/test-broker/test-world.ts'
import { inTestWorld } from './proof.ts'

const cyclesWanted = 500
const accessTokenSeconds = 3
const minutesMax = 60
export const scopes = ['orders:read', 'orders:write']
export const client = { client_id: 'shop', client_secret: 'shop-secret-of-the-soak' }

/**
 * Two brokers over one SQLite store hand out tokens of one rotating refresh token through 500 expiries, of a certified
 * server that revokes the whole family when a refresh token comes twice. Callers ask both all the time.
 */
export const proveUpstreamRotation = inTestWorld(async (world, say) => {
  const server = await startAuthorizationServer({
    scopes,
    accessTokenSeconds,
    clients: [{ ...client, token_endpoint_auth_method: 'client_secret_basic' }],
  })
  try {
    const brokers = await startBrokers(world, server.issuer)
    const refreshToken = await server.createRefreshToken(client.client_id, scopes)
    await enrolShop(world, brokers[0], refreshToken)
    const tally: Tally = { asked: 0, busy: 0, faults: [], tokens: new Set(), isDone: false }
    const load = brokers.flatMap((broker) => [
      keepAsking(world, broker, tally),
      keepAsking(world, broker, tally),
    ])
    const endMs = performance.now() + minutesMax * 60_000
    let told = 0
    while (server.posts() < cyclesWanted && performance.now() < endMs) {
      await wait(200)
      if (server.storage.revokedGrants().length > 0) break
      if (server.posts() < told + 50) continue
      told = server.posts()
      say(`${told} refreshes, ${tally.asked} tokens asked for, ${tally.busy} told to wait`)
    }
    tally.isDone = true
    await Promise.all(load)
    await Promise.all(brokers.map((broker) => broker.stop()))
    const { posts, storage } = server
    say(`${posts()} refreshes gave ${tally.tokens.size} tokens to ${tally.asked} requests at two brokers`)
    say(
      `${storage.valuesOf('RefreshToken').length} refresh tokens used, ${storage.revokedGrants().length} families revoked`,
    )
    return [
      ...(tally.faults.length > 0 ? [`${tally.faults.length} requests failed`] : []),
      ...tally.faults.slice(0, 3),
      ...(storage.revokedGrants().length > 0 ? ['a family was revoked'] : []),
      ...(posts() < cyclesWanted ? [`only ${posts()} refreshes`] : []),
      ...(storage.valuesOf('RefreshToken').length < posts() ? ['refreshes did not rotate'] : []),
    ]
  } finally {
    await server.close()
  }
})

interface Tally {
  asked: number
  busy: number
  readonly faults: string[]
  readonly tokens: Set<string>
  isDone: boolean
}

export async function startBrokers(
  world: TestWorld,
  issuer: string,
): Promise<readonly [BrokerProcess, BrokerProcess]> {
  const policy = parseJsonObject(world.policy([world.rule('shop', ['orders:read'])]))
  if (!isMembers(policy)) throw new Error('no policy')
  const upstreams = [{ name: 'sso', issuer, discovery: true, client_auth: 'client_secret_basic' }]
  const settings = world.settings([], {
    DOWNSCOPE_STORE: `sqlite:${join(world.folder, 'store.db')}`,
    DOWNSCOPE_POLICY_YAML: JSON.stringify({ ...policy, upstreams }),
    DOWNSCOPE_LOG_LEVEL: 'error',
  })
  const first = await world.yard.start(settings)
  return [first, await world.yard.start(settings)]
}

export async function enrolShop(
  world: TestWorld,
  broker: BrokerProcess,
  refreshToken: string,
): Promise<void> {
  const secret = { type: 'oauth_refresh_token', ...client, refresh_token: refreshToken }
  const body = { name: 'shop', upstream: 'sso', secret, scopes }
  const answer = await administer(broker, world.ops, { method: 'POST', path: 'credentials', body })
  if (answer.status !== 201) throw new Error(`not enrolled: ${answer.status} ${answer.text}`)
}

async function keepAsking(world: TestWorld, broker: BrokerProcess, tally: Tally): Promise<void> {
  while (!tally.isDone) {
    const { status, token, text, body, requestId } = await askToken(broker, world.workload, {
      audience: 'shop',
    })
    tally.asked += 1
    if (status === 200) tally.tokens.add(token)
    // "Another is getting it": who waits 3 s is told to come back.
    else if (body['error'] === 'temporarily_unavailable') tally.busy += 1
    else tally.faults.push(`${status} ${text}: ${reasonOf(broker, requestId)}`)
    await wait(50 + Math.random() * 100)
  }
}

/** Every line that the broker wrote of that request. */
function reasonOf(broker: BrokerProcess, requestId: string): string {
  const lines = broker.stdout().split('\n')
  return lines.filter((line) => line.includes(requestId)).join(' ')
}
