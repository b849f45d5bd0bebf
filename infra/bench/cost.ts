import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import * as z from 'zod/mini'
import { findEmulator, startFirestoreEmulator } from '../../test/support/start-firestore-emulator.ts'
import type { BrokerProcess } from '../../test/support/spawn-broker.ts'
import { assertionForm, exchangeForm, post, type Form } from '../../test/support/test-broker/ask.ts'
import {
  createTestWorld,
  firestoreSettings,
  scopeOf,
  type TestWorld,
} from '../../test/support/test-broker/test-world.ts'
import { freePort } from '../../test/support/free-port.ts'
import { writeTables } from './write-tables.ts'

/** What something cost: documents read and written, requests to upstreams, milliseconds of CPU. */
export interface Spent {
  readonly reads: number
  readonly writes: number
  readonly upstream: number
  readonly cpuMs: number
}

/** What one token of a kind costs: minted, taken from the store by another instance, or from memory. */
export interface UnitCosts {
  readonly minted: Spent
  readonly fromStore: Spent
  readonly fromMemory: Spent
}

/** How a million tokens in 30 days come about. */
export interface Use {
  readonly name: string
  readonly kind: Kind
  /** How often a token is minted among them. */
  readonly mints: number
}

type Kind = 'workload' | 'self-signed' | 'bounded' | 'rotating'

const tokens = 1_000_000
const daysSeconds = 30 * 86_400
/** A token of an hour is replaced 10 to 15 minutes before its end. */
const servedSeconds = 47.5 * 60
const mintsOfOne = Math.round(daysSeconds / servedSeconds)

/** So many brokers are counted beside each other, and the tables are for one and for so many. */
const instancesMax = 10

/** The five, each a million tokens in 30 days. */
export const uses: readonly Use[] = [
  { name: 'one service that polls, every 2.6 s', kind: 'workload', mints: mintsOfOne },
  { name: 'a thousand services, each every 43 min', kind: 'workload', mints: tokens / 2 },
  { name: '100 self-signed callers with `replay: once`', kind: 'self-signed', mints: 100 * mintsOfOne },
  { name: 'a boundary of its own for each request', kind: 'bounded', mints: tokens },
  { name: '100 refresh tokens that rotate', kind: 'rotating', mints: 100 * mintsOfOne },
]

const zero: Spent = { reads: 0, writes: 0, upstream: 0, cpuMs: 0 }

/** What a million tokens cost, from what one does. Every other instance takes a token from the store once. */
export function scale({ mints }: Use, units: UnitCosts, instances: number): Spent {
  const fromStore = mints * Math.min(instances - 1, tokens / mints - 1)
  const parts = [
    [units.minted, mints],
    [units.fromStore, fromStore],
    [units.fromMemory, tokens - mints - fromStore],
  ] as const
  return parts.reduce((sum, [unit, count]) => plus(sum, unit, count), zero)
}

function plus(sum: Spent, one: Spent, count: number): Spent {
  return {
    reads: sum.reads + one.reads * count,
    writes: sum.writes + one.writes * count,
    upstream: sum.upstream + one.upstream * count,
    cpuMs: sum.cpuMs + one.cpuMs * count,
  }
}

const priceList = z.record(z.string(), z.number())
export type Prices = z.infer<typeof priceList>

/** What `infra/bench/prices.json` says, in dollars. */
export function readPrices(): Prices {
  return priceList.parse(JSON.parse(readFileSync(join(import.meta.dirname, 'prices.json'), 'utf8')))
}

/** Dollars for Firestore, and for a Worker with a Durable Object. Throws TypeError where a price is missing. */
export function priceOf(
  { reads, writes, cpuMs }: Spent,
  prices: Prices,
): { readonly firestore: number; readonly workers: number } {
  const price = (name: string): number => {
    const found = prices[name]
    if (found === undefined) throw new TypeError(`prices.json has no ${name}`)
    return found
  }
  return {
    firestore:
      (reads * price('Firestore, 100,000 documents read') +
        writes * price('Firestore, 100,000 documents written') +
        writes * price('Firestore, 100,000 documents deleted')) /
      1e5,
    workers:
      (tokens * price('Workers, a million requests') +
        cpuMs * price('Workers, a million ms of CPU') +
        (reads + writes) * price('Durable Objects, a million requests') +
        reads * price('Durable Objects, a million rows read') +
        writes * 2 * price('Durable Objects, a million rows written')) /
      1e6,
  }
}

