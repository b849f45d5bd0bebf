import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { startFaultProxy, tcpFaults, type FaultProxy } from '../../test/support/fault-proxy.ts'
import { startAuthorizationServer } from '../../test/support/oidc-provider/authorization-server.ts'
import { createRandom, type Random } from '../../test/support/random.ts'
import type { BrokerProcess, BrokerSettings } from '../../test/support/spawn-broker.ts'
import { findEmulator, startFirestoreEmulator } from '../../test/support/start-firestore-emulator.ts'
import { administer, askToken, type Answer } from '../../test/support/test-broker/ask.ts'
import { scopeOf, type TestWorld } from '../../test/support/test-broker/test-world.ts'
import { jsonObject } from '../../test/support/test-broker/json.ts'
import { attacks, peakResidentMiB } from './hostile-clients.ts'
import { stopFor } from './kill-rotation.ts'
import { inTestWorld, type Proof } from './proof.ts'
import { client, enrolShop, scopes as shopScopes } from './upstream-rotation.ts'

const scope = scopeOf('devstorage.read_only')
const accounts = Array.from({ length: 10 }, (_, index) => `account-${index}`)
const accessTokenSeconds = 5
const tokenLifetime = 90
const residentMiBMax = 512
/** How much more of its heap a process may use after the last quarter of the time than after the second. */
const growthMax = 1.15
/** A process may be stopped for as long as this; whoever asked it waits meanwhile. */
const stoppedSecondsMax = 10
const answerMsMax = (stoppedSecondsMax + 10) * 1_000
const calmMs = 40_000
const shownMax = 5

interface Scene {
  readonly world: TestWorld
  readonly settings: BrokerSettings
  /** The first is there from the beginning to the end, the second is replaced now and then. */
  readonly brokers: BrokerProcess[]
  /** All that there were. */
  readonly started: BrokerProcess[]
  readonly server: Awaited<ReturnType<typeof startAuthorizationServer>>
  /** Before Google's token endpoint and before the store. */
  readonly proxies: readonly FaultProxy[]
  readonly random: Random
  readonly isOver: () => boolean
}

interface Tally {
  readonly statuses: Record<string, number>
  readonly rotations: Record<string, number>
  readonly wrong: string[]
  /** The request ids of the tokens that came. */
  readonly issued: string[]
  slowestMs: number
  events: number
}

/**
 * For so many minutes everything at once: two brokers on one store under load, tokens that live for seconds, refresh
 * tokens that rotate, keys that are rotated, upstream and store that stop speaking HTTP, processes that are stopped and
 * replaced, and hostile clients. Nothing is lost, no token is wrong, and memory stays flat.
 */
export const proveEverything = (minutes: number, seed: number): Proof =>
  inTestWorld(async (world, say) => {
    const emulator = await openEmulator()
    const server = await startAuthorizationServer({
      scopes: shopScopes,
      accessTokenSeconds,
      clients: [{ ...client, token_endpoint_auth_method: 'client_secret_basic' }],
    })
    const proxies: FaultProxy[] = []
    try {
      const endMs = performance.now() + minutes * 60_000
      const scene = await openScene(
        world,
        { server, proxies, emulatorPort: emulator?.port },
        () => performance.now() > endMs,
        createRandom(seed),
      )
      say(
        `two brokers on ${emulator === undefined ? 'SQLite' : 'the Firestore emulator'} for ${minutes} minutes, seed ${seed}`,
      )
      return await run(scene, minutes, say)
    } finally {
      await Promise.all(proxies.map((proxy) => proxy.stop()))
      await server.close()
      await emulator?.stop()
    }
  })

