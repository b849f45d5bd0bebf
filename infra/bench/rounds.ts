import { issuedMarker, type BrokerWorld } from './broker.ts'
import { boundedRequest, signBatch, tokenRequest } from './callers.ts'
import type { Contender, ContenderId } from './contenders.ts'
import { runLoad, type LoadResult } from './load.ts'

/** One server under load at one number of connections, in one round. */
export interface Measurement {
  readonly id: ContenderId
  readonly connections: number
  readonly round: number
  readonly answered: number
  readonly requestsPerSecond: number
  /** Absent where the system does not tell. */
  readonly cpuUsPerRequest?: number
  /** CPU time to elapsed time: far below 1 at many connections, something else held the server back. */
  readonly busy?: number
}

export const connectionCounts = [1, 16, 64] as const

export interface RoundsOptions {
  readonly rounds: number
  readonly windowMs: number
  readonly tell: (line: string) => void
}

/** A guess for the warm-up round; the others are measured by it. */
const requestsPerMsAtFirst = 12
/** V8 needs some thousand requests until it compiles no more. */
const warmUpFactor = 2.5
const batchMargin = 1.5
const repeatedJwts = 16

/**
 * All contenders one after the other, round after round, at every number of connections; the first round warms up and
 * is not counted. Throws as soon as one answer is not a token, an audit record is missing, or a broker asked upstream
 * a second time: such a run has no result.
 */
export async function runRounds(
  world: BrokerWorld,
  contenders: readonly Contender[],
  options: RoundsOptions,
): Promise<readonly Measurement[]> {
  const { rounds, windowMs, tell } = options
  const requestsPerMs = new Map<number, number>()
  const measurements: Measurement[] = []
  for (let round = 0; round <= rounds; round += 1) {
    const ms = round === 0 ? windowMs * warmUpFactor : windowMs
    tell(round === 0 ? 'warm-up round' : `round ${round} of ${rounds}`)
    for (const connections of connectionCounts) {
      const pace = requestsPerMs.get(connections) ?? requestsPerMsAtFirst
      const batches = createBatches(world, Math.ceil(pace * ms * batchMargin) + connections)
      let fastest = 0
      for (const contender of rotated(contenders, round)) {
        const measurement = await measure(contender, {
          connections,
          windowMs: ms,
          next: batches[contender.jwt](),
        })
        if (round > 0) measurements.push({ ...measurement, round })
        if (contender.jwt === 'new') fastest = Math.max(fastest, measurement.requestsPerSecond / 1000)
      }
      requestsPerMs.set(connections, fastest)
    }
  }
  return measurements
}

/** Somebody else begins in every round: whatever the signing just before does to the first one, it does to all. */
function rotated<T>(all: readonly T[], by: number): readonly T[] {
  const first = by % all.length
  return [...all.slice(first), ...all.slice(0, first)]
}

type Next = () => Uint8Array | undefined

let folders = 0

/** Never the same twice in a run. */
function nextFolder(): number {
  folders += 1
  return folders
}

/** Signed before the window. Every contender goes through the same new JWTs or boundaries once: no server sees one twice. */
export function createBatches(
  world: BrokerWorld,
  count: number,
): Readonly<Record<Contender['jwt'], () => Next>> {
  const fresh = signBatch(world.once, count)
  const repeated = Array.from({ length: repeatedJwts }, () => tokenRequest(world.workload.assertion()))
  const assertion = world.workload.assertion()
  // Written before the window as well: on a busy machine whoever writes them meanwhile is the one that is measured.
  const bounded = Array.from({ length: count }, () => boundedRequest(assertion, nextFolder()))
  const inOrder = (requests: readonly Uint8Array[]) => () => {
    let at = 0
    return () => requests[at++]
  }
  return {
    bounded: inOrder(bounded),
    new: inOrder(fresh),
    repeated: () => {
      let at = 0
      return () => repeated[at++ % repeated.length]
    },
  }
}

interface WindowOptions {
  readonly connections: number
  readonly windowMs: number
  readonly next: Next
}

async function measure(contender: Contender, options: WindowOptions): Promise<Omit<Measurement, 'round'>> {
  const { id, server } = contender
  const { connections, windowMs, next } = options
  server.countInOutput(issuedMarker)
  const result = await runLoad({
    port: server.port,
    connections,
    durationMs: windowMs,
    next,
    meter: () => server.cpuMs(),
  })
  checkWindow(contender, result)
  const { answered, elapsedMs, metered } = result
  return {
    id,
    connections,
    answered,
    requestsPerSecond: (answered / elapsedMs) * 1000,
    ...(metered === undefined
      ? {}
      : { cpuUsPerRequest: (metered * 1000) / answered, busy: metered / elapsedMs }),
  }
}

function checkWindow(
  { name, server, broker, upstreamCalls = 1 }: Contender,
  { answered, faultCount, faults }: LoadResult,
): void {
  if (faultCount > 0 || answered === 0)
    throw new Error(
      `${name}: ${faultCount} wrong answers beside ${answered} right ones:\n${faults.join('\n')}`,
    )
  if (broker === undefined) return
  const records = server.countInOutput(issuedMarker)
  if (records !== answered)
    throw new Error(`${name}: ${answered} tokens, but ${records} audit records of them`)
  const calls = broker.upstreamCalls()
  if (upstreamCalls !== Infinity && calls !== upstreamCalls)
    throw new Error(`${name}: ${calls} upstream calls, and ${upstreamCalls} are what it takes`)
}
