import { setTimeout as wait } from 'node:timers/promises'
import { startFaultProxy, tcpFaults, type FaultProxy, type TcpFault } from '../../test/support/fault-proxy.ts'
import { findEmulator, startFirestoreEmulator } from '../../test/support/start-firestore-emulator.ts'
import type { BrokerProcess, BrokerSettings } from '../../test/support/spawn-broker.ts'
import { administer, askToken, type Answer } from '../../test/support/test-broker/ask.ts'
import { scopeOf, type TestWorld } from '../../test/support/test-broker/test-world.ts'
import { openRemaining, type Client, type Scene } from './outbound-scenes.ts'
import { inTestWorld, type Proof } from './proof.ts'

/** What is promised of every answer. */
const answerMsMax = 10_000
/** A look at an issuer's keys is made at most every 30 s. */
const recoveryMsMax = 60_000
/** Draining gives up after 8 s. */
const endMsMax = 5_000
const scope = scopeOf('devstorage.read_only')
const keyName = 'projects/acme/locations/eu/keyRings/downscope/cryptoKeys/store'
const bounded = {
  accessBoundary: {
    accessBoundaryRules: [
      {
        availableResource: '//storage.googleapis.com/projects/_/buckets/reports',
        availablePermissions: ['inRole:roles/storage.objectViewer'],
      },
    ],
  },
}

/**
 * Before each server that the broker asks stands a proxy that stops speaking HTTP in ten ways. Everything is answered
 * within 10 s, a minute after the fault is over the same request is answered 200, and in the end nothing is under way.
 */
export const proveOutboundFaults: Proof = inTestWorld(async (world, say) => {
  const faults: string[] = []
  let tried = 0
  const proxies: FaultProxy[] = []
  const emulator = await openEmulator()
  try {
    const scenes = [
      ...(await openGoogle(world, proxies)),
      await openKms(world, proxies),
      ...(await openRemaining(world, proxies, tcpFaults.length)),
    ]
    if (emulator === undefined) say('no Firestore emulator here: its clients are left out')
    else
      for (const scheme of ['firestore', 'firestore+rest'])
        scenes.push(await openFirestore(world, proxies, { scheme, port: emulator.port }))
    for (const [round, fault] of tcpFaults.entries())
      for (const scene of scenes) {
        const found = await playFault(scene, fault, round)
        tried += scene.clients.length
        faults.push(...found)
        for (const one of found) say(one)
      }
    for (const broker of new Set(scenes.map((scene) => scene.broker)))
      faults.push(...(await stopAtOnce(broker)))
    say(`${tried} pairs of client and fault tried: ${tcpFaults.join(', ')}`)
  } finally {
    await Promise.all(proxies.map((proxy) => proxy.stop()))
    await emulator?.stop()
  }
  return faults
})

/** With nothing under way a process ends at once; what never settled would be waited for. */
async function stopAtOnce(broker: BrokerProcess): Promise<readonly string[]> {
  const startedMs = performance.now()
  await broker.stop()
  const tookMs = Math.round(performance.now() - startedMs)
  const stopped = broker.lines().find(({ message }) => message === 'stopped')
  const abandoned = Number(stopped?.['abandoned'] ?? 0)
  return [
    ...(tookMs > endMsMax ? [`something was still under way: draining took ${tookMs} ms`] : []),
    ...(abandoned > 0 ? [`${abandoned} requests and works were abandoned`] : []),
  ]
}

async function playFault({ clients }: Scene, fault: TcpFault, round: number): Promise<readonly string[]> {
  const faults: string[] = []
  for (const { proxy } of clients) proxy.fail(fault)
  await Promise.all(
    clients.map(async ({ name, proxy, ask }) => {
      const answer = await ask(2 * round).catch((error: unknown) => String(error))
      if (typeof answer === 'string') faults.push(`${name}, ${fault}: no answer (${answer})`)
      else if (answer.tookMs > answerMsMax) faults.push(`${name}, ${fault}: ${Math.round(answer.tookMs)} ms`)
      if (proxy.met() === 0) faults.push(`${name}, ${fault}: nobody came, so that this says nothing`)
    }),
  )
  for (const { proxy } of clients) proxy.fail()
  await Promise.all(
    clients.map(async ({ name, ask }) => {
      const untilMs = performance.now() + recoveryMsMax
      for (;;) {
        const status = await ask(2 * round + 1).then((answer) => answer.status, String)
        if (status === 200) return
        if (performance.now() > untilMs)
          return void faults.push(`${name}, ${fault}: ${status} a minute after it was over`)
        await wait(1_000)
      }
    }),
  )
  return faults
}