async function run(scene: Scene, minutes: number, say: (line: string) => void): Promise<readonly string[]> {
  const { brokers, server } = scene
  const tally: Tally = { statuses: {}, rotations: {}, wrong: [], issued: [], slowestMs: 0, events: 0 }
  const memory: Memory = { heaps: [], peak: 0 }
  await Promise.all([
    ...Array.from({ length: 4 }, () => keepAsking(scene, tally)),
    keepRotating(scene, tally),
    keepDisturbing(scene, tally, { deck: deckOfDisturbances(scene), say }),
    keepDisturbing(scene, tally, { deck: Object.keys(attacks).map((name) => attackAs(scene, name)), say }),
    watchMemory(scene, memory, minutes),
  ])
  for (const proxy of scene.proxies) proxy.fail()
  await wait(calmMs)
  const lost = await askForAll(scene)
  for (const broker of brokers) await broker.stop()
  const [, second = NaN, , last = NaN] = memory.heaps
  const revoked = server.storage.revokedGrants().length
  const unrecorded = withoutOneRecord(scene, tally.issued)
  say(
    `${JSON.stringify(tally.statuses)} answers, the slowest after ${Math.round(tally.slowestMs)} ms; ${tally.events} disturbances, ${server.posts()} refreshes, ${revoked} families revoked, rotations asked for: ${JSON.stringify(tally.rotations)}`,
  )
  const turns = scene.started.map((broker, at) => ({ at, ...broker.longest() }))
  const longest = turns.toSorted((one, other) => other.ms - one.ms)[0]
  say(
    `longest turn: ${Math.round(longest?.ms ?? 0)} ms of CPU, of broker ${longest?.at} of ${turns.length}: ${longest?.requests}`,
  )
  say(
    `heap of the broker that was never replaced: ${memory.heaps.join(', ')} MiB in use after each quarter of ${minutes} minutes; memory of any broker: at most ${memory.peak} MiB`,
  )
  return [
    ...tally.wrong.slice(0, shownMax),
    ...(tally.wrong.length > shownMax ? [`${tally.wrong.length} faults in all`] : []),
    ...lost.map((name) => `${name} gives no token after it was calm again`),
    ...(revoked > 0 ? [`${revoked} families of refresh tokens were revoked`] : []),
    ...(unrecorded > 0 ? [`${unrecorded} tokens without one audit record of their own`] : []),
    ...(memory.peak > residentMiBMax ? [`a process had ${memory.peak} MiB`] : []),
    ...(last <= second * growthMax ? [] : [`the heap in use grew from ${second} to ${last} MiB`]),
    ...(tally.issued.length === 0 ? ['no token was given'] : []),
  ]
}

/** P27: how many of these requests have no audit record of a token, or more than one. */
function withoutOneRecord({ started }: Scene, issued: readonly string[]): number {
  const records = new Map<string, number>()
  for (const broker of started)
    for (const [line] of broker.stdout().matchAll(/^.*"outcome":"issued".*$/gm)) {
      const id = /"request_id":"(?<id>[^"]+)"/.exec(line)?.groups?.['id'] ?? ''
      records.set(id, (records.get(id) ?? 0) + 1)
    }
  return issued.filter((id) => records.get(id) !== 1).length
}

interface Around {
  readonly server: Scene['server']
  readonly proxies: FaultProxy[]
  readonly emulatorPort: number | undefined
}