const mail = scopeOf('gmail.readonly')
const storage = scopeOf('devstorage.read_only')
const bucket = '//storage.googleapis.com/projects/_/buckets/exports'

/** Counts on brokers over the emulator, scales, and prints; with `--docs` into docs/cost.md. */
export async function runCost(argv: readonly string[], print: (line: string) => void): Promise<number> {
  const emulator = await startFirestoreEmulator(findEmulator())
  const world = await createTestWorld()
  try {
    const measured = await measureUnits(world, emulator.host, argv.includes('--quick') ? 5 : 40)
    const lines = costTables(measured, readPrices())
    lines.forEach(print)
    if (argv.includes('--docs')) writeTables(join(import.meta.dirname, '../../docs/cost.md'), lines, argv)
    return 0
  } finally {
    await world.close()
    await emulator.stop()
  }
}

interface Measured {
  readonly units: Readonly<Record<Kind, UnitCosts>>
  /** What a token from memory costs besides where the last request was more than 5 s ago: blocks and states are read again. */
  readonly later: Spent
}

/** The tables of docs/cost.md. */
export function costTables({ units, later }: Measured, prices: Prices): readonly string[] {
  const whole = (value: number) => Math.round(value).toLocaleString('en-US')
  const money = (value: number) => `$${value.toFixed(2)}`
  return [
    '| One token | Reads | Writes | Upstream | CPU |',
    '|---|---|---|---|---|',
    ...Object.entries(units).flatMap(([kind, unit]) =>
      Object.entries(unit).map(
        ([source, spent]: [string, Spent]) =>
          `| ${kind}, ${sources[source] ?? source} | ${spent.reads.toFixed(2)} | ${spent.writes.toFixed(2)} | ${spent.upstream.toFixed(2)} | ${spent.cpuMs.toFixed(1)} ms |`,
      ),
    ),
    `| any of them from memory, 5 s after the last request | ${later.reads.toFixed(2)} more | ${later.writes.toFixed(2)} more | ${later.upstream.toFixed(2)} more | |`,
    '',
    '| A million tokens in 30 days | Instances | Reads | Writes | Upstream | CPU | Firestore | Workers |',
    '|---|---|---|---|---|---|---|---|',
    ...uses.flatMap((use) =>
      [1, instancesMax].map((instances) => {
        const unit = units[use.kind]
        const spent = scale(use, { ...unit, fromMemory: plus(unit.fromMemory, later, 1) }, instances)
        const { firestore, workers } = priceOf(spent, prices)
        const cpu = `${whole(spent.cpuMs / 1000)} s`
        return `| ${use.name} | ${instances} | ${whole(spent.reads)} | ${whole(spent.writes)} | ${whole(spent.upstream)} | ${cpu} | ${money(firestore)} | ${instances === 1 ? money(workers) : '–'} |`
      }),
    ),
  ]
}

const sources: Readonly<Record<string, string>> = {
  minted: 'minted',
  fromStore: 'from the store',
  fromMemory: 'from memory',
}

async function measureUnits(world: TestWorld, host: string, count: number): Promise<Measured> {
  const names = (kind: Kind) => Array.from({ length: count }, (_, index) => `${kind}-${index}`)
  const kinds: readonly Kind[] = ['workload', 'self-signed', 'bounded', 'rotating']
  const rules = kinds.flatMap((kind) =>
    names(kind).map((name) => world.rule(name, [kind === 'bounded' ? storage : mail])),
  )
  const settings = { ...world.settings(rules, firestoreSettings(host)), DOWNSCOPE_LOG_LEVEL: 'error' }
  const first = await startMetered(world, settings)
  for (const kind of kinds)
    for (const name of names(kind)) {
      if (kind === 'rotating') await world.enrolGrant(first, name, { scopes: [mail], rotating: true })
      else await world.enrolAccount(first, name)
    }
  const wantedOf = (kind: Kind): readonly Wanted[] =>
    // Boundaries are of one credential, so that its own token is minted once.
    names(kind).map((name, index) => ({ audience: kind === 'bounded' ? `${kind}-0` : name, index }))
  const spentFor = async (brokers: readonly Metered[], kind: Kind): Promise<Spent> => {
    // Compiled, connected and read: what comes first is paid once.
    const [warmUp = soon, ...rest] = wantedOf(kind)
    for (const broker of brokers) await ask(world, broker, kind, warmUp)
    return spentOn(brokers, rest, (broker, one) => ask(world, broker, kind, one))
  }
  const alone = await ofEachKind(async (kind) => ({
    minted: await spentFor([first], kind),
    fromMemory: await spentFor([first], kind),
  }))
  const others: Metered[] = []
  while (others.length < instancesMax - 1) others.push(await startMetered(world, settings))
  const units = await ofEachKind(async (kind) => ({
    minted: alone[kind].minted,
    fromStore: await spentFor(others, kind),
    fromMemory: alone[kind].fromMemory,
  }))
  const again = await spentOn([first, ...others], [1, 2, 3], async (broker) => {
    if (broker === first) await wait(6_000)
    await ask(world, broker, 'workload', soon)
  })
  return { units, later: { ...minus(again, units.workload.fromMemory), cpuMs: 0 } }
}

