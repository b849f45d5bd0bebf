import { isBrokerError } from '../domain/broker-error.ts'
import type { CredentialKind, CredentialSummary } from '../domain/credential.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { Log } from '../ports/log.ts'
import { collections } from '../records/collections.ts'
import { listAllCredentials, type Credentials } from '../records/credentials.ts'
import type { MaintenanceProgress } from '../records/maintenance-progress.ts'
import type { Events } from '../events/events.ts'
import type { Rotations } from '../records/rotations.ts'
import type { Summarise } from './summarise.ts'
import type { DriveRotation } from '../rotation/drive-rotation.ts'
import type { RemoveVersions } from '../rotation/retire-versions.ts'
import type { ProveVersion } from '../rotation/rotation-step.ts'
import { factsOf } from '../domain/event.ts'
import { secondsPerDay, later, seconds, type EpochSeconds } from '../domain/time.ts'
import type { DocumentStore } from '../ports/document-store.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

export interface MaintenanceDeps {
  readonly credentials: Pick<Credentials, 'find' | 'list'>
  readonly rotations: Pick<Rotations, 'begin'>
  readonly progress: MaintenanceProgress
  readonly drive: DriveRotation
  readonly removeVersions: RemoveVersions
  /** A real exchange with the active version, which notes what came of it as the credential's health. */
  readonly probe: ProveVersion
  readonly sweep: () => Promise<Swept>
  readonly summarise: Summarise
  /** When a run last came to its end: what was to be told then, was told. */
  readonly lastRunAt: () => Promise<EpochSeconds | undefined>
  readonly events: Pick<Events, 'emit' | 'deliver'>
  readonly clock: Clock
  readonly entropy: Entropy
  readonly log: Log
}

/** What one run did. */
export interface MaintenanceReport {
  /** The rotations that were begun because they were due. */
  readonly begun: readonly string[]
  /** The rotations that are under way, with where they stand; those that have come to their end are `over`. */
  readonly rotations: readonly RotationReport[]
  readonly removed: readonly { readonly credential: string; readonly version: string }[]
  readonly probed: readonly { readonly credential: string; readonly works: boolean }[]
  readonly swept: Swept | undefined
  /** What could not be done, and is tried again in the next run. */
  readonly faults: readonly { readonly task: string; readonly credential?: string; readonly reason: string }[]
  /** Whether time ran out before every credential was looked at: the next run goes on there. */
  readonly isMoreLeft: boolean
}

export interface RotationReport {
  readonly credential: string
  readonly step: string
  readonly reason?: string
}

/** Cloud Scheduler and a Worker's trigger wait longer, and the next run goes on. */
const runMsMax = 20_000
/** After that: what has to be done goes before what is only tried. */
const probesMsMax = 5_000
const pageSize = 100
const probesMax = 10
const emittedAgainFor = 3_600

/** A refresh may rotate the token: a chance to lose it, and once a week is enough to keep it from dying unused. */
const probedAfterDays: Readonly<Partial<Record<CredentialKind, number>>> = {
  service_account_key: 1,
  client_credentials: 1,
  impersonation: 1,
  broker_identity: 1,
  refresh_token: 7,
}

/**
 * Everything that has to be done now and then: begins and drives rotations, removes what is due, tries credentials
 * that nobody used lately, and sweeps what expired. Bounded in time, resumable, and harmless when it runs twice at
 * once: each of its acts is guarded where it is done. One credential's trouble stops nothing else.
 */
export function createMaintenance(deps: MaintenanceDeps): () => Promise<MaintenanceReport> {
  return async () => {
    const report = newReport()
    const endMs = deps.clock.steadyMs() + runMsMax
    const tending = { report, idle: [], seen: [], endMs }
    await trying(report, { task: 'credentials' }, () => tendCredentials(deps, tending))
    await probeSome(deps, report, tending.idle)
    await trying(report, { task: 'events' }, deps.events.deliver)
    await trying(report, { task: 'summary' }, () => summariseAll(deps, tending))
    await trying(report, { task: 'sweep' }, async () => {
      report.swept = await deps.sweep()
    })
    const { begun, rotations, removed, probed, faults, isMoreLeft } = report
    deps.log(faults.length === 0 ? 'info' : 'warn', 'maintenance', {
      begun,
      rotations,
      removed,
      probed,
      faults,
      isMoreLeft,
    })
    return report
  }
}

/** Filled in the course of a run. */
type Draft = { -readonly [Member in keyof MaintenanceReport]: MaintenanceReport[Member] } & {
  readonly begun: string[]
  readonly rotations: RotationReport[]
  readonly removed: { credential: string; version: string }[]
  readonly probed: { credential: string; works: boolean }[]
  readonly faults: { task: string; credential?: string; reason: string }[]
}

function newReport(): Draft {
  return {
    begun: [],
    rotations: [],
    removed: [],
    probed: [],
    faults: [],
    swept: undefined,
    isMoreLeft: false,
  }
}

interface Tending {
  readonly report: Draft
  /** The names of those that are to be tried. */
  readonly idle: string[]
  /** As they were read, and all of them unless this run goes on where the last one ended. */
  readonly seen: CredentialSummary[]
  readonly endMs: number
}

async function tendCredentials(deps: MaintenanceDeps, { report, idle, seen, endMs }: Tending): Promise<void> {
  const { credentials, progress, clock } = deps
  let after = await progress.read()
  const lastRunAt = await deps.lastRunAt()
  // Some of it again: what the store did not take then is taken now.
  const since = lastRunAt === undefined ? undefined : lastRunAt - emittedAgainFor
  const isWhole = after === undefined
  for (;;) {
    const page = await credentials.list({ after, limit: pageSize })
    for (const credential of page) {
      if (clock.steadyMs() > endMs) {
        report.isMoreLeft = true
        await progress.keep(after)
        return
      }
      await tend(deps, report, credential)
      for (const fact of factsOf(credential, { now: clock.now(), since })) await deps.events.emit(fact)
      if (isProbeDue(credential, clock.now())) idle.push(credential.name)
      if (isWhole) seen.push(credential)
      after = credential.name
    }
    if (page.length < pageSize) break
  }
  await progress.keep(undefined)
}

