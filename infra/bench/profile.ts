import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { BrokerWorld } from './broker.ts'
import { startBrokerOf, startFloor, type Contender, type ContenderId } from './contenders.ts'
import { functionTimes, type CpuProfile, type FunctionTime } from './function-times.ts'
import { runLoad } from './load.ts'
import { createLocate, partOf } from './locate.ts'
import { createBatches } from './rounds.ts'

const connections = 64
const sampleIntervalUs = 200
const rowsShown = 50
/** More than any server here answers. */
const requestsPerMsMax = 12

export interface ProfileOptions {
  readonly folder: string
  readonly windowMs: number
  /** The row whose broker is profiled. */
  readonly id: ContenderId
}

/**
 * What one row's path costs, beside the floor: time on the main thread per request, places as
 * in the source, of one loaded window after a warm-up. The .cpuprofile files stay in the folder, for DevTools. On one
 * core the time of a verifying thread shows up in whatever started it.
 */
export async function profileRow(
  world: BrokerWorld,
  { folder, windowMs, id }: ProfileOptions,
): Promise<readonly string[]> {
  mkdirSync(folder, { recursive: true })
  const nodeArgs = ['--cpu-prof', `--cpu-prof-dir=${folder}`, `--cpu-prof-interval=${sampleIntervalUs}`]
  const options = { world, folder, windowMs }
  const floor = await profile(options, async () => ({
    jwt: 'new',
    server: await startFloor(world, nodeArgs),
  }))
  const broker = await profile(options, () => startBrokerOf(world, id, nodeArgs))
  return [
    'microseconds per request, profiling included',
    ...partsTable(floor.times, broker.times),
    '',
    `${'self'.padStart(8)} ${'total'.padStart(8)}  the broker's functions`,
    ...broker.times.slice(0, rowsShown).map(functionRow),
    '',
    `${'self'.padStart(8)} ${'total'.padStart(8)}  of src, by total`,
    ...broker.times
      .filter(({ name }) => partOf(name).startsWith('src/'))
      .toSorted((one, other) => other.totalUs - one.totalUs)
      .slice(0, rowsShown)
      .map(functionRow),
    '',
    `profiles: ${floor.file} (floor), ${broker.file} (broker)`,
  ]
}

interface Profiled {
  readonly file: string
  /** Per request. */
  readonly times: readonly FunctionTime[]
}

async function profile(
  { world, folder, windowMs }: Omit<ProfileOptions, 'id'> & { readonly world: BrokerWorld },
  start: () => Promise<Pick<Contender, 'jwt' | 'server'>>,
): Promise<Profiled> {
  const before = new Set(profilesIn(folder))
  const { jwt, server } = await start()
  const load = (durationMs: number) => {
    const next = createBatches(world, Math.ceil(durationMs * requestsPerMsMax))[jwt]()
    return runLoad({ port: server.port, connections, durationMs, next, meter: nowUs })
  }
  try {
    await load(windowMs / 3)
    const startUs = nowUs()
    const { answered, faultCount, faults, metered = 0 } = await load(windowMs)
    if (faultCount > 0) throw new Error(`the profiled server gave wrong answers:\n${faults.join('\n')}`)
    const endUs = nowUs()
    await server.stop()
    const name = profilesIn(folder).find((one) => !before.has(one))
    if (name === undefined) throw new Error('the server left no profile: it did not end by itself')
    const file = join(folder, name)
    const window = { startUs: Math.max(startUs, endUs - metered), endUs }
    const times = functionTimes(parseProfile(readFileSync(file, 'utf8')), window, createLocate(process.cwd()))
    return {
      file,
      times: times.map((one) => ({ ...one, selfUs: one.selfUs / answered, totalUs: one.totalUs / answered })),
    }
  } finally {
    await server.stop()
  }
}

function partsTable(floor: readonly FunctionTime[], broker: readonly FunctionTime[]): readonly string[] {
  const [floorParts, brokerParts] = [floor, broker].map(selfByPart)
  const parts = [...new Set([...(brokerParts?.keys() ?? []), ...(floorParts?.keys() ?? [])])]
  const cell = (us = 0): string => us.toFixed(1).padStart(8)
  return [
    `${'floor'.padStart(8)} ${'broker'.padStart(8)}  self time by part`,
    ...parts.map((part) => `${cell(floorParts?.get(part))} ${cell(brokerParts?.get(part))}  ${part}`),
  ]
}

function selfByPart(times: readonly FunctionTime[]): ReadonlyMap<string, number> {
  const parts = new Map<string, number>()
  for (const { name, selfUs } of times) parts.set(partOf(name), (parts.get(partOf(name)) ?? 0) + selfUs)
  return new Map([...parts].toSorted(([, one], [, other]) => other - one))
}

function functionRow({ name, selfUs, totalUs }: FunctionTime): string {
  return `${selfUs.toFixed(2).padStart(8)} ${totalUs.toFixed(2).padStart(8)}  ${name}`
}

const profileSchema = z.object({
  startTime: z.number(),
  nodes: z.array(
    z.object({
      id: z.number(),
      children: z.array(z.number()).optional(),
      callFrame: z.object({
        functionName: z.string(),
        url: z.string(),
        lineNumber: z.number(),
        columnNumber: z.number(),
      }),
    }),
  ),
  samples: z.array(z.number()),
  timeDeltas: z.array(z.number()),
})

function parseProfile(text: string): CpuProfile {
  return profileSchema.parse(JSON.parse(text))
}

function profilesIn(folder: string): readonly string[] {
  return readdirSync(folder).filter((name) => name.endsWith('.cpuprofile'))
}

/** The clock that V8 stamps its samples with. */
function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n)
}