async function openScene(
  world: TestWorld,
  { server, proxies, emulatorPort }: Around,
  isOver: () => boolean,
  random: Random,
): Promise<Scene> {
  const { google } = world
  google.tune({ tokenLifetime, keyPropagation: 3 })
  const tokenUrl = new URL(google.endpoints.GOOGLE_OAUTH_TOKEN_URL)
  const upstream = await startFaultProxy(tokenUrl.host)
  proxies.push(upstream)
  let store: BrokerSettings = { DOWNSCOPE_STORE: `sqlite:${join(world.folder, 'store.db')}` }
  if (emulatorPort !== undefined) {
    const proxy = await startFaultProxy(`127.0.0.1:${emulatorPort}`)
    proxies.push(proxy)
    store = { DOWNSCOPE_STORE: 'firestore://everything', FIRESTORE_EMULATOR_HOST: proxy.host }
  }
  const rules = [...accounts.map((name) => world.rule(name, [scope])), world.rule('shop', ['orders:read'])]
  const upstreams = [
    { name: 'sso', issuer: server.issuer, discovery: true, client_auth: 'client_secret_basic' },
  ]
  const settings = world.settings([], {
    ...store,
    DOWNSCOPE_POLICY_YAML: JSON.stringify({ ...jsonObject(world.policy(rules)), upstreams }),
    GOOGLE_OAUTH_TOKEN_URL: `http://${upstream.host}${tokenUrl.pathname}`,
    DOWNSCOPE_LOG_LEVEL: 'error',
  })
  const brokers = [await world.yard.start(settings), await world.yard.start(settings)]
  const started = [...brokers]
  const [first] = brokers
  if (first === undefined) throw new Error('no broker')
  for (const name of accounts) {
    const { client_email: email } = await world.enrolAccount(first, name)
    google.allowKeyAdministration(email, email)
  }
  await enrolShop(world, first, await server.createRefreshToken(client.client_id, shopScopes))
  return { world, settings, brokers, started, server, proxies, random, isOver }
}

async function keepAsking(scene: Scene, tally: Tally): Promise<void> {
  const { random, isOver } = scene
  while (!isOver()) {
    const audience = random.chance(0.3) ? 'shop' : random.oneOf(accounts)
    const broker = random.oneOf(scene.brokers)
    const answer = await ask(scene, broker, audience).catch((error: unknown) => error)
    note(tally, answer)
    if (isAnswer(answer)) tally.wrong.push(...(await judge(scene, audience, answer)))
    await wait(20 + random.below(80))
  }
}

function ask({ world }: Scene, broker: BrokerProcess, audience: string): Promise<Answer> {
  return askToken(broker, world.workload, { audience, ...(audience === 'shop' ? {} : { scope }) })
}

function isAnswer(answer: unknown): answer is Answer {
  return typeof answer === 'object' && answer !== null && 'tookMs' in answer
}

/** Whoever asks a process that is being replaced is hung up on. */
function note(tally: Tally, answer: unknown): void {
  count(tally.statuses, isAnswer(answer) ? String(answer.status) : 'hung up on')
  if (!isAnswer(answer)) return
  if (answer.status === 200) tally.issued.push(answer.requestId)
  tally.slowestMs = Math.max(tally.slowestMs, answer.tookMs)
}

function count(counts: Record<string, number>, what: string): void {
  counts[what] = (counts[what] ?? 0) + 1
}

/** 502: what an upstream sent to nobody is read as its answer by whoever asks next, and is no answer. */
const planned: ReadonlySet<number> = new Set([200, 502, 503])

/** What is wrong with an answer: one that must not be, one that is late, a token that carries what nobody asked for. */
async function judge({ world, server }: Scene, audience: string, answer: Answer): Promise<readonly string[]> {
  const { status, token, tookMs, text } = answer
  const faults: string[] = []
  if (!planned.has(status)) faults.push(`${audience}: ${status} ${text}`)
  if (tookMs > answerMsMax) faults.push(`${audience}: ${status} after ${Math.round(tookMs)} ms`)
  if (status !== 200) return faults
  const carried = audience === 'shop' ? await server.scopesOf(token) : world.google.token(token)?.scopes
  const wanted = audience === 'shop' ? 'orders:read' : scope
  // One that ended a moment ago is not known any more.
  if (carried?.some((one) => one !== wanted) === true)
    faults.push(`${audience}: a token that carries ${carried.join(' ')}`)
  if (Number(answer.body['expires_in']) <= 0) faults.push(`${audience}: a token that has ended`)
  return faults
}