/** A run that is cut leaves the summary as it was. */
async function summariseAll(deps: MaintenanceDeps, { report, seen }: Tending): Promise<void> {
  if (report.isMoreLeft) return
  await deps.summarise(seen.length > 0 ? seen : await listAllCredentials(deps.credentials))
}

async function tend(deps: MaintenanceDeps, report: Draft, credential: CredentialSummary): Promise<void> {
  const { name } = credential
  const now = deps.clock.now()
  if (isRotationDue(credential, now))
    await trying(report, { task: 'begin rotation', credential: name }, async () => {
      await deps.rotations.begin(name)
      report.begun.push(name)
    })
  if (credential.rotation !== undefined || report.begun.includes(name))
    await trying(report, { task: 'rotation', credential: name }, async () => {
      await deps.drive(name)
      report.rotations.push(standing(name, await deps.credentials.find(name)))
    })
  await trying(report, { task: 'removal', credential: name }, async () => {
    const { removed, waiting } = await deps.removeVersions(credential)
    report.removed.push(...removed.map((version) => ({ credential: name, version })))
    report.faults.push(...waiting.map((reason) => ({ task: 'removal', credential: name, reason })))
  })
}

function isRotationDue(
  { kind, state, rotation, rotateAfterDays, ...rest }: CredentialSummary,
  now: number,
): boolean {
  if (kind !== 'service_account_key' || state !== 'enabled') return false
  if (rotation !== undefined || rotateAfterDays === undefined) return false
  const active = rest.versions.find(({ id }) => id === rest.version)
  return active !== undefined && now - active.createdAt >= rotateAfterDays * secondsPerDay
}

function standing(name: string, credential: CredentialSummary | undefined): RotationReport {
  const rotation = credential?.rotation
  if (rotation === undefined) return { credential: name, step: 'over' }
  const { step, reason } = rotation
  return { credential: name, step, ...omitUndefined({ reason }) }
}

function isProbeDue({ kind, state, health }: CredentialSummary, now: number): boolean {
  const days = probedAfterDays[kind]
  return (
    state === 'enabled' &&
    days !== undefined &&
    now - (health.checkedAt ?? health.since) >= days * secondsPerDay
  )
}

/** Any of them first: those that fail whenever they are tried do not keep the others from their turn. */
async function probeSome(deps: MaintenanceDeps, report: Draft, idle: readonly string[]): Promise<void> {
  const { clock, entropy } = deps
  const endMs = clock.steadyMs() + probesMsMax
  const first = Math.floor(entropy.fraction() * idle.length)
  for (const name of [...idle.slice(first), ...idle.slice(0, first)]) {
    if (report.probed.length === probesMax || clock.steadyMs() > endMs) return
    await trying(report, { task: 'probe', credential: name }, () => probe(deps, report, name))
  }
}

async function probe(deps: MaintenanceDeps, report: Draft, name: string): Promise<void> {
  // Anew: its rotation may have gone on, or another run has tried it.
  const credential = await deps.credentials.find(name)
  if (credential === undefined || !isProbeDue(credential, deps.clock.now())) return
  let works = false
  try {
    await deps.probe(credential, credential.version, credential.consentedScopes)
    works = true
  } finally {
    report.probed.push({ credential: name, works })
  }
}

async function trying(
  report: Draft,
  what: { readonly task: string; readonly credential?: string },
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!isBrokerError(error)) throw error
    report.faults.push({ ...what, reason: error.reason })
  }
}

export interface SweepDeps {
  readonly store: Pick<DocumentStore, 'list' | 'delete'>
  readonly clock: Pick<Clock, 'now'>
  readonly log: Log
}

export interface Swept {
  readonly deleted: number
  /** Whether a bound was reached: the next run finds more. */
  readonly isMoreLeft: boolean
}

/** With one call each, a run stays below the 1,000 calls to its own platform that Workers allow on every plan. */
const sweptAtMost = 100
/** P19: a wall clock that runs an hour ahead deletes nothing that is still needed. */
const grace = seconds(-3600)

/**
 * Deletes what expired more than an hour ago, a bounded number a run. Expiry is decided where a document is read, so
 * this only tidies: it may run late, twice at once or not at all. Throws `store_unavailable`, and the next run goes on.
 */
export function createSweep({ store, clock, log }: SweepDeps): () => Promise<Swept> {
  const sweepOne = async (prefix: string): Promise<Swept> => {
    const expiresBefore = later(clock.now(), grace)
    const found = await store.list({ prefix, expiresBefore, limit: sweptAtMost })
    let deleted = 0
    for (const { key, version } of found) {
      // At this version only: a document that was written again meanwhile lives.
      if (await store.delete(key, { version })) deleted += 1
    }
    return { deleted, isMoreLeft: found.length === sweptAtMost }
  }

  return async () => {
    const swept: Swept[] = []
    for (const { name, expires } of collections) if (expires) swept.push(await sweepOne(`${name}/`))
    const deleted = swept.reduce((sum, one) => sum + one.deleted, 0)
    const isMoreLeft = swept.some((one) => one.isMoreLeft)
    log('info', 'swept expired documents', { deleted, isMoreLeft })
    return { deleted, isMoreLeft }
  }
}
