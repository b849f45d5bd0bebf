import { connect } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { freePort } from '../../test/support/free-port.ts'
import { brokerEnvironment, brokerFile, startBroker, type BrokerWorld } from './broker.ts'
import { signBatch } from './callers.ts'
import { firestoreRestStore, firestoreStore, sqliteStore, type ContenderId } from './contenders.ts'
import { runLoad } from './load.ts'
import { readAnswer } from './read-answer.ts'
import { launch, startServer, type LaunchedProcess, type ServerCommand } from './server-process.ts'

export type ColdStartId = 'bare' | 'sqlite-start' | 'sdk-start' | 'rest-start'

export const coldStartIds: readonly ColdStartId[] = ['bare', 'sqlite-start', 'sdk-start', 'rest-start']

/** How long each start took until the first token, round by round. */
export interface ColdStart {
  readonly id: ColdStartId
  readonly name: string
  readonly firstAnswerMs: readonly number[]
}

interface Starter extends ServerCommand {
  readonly id: ColdStartId
}

const answerMsMax = 20_000
/** The emulator is a Java program: its first thousand answers over REST take ten times as long as the later ones. */
const emulatorRequests = 3_000

export interface ColdStartOptions {
  readonly rounds: number
  readonly bareFile: string
  readonly isWanted: (id: ColdStartId) => boolean
  /** Whose stores have the credential already. */
  readonly enrolled: ReadonlySet<ContenderId>
}

/**
 * From the start of a process to its first token, in interleaved rounds after one that is not counted. The broker is
 * a new instance beside others: the credential is enrolled and the store holds a token that another instance minted.
 * A bare node:http process's first answer comes first, for comparison. Throws when one gives no token.
 */
export async function runColdStarts(
  world: BrokerWorld,
  options: ColdStartOptions,
): Promise<readonly ColdStart[]> {
  const all = startersOf(world, options.bareFile)
  const starters = all.filter(({ id }) => id === 'bare' || options.isWanted(id))
  if (starters.every(({ id }) => id === 'bare')) return []
  await enrolMissing(world, starters, options.enrolled)
  if (starters.some(({ id }) => id === 'rest-start')) await warmEmulatorUp(world)
  const times = starters.map(({ id, name }) => ({ id, name, firstAnswerMs: Array<number>() }))
  for (let round = 0; round <= options.rounds; round += 1) {
    for (const [index, starter] of starters.entries()) {
      const took = await timeFirstAnswer(world, starter)
      if (round > 0) times[index]?.firstAnswerMs.push(took)
    }
  }
  return times
}

async function enrolMissing(
  world: BrokerWorld,
  starters: readonly Starter[],
  enrolled: ReadonlySet<ContenderId>,
): Promise<void> {
  const isMissing = (owner: ContenderId, ...ids: readonly ColdStartId[]): boolean =>
    !enrolled.has(owner) && starters.some(({ id }) => ids.includes(id))
  const stores = [
    ...(isMissing('sqlite', 'sqlite-start') ? [sqliteStore(world)] : []),
    ...(isMissing('firestore', 'sdk-start', 'rest-start') ? [firestoreStore] : []),
  ]
  for (const store of stores) {
    const broker = await startBroker(world, { name: `broker on ${store}`, store })
    await broker.stop()
  }
}

/** What is measured is a cold broker beside a store that has long been running. */
async function warmEmulatorUp(world: BrokerWorld): Promise<void> {
  const command = { name: 'broker on Firestore, REST', args: [brokerFile] }
  const env = brokerEnvironment(world, firestoreRestStore)
  const broker = await startServer({ ...command, env }, world.place)
  const requests = [...signBatch(world.once, emulatorRequests)]
  const options = { port: broker.port, connections: 8, durationMs: answerMsMax, meter: () => undefined }
  const { faults, faultCount } = await runLoad({ ...options, next: () => requests.pop() })
  await broker.stop()
  if (faultCount > 0) throw new Error(`the emulator did not get warm:\n${faults.join('\n')}`)
}

function startersOf(world: BrokerWorld, bareFile: string): readonly Starter[] {
  const broker = (id: ColdStartId, name: string, store: string): Starter => ({
    id,
    name,
    args: [brokerFile],
    env: brokerEnvironment(world, store),
  })
  const always: readonly Starter[] = [
    { id: 'bare', name: 'bare node:http, first answer', args: [bareFile], env: {} },
    broker('sqlite-start', 'broker on SQLite', sqliteStore(world)),
  ]
  if (world.emulatorHost === undefined) return always
  return [
    ...always,
    broker('sdk-start', 'broker on Firestore, SDK', firestoreStore),
    broker('rest-start', 'broker on Firestore, REST', firestoreRestStore),
  ]
}

async function timeFirstAnswer(world: BrokerWorld, starter: Starter): Promise<number> {
  const port = await freePort()
  // Signed beforehand; a broker that is not ready yet may have spent the `jti` of the first.
  const requests = Array.from({ length: 20 }, () => world.once.request())
  const startedAt = performance.now()
  const launched = launch(starter, world.place, port)
  try {
    const answeredAt = await awaitFirstAnswer(launched, { port, requests, startedAt })
    if (answeredAt !== undefined) return answeredAt - startedAt
    throw new Error(`${starter.name} gave no token:\n${launched.lastWords()}`)
  } finally {
    await launched.stop()
  }
}

interface Asking {
  readonly port: number
  readonly requests: readonly Uint8Array[]
  readonly startedAt: number
}

async function awaitFirstAnswer(
  launched: LaunchedProcess,
  { port, requests, startedAt }: Asking,
): Promise<number | undefined> {
  let asked = 0
  while (!launched.hasEnded() && performance.now() - startedAt < answerMsMax) {
    const request = requests[asked]
    if (request === undefined) return undefined
    const outcome = await askOnce(port, request)
    if (outcome === 'token') return performance.now()
    if (outcome === 'refused') asked += 1
    await wait(1)
  }
  return undefined
}

/** `closed`: nobody listens there yet. */
function askOnce(port: number, request: Uint8Array): Promise<'token' | 'refused' | 'closed'> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true })
    let text = ''
    socket.once('connect', () => socket.write(request))
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      const { kind } = readAnswer(text)
      if (kind === 'partial') return
      resolve(kind === 'token' ? 'token' : 'refused')
      socket.destroy()
    })
    socket.on('error', () => resolve('closed'))
    socket.once('close', () => resolve(text === '' ? 'closed' : 'refused'))
  })
}