async function keepRotating({ world, brokers, random, isOver }: Scene, tally: Tally): Promise<void> {
  while (!isOver()) {
    const post = (path: string) => administer(random.oneOf(brokers), world.ops, { method: 'POST', path })
    const { status, text } = await post(`credentials/${random.oneOf(accounts)}:rotate`).catch(hungUp)
    count(tally.rotations, status === 0 ? 'hung up on' : String(status))
    if (![200, 409, 503, 0].includes(status)) tally.wrong.push(`rotating: ${status} ${text}`)
    await post('maintenance:run').catch(hungUp)
    await wait(5_000)
  }
}

const hungUp = () => ({ status: 0, text: '' })

/** Takes its time, and gives back what it was. */
type Disturbance = () => Promise<string>

/** One after the other, and some quiet after each; all of them again and again, each time in another order. */
async function keepDisturbing(
  { random, isOver }: Scene,
  tally: Tally,
  { deck, say }: { readonly deck: readonly Disturbance[]; readonly say: (line: string) => void },
): Promise<void> {
  let rest: Disturbance[] = []
  while (!isOver()) {
    if (rest.length === 0) rest = [...deck]
    const [disturb] = rest.splice(random.below(rest.length), 1)
    say((await disturb?.()) ?? '')
    tally.events += 1
    await wait(2_000 + random.below(5_000))
  }
}

/** Upstream and store meet each fault, both brokers are stopped, the second is replaced. */
function deckOfDisturbances(scene: Scene): readonly Disturbance[] {
  const { world, settings, brokers, started, proxies, random } = scene
  const faults = proxies.flatMap((proxy, at) =>
    tcpFaults.map((fault): Disturbance => async () => {
      const seconds = drawSeconds(random)
      proxy.fail(fault)
      await wait(seconds * 1_000)
      proxy.fail()
      return `the ${at === 0 ? 'upstream' : 'store'}: ${fault} for ${seconds} s`
    }),
  )
  const pause: Disturbance = async () => {
    const place = random.below(brokers.length)
    const seconds = drawSeconds(random)
    const broker = brokers[place]
    if (broker !== undefined) await stopFor(broker, seconds)
    return `broker ${place} stopped for ${seconds} s`
  }
  const replace: Disturbance = async () => {
    const [, former] = brokers
    const next = await world.yard.start(settings)
    started.push(next)
    brokers[1] = next
    await former?.stop()
    return 'broker 1 replaced'
  }
  return [...faults, ...Array.from({ length: 5 }, () => [pause, pause, replace]).flat()]
}

function attackAs({ brokers, random }: Scene, name: string): Disturbance {
  return async () => {
    const untilMs = performance.now() + drawSeconds(random) * 1_000
    const times = await attacks[name]?.(random.oneOf(brokers).port, () => performance.now() > untilMs)
    return `clients that ${name}: ${times} times`
  }
}

function drawSeconds(random: Random): number {
  return 1 + random.below(stoppedSecondsMax)
}

interface Memory {
  /** Of the first broker, after each quarter of the time. */
  readonly heaps: number[]
  peak: number
}

async function watchMemory({ brokers }: Scene, memory: Memory, minutes: number): Promise<void> {
  const startedMs = performance.now()
  while (memory.heaps.length < 4) {
    await wait(1_000)
    memory.peak = Math.max(memory.peak, ...brokers.map(({ pid }) => peakResidentMiB(pid)))
    if (performance.now() - startedMs < ((memory.heaps.length + 1) / 4) * minutes * 60_000) continue
    memory.heaps.push(Math.round((await brokers[0]?.heapMiB()) ?? NaN))
  }
}

/** The credentials that give no token at one of the brokers. */
async function askForAll(scene: Scene): Promise<readonly string[]> {
  const lost: string[] = []
  for (const broker of scene.brokers)
    for (const name of [...accounts, 'shop']) {
      const { status } = await ask(scene, broker, name)
      if (status !== 200) lost.push(`${name} (${status})`)
    }
  return lost
}

async function openEmulator() {
  const files = findEmulator()
  return files.found ? startFirestoreEmulator(files) : undefined
}
