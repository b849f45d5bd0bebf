import { createServer } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { listenOnLoopback } from '../../test/support/listen.ts'
import { startBroker, type BrokerProcess, type BrokerWorld } from './broker.ts'
import { createCaller, tokenRequest, type BenchCaller } from './callers.ts'
import { runLoad } from './load.ts'
import { startServer, type ServerProcess } from './server-process.ts'
import { startWorkerBroker, startWorkerFloor } from './workerd.ts'

/** A server in the rounds. */
export interface Contender {
  readonly id: ContenderId
  readonly name: string
  /** Whether its requests carry a new JWT each, or the same few again and again, and those with a new boundary each. */
  readonly jwt: 'new' | 'repeated' | 'bounded'
  /** How often its broker asks upstream, all in all; absent: once. */
  readonly upstreamCalls?: number
  readonly server: ServerProcess
  /** Present for the broker, which writes an audit record for every token and asks upstream once. */
  readonly broker?: BrokerProcess
}

export type ContenderId =
  | 'floor'
  | 'hit'
  | 'watched'
  | 'repeated'
  | 'oidc-provider'
  | 'bounded-exchanged'
  | 'bounded-sealed'
  | 'sqlite'
  | 'firestore'
  | 'workerd-floor'
  | 'workerd-hit'

/** What each contender is compared with: the floor in the same runtime, or itself without what is measured. */
export function floorOf(id: ContenderId): ContenderId {
  if (id === 'watched') return 'hit'
  return id === 'workerd-floor' || id === 'workerd-hit' ? 'workerd-floor' : 'floor'
}

export const firestoreStore = 'firestore://bench'
export const firestoreRestStore = 'firestore+rest://bench'

/** Every contender, in the order in which they take their turns. */
const starters: readonly Starter[] = [
  { id: 'floor', name: 'floor: Hono + jose', jwt: 'new', start: (world) => startFloor(world) },
  { id: 'hit', name: 'cached hit, new JWT each time', jwt: 'new', startBroker: onStore('memory:') },
  {
    id: 'watched',
    name: 'cached hit, metrics, trail, 0.1 traced',
    jwt: 'new',
    startBroker: async (world, nodeArgs = []) => {
      const collector = await startCollector()
      const env = {
        DOWNSCOPE_METRICS_PORT: '0',
        DOWNSCOPE_AUDIT: 'stdout+store',
        OTEL_EXPORTER_OTLP_ENDPOINT: collector,
        OTEL_TRACES_SAMPLER_ARG: '0.1',
      }
      return startBroker(world, { name: 'broker that is watched', store: 'memory:', nodeArgs, env })
    },
  },
  { id: 'repeated', name: 'cached hit, repeated JWT', jwt: 'repeated', startBroker: onStore('memory:') },
  {
    id: 'bounded-exchanged',
    name: 'new boundary each time, exchanged',
    jwt: 'bounded',
    upstreamCalls: Infinity,
    startBroker: onStore('memory:'),
  },
  {
    id: 'bounded-sealed',
    name: 'new boundary each time, sealed',
    jwt: 'bounded',
    // A token without a boundary, one of the account for the exchange, and the intermediary token.
    upstreamCalls: 3,
    startBroker: onStore('memory:', { bounded_locally: true, accept_unproved: true }),
  },
  {
    id: 'oidc-provider',
    name: 'oidc-provider, same job',
    jwt: 'new',
    start: (world) => startOther(world, import.meta.resolve('./oidc-provider-server.ts')),
  },
  {
    id: 'sqlite',
    name: 'new JWT, replay: once on SQLite',
    jwt: 'new',
    startBroker: (world, nodeArgs) => onStore(sqliteStore(world))(world, nodeArgs),
  },
  { id: 'workerd-floor', name: 'floor in workerd: Hono + jose', jwt: 'new', start: startWorkerFloor },
  {
    id: 'workerd-hit',
    name: 'cached hit in workerd, new JWT',
    jwt: 'new',
    startBroker: startWorkerBroker,
  },
  {
    id: 'firestore',
    name: 'new JWT, replay: once on Firestore',
    jwt: 'new',
    startBroker: onStore(firestoreStore),
  },
]

/** Takes whatever is sent; ends with this process. */
async function startCollector(): Promise<string> {
  const server = createServer((incoming, outgoing) => {
    incoming.resume().once('end', () => outgoing.end('{}'))
  }).unref()
  return `http://127.0.0.1:${await listenOnLoopback(server)}`
}

type Starter = Omit<Contender, 'server' | 'broker'> &
  (
    | { readonly start: (world: BrokerWorld) => Promise<ServerProcess>; readonly startBroker?: never }
    | { readonly startBroker: StartBroker }
  )

type StartBroker = (world: BrokerWorld, nodeArgs?: readonly string[]) => Promise<BrokerProcess>