const rounds = tcpFaults.length * 2

/** What is asked with a token of the token endpoint has a turn of its own, while that one answers. */
async function openGoogle(world: TestWorld, proxies: FaultProxy[]): Promise<readonly Scene[]> {
  const { google, billing } = world
  const proxied: Record<string, FaultProxy> = {}
  const moved: Record<string, string> = {}
  for (const [setting, url] of Object.entries(google.endpoints)) {
    const { host, pathname } = new URL(url)
    const proxy = await startFaultProxy(host)
    proxies.push(proxy)
    proxied[setting] = proxy
    moved[setting] = `http://${proxy.host}${pathname === '/' ? '' : pathname}`
  }
  const own = await google.createServiceAccount({ email: 'downscope@acme.iam.gserviceaccount.com' })
  const names = (kind: string): readonly string[] =>
    Array.from({ length: rounds }, (_, index) => `${kind}-${index}`)
  const rules = ['key', 'bounded', 'acting', 'keyed'].flatMap((kind) =>
    names(kind).map((name) => world.rule(name, [scope])),
  )
  const settings = world.settings(rules, {
    ...moved,
    DOWNSCOPE_GOOGLE_CREDENTIALS: JSON.stringify(own),
    DOWNSCOPE_LOG_LEVEL: 'error',
  })
  const keySite = await movedKeys(world, settings, proxies)
  const broker = await world.yard.start(keySite.settings)
  const target = await google.createServiceAccount({ email: 'target@acme.iam.gserviceaccount.com' })
  google.allowImpersonation(own.client_email, target.client_email)
  for (const name of names('bounded')) await world.enrolAccount(broker, name)
  for (const name of names('key')) await world.enrolAccount(broker, name)
  for (const name of names('revoked')) await world.enrolGrant(broker, name, { scopes: [scope] })
  for (const name of names('keyed')) await world.enrolAccount(broker, name)
  for (const name of names('acting'))
    await expectDone(
      administer(broker, world.ops, {
        method: 'POST',
        path: 'credentials',
        body: { name, secret: { type: 'impersonation', service_account: target.client_email } },
      }),
      201,
    )
  const proxyOf = (setting: string): FaultProxy => {
    const proxy = proxied[setting]
    if (proxy === undefined) throw new Error(`nothing stands before ${setting}`)
    return proxy
  }
  const ask = (audience: string, more: Readonly<Record<string, string>> = {}): Promise<Answer> =>
    askToken(broker, billing, { audience, scope, ...more })
  const first: readonly Client[] = [
    {
      name: 'token endpoint',
      proxy: proxyOf('GOOGLE_OAUTH_TOKEN_URL'),
      ask: (round) => ask(`key-${round}`),
    },
    {
      name: 'revocation',
      proxy: proxyOf('GOOGLE_REVOKE_URL'),
      ask: (round) =>
        administer(broker, world.ops, { method: 'POST', path: `credentials/revoked-${round}:revoke` }),
    },
    { name: 'JWK set', proxy: keySite.proxy, ask: (round) => askWithKey(broker, world, round) },
  ]
  const second: readonly Client[] = [
    {
      name: 'STS',
      proxy: proxyOf('GOOGLE_STS_TOKEN_URL'),
      ask: (round) => ask(`bounded-${round}`, { options: JSON.stringify(bounded) }),
    },
    {
      name: 'IAM Credentials',
      proxy: proxyOf('GOOGLE_IAM_CREDENTIALS_URL'),
      ask: (round) => ask(`acting-${round}`),
    },
  ]
  return [first, second].map((clients) => ({ world, broker, clients }))
}

