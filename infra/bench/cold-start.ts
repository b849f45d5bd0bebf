import { connect } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

import { freePort } from '../../test/support/free-port.ts'
import { brokerEnvironment, brokerFile, type BrokerWorld } from './broker.ts'
import { firestoreRestStore, firestoreStore, sqliteStore } from './contenders.ts'
import { readAnswer } from './read-answer.ts'
import { launch, type LaunchedProcess, type ServerCommand } from './server-process.ts'

/** How long each start took until the first token, round by round; `undefined` for what cannot be started. */
export interface ColdStart {
  readonly name: string
  readonly firstAnswerMs: readonly number[] | undefined
}

interface Starter extends ServerCommand {
  /** Not there in every version: then the row says so and nothing fails. */
  readonly isOptional?: boolean
}

const answerMsMax = 20_000

/**
 * From the start of a process to its first token, in interleaved rounds after one that is not counted. The broker is
 * a new instance beside others: the credential is enrolled and the store holds a token that another instance minted.
 * A bare node:http process's first answer comes first, for comparison.
 */
export async function runColdStarts(
  world: BrokerWorld,
  options: { readonly rounds: number; readonly bareFile: string },
): Promise<readonly ColdStart[]> {
  const starters = startersOf(world, options.bareFile)
  const times = new Map<string, (number | undefined)[]>(starters.map(({ name }) => [name, []]))
  for (let round = 0; round <= options.rounds; round += 1) {
    for (const starter of starters) {
      const known = times.get(starter.name) ?? []
      if (known.includes(undefined)) continue
      const took = await timeFirstAnswer(world, starter)
      if (round > 0 || took === undefined) known.push(took)
    }
  }
  return starters.map(({ name }) => {
    const measured = times.get(name) ?? []
    const isMissing = measured.includes(undefined)
    return { name, firstAnswerMs: isMissing ? undefined : measured.filter((ms) => ms !== undefined) }
  })
}

function startersOf(world: BrokerWorld, bareFile: string): readonly Starter[] {
  const broker = (name: string, store: string): Starter => ({
    name,
    args: [brokerFile],
    env: brokerEnvironment(world, store),
  })
  const always = [
    { name: 'bare node:http, first answer', args: [bareFile], env: {} },
    broker('broker on SQLite', sqliteStore(world)),
  ]
  if (world.emulatorHost === undefined) return always
  return [
    ...always,
    broker('broker on Firestore, SDK', firestoreStore),
    { ...broker('broker on Firestore, REST', firestoreRestStore), isOptional: true },
  ]
}

async function timeFirstAnswer(world: BrokerWorld, starter: Starter): Promise<number | undefined> {
  const port = await freePort()
  // Signed beforehand; a broker that is not ready yet may have spent the `jti` of the first.
  const requests = Array.from({ length: 20 }, () => world.once.request())
  const startedAt = performance.now()
  const launched = launch(starter, world.place, port)
  try {
    const answeredAt = await awaitFirstAnswer(launched, { port, requests, startedAt })
    if (answeredAt !== undefined) return answeredAt - startedAt
    if (starter.isOptional === true) return undefined
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