function onStore(store: string, options: object = {}): StartBroker {
  return (world, nodeArgs = []) =>
    startBroker(world, { name: `broker on ${store}`, store, options, nodeArgs })
}

/** Starts the broker of one row with other arguments for Node; throws where that row is no broker on Node. */
export async function startBrokerOf(
  world: BrokerWorld,
  id: ContenderId,
  nodeArgs: readonly string[],
): Promise<{ readonly jwt: Contender['jwt']; readonly server: ServerProcess }> {
  const starter = starters.find((one) => one.id === id)
  if (starter?.startBroker === undefined || floorOf(id) === 'workerd-floor')
    throw new Error(`${id} is no broker on Node`)
  return { jwt: starter.jwt, server: await starter.startBroker(world, nodeArgs) }
}

export const contenderIds: readonly ContenderId[] = starters.map(({ id }) => id)

/**
 * Starts those that are wanted, and the floors that they are compared with; the Firestore one only beside an emulator.
 */
export async function startContenders(
  world: BrokerWorld,
  isWanted: (id: ContenderId) => boolean,
): Promise<readonly Contender[]> {
  const canRun = (id: ContenderId): boolean => id !== 'firestore' || world.emulatorHost !== undefined
  const wanted = starters.filter(({ id }) => isWanted(id) && canRun(id))
  const floors = new Set(wanted.flatMap(({ id }) => [floorOf(id), floorOf(floorOf(id))]))
  const contenders: Contender[] = []
  for (const starter of starters) {
    if (!wanted.includes(starter) && !floors.has(starter.id)) continue
    const { id, name, jwt, upstreamCalls } = starter
    const what = { id, name, jwt, ...(upstreamCalls === undefined ? {} : { upstreamCalls }) }
    if (starter.startBroker === undefined) {
      contenders.push({ ...what, server: await starter.start(world) })
    } else {
      const broker = await starter.startBroker(world)
      contenders.push({ ...what, server: broker, broker })
    }
  }
  return contenders
}

export function sqliteStore({ place }: BrokerWorld): string {
  return `sqlite:${join(place.folder, 'store.db')}`
}

/** The caller whose JWTs a contender gets. */
function callerOf(world: BrokerWorld, { jwt }: Contender): BenchCaller {
  return jwt === 'new' ? world.once : world.workload
}

/**
 * Throws unless the contender answers as the bench takes for granted: a token for a good JWT, none for one that
 * another key signed, and for the same one again only where replay is allowed. The floor keeps no `jti`.
 */
export async function checkContender(world: BrokerWorld, contender: Contender): Promise<void> {
  const { id, name, jwt, server } = contender
  const caller = callerOf(world, contender)
  const demand = async (what: string, request: Uint8Array, expected: boolean): Promise<void> => {
    const { answered, faults } = await ask(server.port, request)
    if ((answered === 1) === expected) return
    throw new Error(`${name} ${expected ? 'refuses' : 'accepts'} ${what}: ${faults.join()}`)
  }
  const good = caller.request()
  const forger = createCaller(caller.issuer, caller.subject)
  await demand('a good JWT', good, true)
  await demand('a forged JWT', tokenRequest(forger.assertion()), false)
  if (floorOf(id) !== id) await demand('a JWT that was used', good, jwt !== 'new')
  if (contender.broker !== undefined) checkTokenReply((await ask(server.port, caller.request())).sample)
}

function ask(port: number, request: Uint8Array): ReturnType<typeof runLoad> {
  const requests = [request]
  return runLoad({
    port,
    connections: 1,
    durationMs: 1000,
    next: () => requests.pop(),
    meter: () => undefined,
  })
}

function checkTokenReply(text: string): void {
  const reply: unknown = JSON.parse(text)
  const isWhole =
    typeof reply === 'object' &&
    reply !== null &&
    'token_type' in reply &&
    reply.token_type === 'Bearer' &&
    'expires_in' in reply &&
    typeof reply.expires_in === 'number' &&
    reply.expires_in > 0 &&
    'scope' in reply
  if (!isWhole) throw new Error(`the broker's answer is not a whole token reply: ${text}`)
}

export function startFloor(world: BrokerWorld, nodeArgs: readonly string[] = []): Promise<ServerProcess> {
  return startOther(world, import.meta.resolve('./floor.ts'), nodeArgs)
}

/** Told whom to believe by the environment. */
function startOther(
  { once, place }: BrokerWorld,
  url: string,
  nodeArgs: readonly string[] = [],
): Promise<ServerProcess> {
  const { publicJwk, publicPem, issuer } = once
  const env = { BENCH_JWK: JSON.stringify(publicJwk), BENCH_SPKI: publicPem, BENCH_CALLER: issuer }
  return startServer({ name: url, args: [...nodeArgs, fileURLToPath(url)], env }, place)
}
