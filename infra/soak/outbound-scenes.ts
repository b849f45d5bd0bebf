import { createServer } from 'node:http'
import { isMembers, parseJsonObject } from '../../src/domain/json.ts'
import { startFaultProxy, type FaultProxy } from '../../test/support/fault-proxy.ts'
import { listenOnLoopback } from '../../test/support/listen.ts'
import type { BrokerProcess } from '../../test/support/spawn-broker.ts'
import { administer, askToken, type Answer } from '../../test/support/test-broker/ask.ts'
import { scopeOf, type TestWorld } from '../../test/support/test-broker/test-world.ts'
import { until } from '../../test/support/test-broker/until.ts'

/** One client of the broker: what stands before its server, and what makes it ask there anew each time. */
export interface Client {
  readonly name: string
  readonly proxy: FaultProxy
  readonly ask: (round: number) => Promise<Answer>
}

export interface Scene {
  readonly world: TestWorld
  readonly broker: BrokerProcess
  readonly clients: readonly Client[]
}

/**
 * The broker that runs on a machine of Google, which gives tokens of more scopes than it was asked for, so that
 * tokeninfo is asked too; keys that are rotated; and upstreams that are found by discovery. `faults`: how many there
 * will be, each of which meets something that was not asked before.
 */
export async function openRemaining(
  world: TestWorld,
  proxies: FaultProxy[],
  faults: number,
): Promise<readonly Scene[]> {
  const { google } = world
  const before = async (host: string): Promise<FaultProxy> => {
    const proxy = await startFaultProxy(host)
    proxies.push(proxy)
    return proxy
  }
  const own = await google.createServiceAccount({ email: 'machine@acme.iam.gserviceaccount.com' })
  google.runAs(own.client_email, { respectsScopes: false })
  const [metadata, tokeninfo, iam] = [
    await before(google.metadataHost),
    await before(google.metadataHost),
    await before(google.metadataHost),
  ]
  const site = await openDiscovery(before)
  const names = Array.from({ length: faults }, (_, index) => index)
  const upstreams = names.map((index) => ({
    name: `found-${index}`,
    issuer: `${site.origin}/i${index}`,
    discovery: true,
    client_auth: 'client_secret_basic',
  }))
  const found = ['orders:read']
  const rules = names.flatMap((index) => [
    world.rule(`machine-${index}`, [scopeOf('cloud-platform')]),
    world.rule(`checked-${index}`, [scopeOf('cloud-platform')]),
    world.rule(`found-${index}`, found),
  ])
  const policy = parseJsonObject(world.policy(rules))
  if (!isMembers(policy)) throw new Error('no policy')
  const broker = await world.yard.start(
    world.settings([], {
      DOWNSCOPE_POLICY_YAML: JSON.stringify({ ...policy, upstreams }),
      GCE_METADATA_HOST: metadata.host,
      GOOGLE_TOKENINFO_URL: `http://${tokeninfo.host}/tokeninfo`,
      GOOGLE_IAM_URL: `http://${iam.host}/iam`,
      DOWNSCOPE_LOG_LEVEL: 'error',
    }),
  )
  const enrol = async (body: object): Promise<void> => {
    const answer = await administer(broker, world.ops, { method: 'POST', path: 'credentials', body })
    if (answer.status !== 201) throw new Error(`${answer.status}: ${answer.text}`)
  }
  for (const index of names) {
    await enrol({ name: `machine-${index}`, secret: { type: 'broker_identity' } })
    await enrol({ name: `checked-${index}`, secret: { type: 'broker_identity' } })
    const client = { client_id: 'shop', client_secret: 'shop-secret-of-the-soak' }
    await enrol({
      name: `found-${index}`,
      upstream: `found-${index}`,
      secret: { type: 'oauth_client_credentials', ...client },
      scopes: found,
    })
    const file = await world.enrolAccount(broker, `rotated-${index}`)
    google.allowKeyAdministration(file.client_email, file.client_email)
  }
  /** The fault and the look afterwards are at the same place: what failed is what has to recover. */
  const ask =
    (name: string, asked: string) =>
    (round: number): Promise<Answer> =>
      askToken(broker, world.workload, { audience: `${name}-${Math.floor(round / 2)}`, scope: asked })
  const platform = scopeOf('cloud-platform')
  const scene = (clients: readonly Client[]): Scene => ({ world, broker, clients })
  return [
    // What is asked of tokeninfo is a token of the metadata server.
    scene([
      { name: 'metadata server', proxy: metadata, ask: ask('machine', platform) },
      { name: 'discovery', proxy: site.proxy, ask: ask('found', 'orders:read') },
      { name: 'IAM keys', proxy: iam, ask: (round) => rotate(broker, world, { round, proxy: iam }) },
    ]),
    scene([{ name: 'tokeninfo', proxy: tokeninfo, ask: ask('checked', platform) }]),
  ]
}

/** In even rounds it begins a rotation; in odd ones that one has left the steps that ask for its account's keys. */
async function rotate(
  broker: BrokerProcess,
  world: TestWorld,
  { round, proxy }: { readonly round: number; readonly proxy: FaultProxy },
): Promise<Answer> {
  const path = `credentials/rotated-${Math.floor(round / 2)}`
  if (round % 2 === 0) {
    const begun = await administer(broker, world.ops, { method: 'POST', path: `${path}:rotate`, body: {} })
    // It is asked after the answer.
    await until('the keys are asked for', () => proxy.met() > 0, { ms: 20_000 }).catch(() => undefined)
    return begun
  }
  await administer(broker, world.ops, { method: 'POST', path: 'maintenance:run', body: {} })
  const answer = await administer(broker, world.ops, { method: 'GET', path })
  const { rotation } = answer.body
  const step = isMembers(rotation) ? String(rotation['step']) : 'over'
  return stepsBeforeKey.has(step) ? { ...answer, status: 503 } : answer
}

const stepsBeforeKey: ReadonlySet<string> = new Set(['count', 'generate', 'upload', 'create'])

/** One server that is as many issuers as are asked for, behind a proxy. */
async function openDiscovery(before: (host: string) => Promise<FaultProxy>) {
  let origin = ''
  const server = createServer((request, response) => {
    const issuer = `${origin}/${/i\d+/.exec(request.url ?? '')?.[0]}`
    const token = {
      access_token: 'of-the-soak',
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'orders:read',
    }
    const said = { issuer, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/jwks` }
    response.setHeader('content-type', 'application/json')
    request.resume().once('end', () => response.end(JSON.stringify(request.method === 'POST' ? token : said)))
  })
  const proxy = await before(`127.0.0.1:${await listenOnLoopback(server)}`)
  server.unref()
  origin = `http://${proxy.host}`
  return { proxy, origin }
}