/** In even rounds by a key that the broker has not seen, so that it looks for it. */
async function askWithKey(broker: BrokerProcess, world: TestWorld, round: number): Promise<Answer> {
  const { workload } = world
  if (round % 2 === 1) return askToken(broker, workload, { audience: 'keyed-0', scope })
  const [, payload = ''] = (await workload.jwt()).split('.')
  const header = Buffer.from(JSON.stringify({ alg: 'RS256', kid: `unknown-${round}` })).toString('base64url')
  const jwt = async () => `${header}.${payload}.${'A'.repeat(342)}`
  return askToken(broker, { ...workload, jwt }, { audience: 'keyed-0', scope })
}

/** The same issuer, whose keys lie behind a proxy. */
async function movedKeys(world: TestWorld, settings: BrokerSettings, proxies: FaultProxy[]) {
  const proxy = await startFaultProxy(new URL(world.site.keysUrl).host)
  proxies.push(proxy)
  const policy = settings['DOWNSCOPE_POLICY_YAML'] ?? ''
  const jwks = `{"jwks_uri":"http://${proxy.host}/jwks"}`
  const moved = policy.replace(`{"jwks_uri":"${world.site.keysUrl}"}`, jwks)
  if (moved === policy) throw new Error('the policy has no issuer to move')
  return {
    proxy,
    settings: { ...settings, DOWNSCOPE_POLICY_YAML: moved },
  }
}

async function openKms(world: TestWorld, proxies: FaultProxy[]): Promise<Scene> {
  const { google, billing } = world
  const own = await google.createServiceAccount({ email: 'kms@acme.iam.gserviceaccount.com' })
  google.createCryptoKey(keyName)
  google.allowCryptoKey(own.client_email, keyName)
  const kms = await startFaultProxy(new URL(google.endpoints.GOOGLE_KMS_URL).host)
  proxies.push(kms)
  const settings = world.settings([world.rule('sealed', [scope])], {
    DOWNSCOPE_KEYS: '',
    DOWNSCOPE_KEY_RING: `gcp-kms://${keyName}`,
    DOWNSCOPE_GOOGLE_CREDENTIALS: JSON.stringify(own),
    GOOGLE_KMS_URL: `http://${kms.host}${new URL(google.endpoints.GOOGLE_KMS_URL).pathname}`,
    DOWNSCOPE_LOG_LEVEL: 'error',
  })
  const broker = await world.yard.start(settings)
  await world.enrolAccount(broker, 'sealed')
  return {
    world,
    broker,
    // A rewrap asks Cloud KMS whether its key has a new version, each time.
    clients: [
      {
        name: 'Cloud KMS',
        proxy: kms,
        ask: () => administer(broker, world.ops, { method: 'POST', path: 'keys:rewrap', body: {} }),
      },
    ].map((client) => ({ ...client, billing })),
  }
}

async function openFirestore(
  world: TestWorld,
  proxies: FaultProxy[],
  { scheme, port }: { readonly scheme: string; readonly port: number },
): Promise<Scene> {
  const proxy = await startFaultProxy(`127.0.0.1:${port}`)
  proxies.push(proxy)
  const settings = world.settings([world.rule('stored', [scope])], {
    DOWNSCOPE_STORE: `${scheme}://faults-${scheme.length}`,
    FIRESTORE_EMULATOR_HOST: proxy.host,
    DOWNSCOPE_LOG_LEVEL: 'error',
  })
  const broker = await world.yard.start(settings)
  await world.enrolAccount(broker, 'stored')
  return {
    world,
    broker,
    clients: [
      {
        name: `Firestore by ${scheme === 'firestore' ? 'gRPC' : 'REST'}`,
        proxy,
        ask: () => administer(broker, world.ops, { method: 'GET', path: 'credentials/stored' }),
      },
    ],
  }
}

async function openEmulator() {
  const files = findEmulator()
  return files.found ? startFirestoreEmulator(files) : undefined
}

async function expectDone(asked: Promise<Answer>, status: number): Promise<void> {
  const answer = await asked
  if (answer.status !== status) throw new Error(`${answer.status} instead of ${status}: ${answer.text}`)
}
