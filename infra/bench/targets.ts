import type { ColdStart, ColdStartId } from './cold-start.ts'
import { floorOf, type ContenderId, type Contender } from './contenders.ts'
import { connectionCounts, type Measurement } from './rounds.ts'
import type { LongPolicyFigures } from './long-policy.ts'
import { median, medianRatio } from './statistics.ts'

/** One server at one number of connections: medians, and ratios to the floor of the same rounds. */
export interface Summary {
  readonly id: ContenderId
  readonly name: string
  readonly connections: number
  readonly requestsPerSecond: number
  readonly requestsToFloor: number
  readonly cpuUsPerRequest?: number
  readonly cpuToFloor?: number
  readonly busy?: number
  /** What it must reach and does not; empty when there is nothing to reach. */
  readonly missed: readonly string[]
}

interface Target {
  readonly requestsToFloorMin?: number
  readonly cpuToFloorMax?: number
  /** Only at this number of connections, and not at 16 and 64. */
  readonly connections?: number
}

const targets: Readonly<Partial<Record<ContenderId, Target>>> = {
  hit: { requestsToFloorMin: 0.8, cpuToFloorMax: 1.25 },
  // Of the hit without any of it.
  watched: { requestsToFloorMin: 0.9 },
  repeated: { requestsToFloorMin: 2.5 },
  // A request to the Security Token Service each, which no code makes cheap: no more than a bound.
  'bounded-exchanged': { requestsToFloorMin: 0.15 },
  'bounded-sealed': { requestsToFloorMin: 0.6 },
  sqlite: { requestsToFloorMin: 0.7, connections: 64 },
  firestore: { requestsToFloorMin: 0.5, connections: 64 },
  'workerd-hit': { requestsToFloorMin: 0.75 },
}

/** The first token after the start of a process, to the first answer of a bare one; without code that V8 compiled. */
const startTargets: Readonly<Partial<Record<ColdStartId, number>>> = { 'rest-start': 3 }

/**
 * With fewer connections the server mostly waits, and what differs is how often a thread is woken: such rows are shown
 * and not judged.
 */
const judgedConnectionsMin = 16

/** Ordered by number of connections and then as the contenders are. */
export function summarize(
  contenders: readonly Pick<Contender, 'id' | 'name'>[],
  measurements: readonly Measurement[],
): readonly Summary[] {
  return connectionCounts.flatMap((connections) => {
    const of = (id: ContenderId) =>
      measurements.filter((one) => one.id === id && one.connections === connections)
    return contenders.map(({ id, name }) => {
      const summary = { id, name, connections, ...compare(id, of(id), of(floorOf(id))) }
      const isJudged =
        connections >= judgedConnectionsMin && (targets[id]?.connections ?? connections) === connections
      return isJudged ? summary : { ...summary, missed: [] }
    })
  })
}

function compare(id: ContenderId, own: readonly Measurement[], floors: readonly Measurement[]) {
  const requestsPerSecond = median(own.map((one) => one.requestsPerSecond))
  const requestsToFloor = medianRatio(own.map(rate), floors.map(rate))
  const cpu = own.flatMap(({ cpuUsPerRequest }) => cpuUsPerRequest ?? [])
  const floorCpu = floors.flatMap(({ cpuUsPerRequest }) => cpuUsPerRequest ?? [])
  // Where the system does not tell CPU time there is none to judge.
  if (cpu.length < own.length || floorCpu.length < floors.length)
    return { requestsPerSecond, requestsToFloor, missed: missedTargets(id, { requestsToFloor }) }
  const cpuToFloor = medianRatio(cpu, floorCpu)
  return {
    requestsPerSecond,
    requestsToFloor,
    cpuUsPerRequest: median(cpu),
    cpuToFloor,
    busy: median(own.flatMap(({ busy }) => busy ?? [])),
    missed: missedTargets(id, { requestsToFloor, cpuToFloor }),
  }
}

/** A sentence for each target that these ratios do not reach; judged on the digits as they are, not as printed. */
export function missedTargets(
  id: ContenderId,
  { requestsToFloor, cpuToFloor }: { readonly requestsToFloor: number; readonly cpuToFloor?: number },
): readonly string[] {
  const { requestsToFloorMin, cpuToFloorMax } = targets[id] ?? {}
  const missed: string[] = []
  if (requestsToFloorMin !== undefined && !(requestsToFloor >= requestsToFloorMin))
    missed.push(
      `requests per second ${requestsToFloor.toFixed(3)} of the floor, at least ${requestsToFloorMin} wanted`,
    )
  if (cpuToFloorMax !== undefined && cpuToFloor !== undefined && !(cpuToFloor <= cpuToFloorMax))
    missed.push(`CPU per request ${cpuToFloor.toFixed(3)} of the floor, at most ${cpuToFloorMax} wanted`)
  return missed
}

/** One kind of start: medians, and the ratio to the bare process of the same rounds. */
export interface StartSummary extends ColdStart {
  readonly ms: number
  readonly toBare: number
  readonly missed: readonly string[]
}

/** In the order in which they were started; the bare one is the first. */
export function summarizeStarts(starts: readonly ColdStart[]): readonly StartSummary[] {
  const bare = starts.find(({ id }) => id === 'bare')?.firstAnswerMs ?? []
  return starts.map((start) => {
    const { id, firstAnswerMs } = start
    const toBare = medianRatio(firstAnswerMs, bare)
    return { ...start, ms: median(firstAnswerMs), toBare, missed: missedStartTargets(id, toBare) }
  })
}

export function missedStartTargets(id: ColdStartId, toBare: number): readonly string[] {
  const toBareMax = startTargets[id]
  if (toBareMax === undefined || toBare <= toBareMax) return []
  return [`first token after ${toBare.toFixed(3)} of a bare start, at most ${toBareMax} wanted`]
}

/** Of 10,000 rules, some 2 MB; of CPU time, because it is in no ratio to anything else. */
const longPolicyTargets = { loadMsMax: 500, matchUsMax: 50 }

export function missedPolicyTargets({
  loadMs,
  matchUs,
}: Pick<LongPolicyFigures, 'loadMs' | 'matchUs'>): readonly string[] {
  const { loadMsMax, matchUsMax } = longPolicyTargets
  return [
    ...(loadMs <= loadMsMax
      ? []
      : [`a long policy loads in ${loadMs.toFixed(0)} ms, at most ${loadMsMax} wanted`]),
    ...(matchUs <= matchUsMax
      ? []
      : [`its rule is found in ${matchUs.toFixed(0)} µs, at most ${matchUsMax} wanted`]),
  ]
}

function rate({ requestsPerSecond }: Measurement): number {
  return requestsPerSecond
}