async function ofEachKind<T>(work: (kind: Kind) => Promise<T>): Promise<Readonly<Record<Kind, T>>> {
  return {
    workload: await work('workload'),
    'self-signed': await work('self-signed'),
    bounded: await work('bounded'),
    rotating: await work('rotating'),
  }
}

interface Wanted {
  readonly audience: string
  /** Which boundary, where there is one. */
  readonly index: number
}

const soon: Wanted = { audience: 'workload-0', index: 0 }

async function ask(world: TestWorld, broker: BrokerProcess, kind: Kind, wanted: Wanted): Promise<void> {
  const answer = await post(broker, await formOf(world, kind, wanted))
  if (answer.status !== 200) throw new Error(`${kind}: ${answer.status} ${answer.text}`)
}

function formOf(world: TestWorld, kind: Kind, { audience, index }: Wanted): Promise<Form> {
  if (kind !== 'bounded')
    return kind === 'self-signed'
      ? assertionForm(world.billing, { audience, scope: mail })
      : exchangeForm(world.workload, { audience, scope: mail })
  const rule = {
    availableResource: bucket,
    availablePermissions: ['inRole:roles/storage.objectViewer'],
    availabilityCondition: {
      expression: `resource.name.startsWith('projects/_/buckets/exports/objects/tenant-${index}/')`,
    },
  }
  const options = JSON.stringify({ accessBoundary: { accessBoundaryRules: [rule] } })
  return exchangeForm(world.workload, { audience, scope: storage, options })
}

/** What one piece of work spent, of all that every broker did, one after the other. */
async function spentOn<T>(
  brokers: readonly Metered[],
  all: readonly T[],
  work: (broker: Metered, one: T) => Promise<void>,
): Promise<Spent> {
  const spent = async () => {
    // What is written behind an answer belongs to it, and not to the next count.
    await wait(500)
    return (await Promise.all(brokers.map(spentBy))).reduce((sum, one) => plus(sum, one, 1), zero)
  }
  const before = await spent()
  for (const one of all) for (const broker of brokers) await work(broker, one)
  return divided(minus(await spent(), before), all.length * brokers.length)
}

const minus = (one: Spent, other: Spent): Spent => plus(one, other, -1)
const divided = (one: Spent, by: number): Spent => plus(zero, one, 1 / by)

type Metered = BrokerProcess & { readonly metrics: string }

async function startMetered(world: TestWorld, settings: Readonly<Record<string, string>>): Promise<Metered> {
  const port = await freePort()
  const broker = await world.yard.start({ ...settings, DOWNSCOPE_METRICS_PORT: String(port) })
  return { ...broker, metrics: `http://127.0.0.1:${port}/metrics` }
}

/** Since the start, from its own metrics and the kernel's count of its CPU time (Linux: 10 ms a tick). */
async function spentBy({ metrics, pid }: Metered): Promise<Spent> {
  const text = await (await fetch(metrics)).text()
  const sum = (pattern: RegExp) =>
    [...text.matchAll(pattern)].reduce((total, [, value]) => total + Number(value), 0)
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return {
    reads: sum(/^downscope_store_operations_total\{[^}]*operation="(?:get|list)"[^}]*\} (\d+)/gm),
    writes: sum(/^downscope_store_operations_total\{[^}]*operation="(?:put|delete)"[^}]*\} (\d+)/gm),
    upstream: sum(/^downscope_upstream_requests_total\{(?![^}]*operation="store")[^}]*\} (\d+)/gm),
    cpuMs: (Number(stat[11]) + Number(stat[12])) * 10,
  }
}
