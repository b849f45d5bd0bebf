import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { createBroker } from '../../src/compose.ts'
import { createNodePlatform } from '../../src/compose/node-platform.ts'
import type { Broker } from '../../src/compose/platform.ts'
import { readSettings } from '../../src/config.ts'
import { auditMembers } from '../../src/adapters/system/audit-trail.ts'
import { isBrokerError } from '../../src/domain/broker-error.ts'
import { epochSeconds, seconds } from '../../src/domain/time.ts'
import { Secret } from '../../src/domain/secret.ts'
import { createSummarise } from '../../src/maintenance/summarise.ts'
import { createStoredAuditTrail } from '../../src/records/audit-log.ts'
import { createSummaryRecord } from '../../src/records/broker-summary.ts'
import { createCredentials, listAllCredentials } from '../../src/records/credentials.ts'
import { createEndedSessions } from '../../src/records/ended-sessions.ts'
import { createSessions } from '../../src/sign-in/sessions.ts'
import { createCaller, type BenchCaller } from './callers.ts'
import { brokerIssuer as issuer } from './names.ts'
import { median } from './statistics.ts'

/** How long a page of the console takes, or an answer of the audit trail, of a store that is full. */
export interface PageFigures {
  readonly store: string
  readonly path: string
  readonly ms: number
  readonly isJudged: boolean
}

interface FullStore {
  readonly name: string
  /** As DOWNSCOPE_STORE has it. */
  readonly url: string
  readonly emulatorHost?: string
  readonly auditRecords: number
  readonly credentials: number
  /** Whether the target holds for it. */
  readonly isJudged: boolean
}

const people = 'https://people.bench.example'
const days = 30
const rounds = 5
const together = 50
/** The target of every page and answer. */
const pageMsMax = 300

const paths = [
  '/console',
  '/console/credentials',
  '/console/credentials?search=project-3&sort=last_used',
  '/console/credentials?attention=true',
  '/console/credentials/credential-00050',
  '/console/explain',
  '/console/policy',
  '/console/activity',
  '/console/activity?since=1d&outcome=refused',
  '/console/stop',
] as const

const size = { auditRecords: 100_000, credentials: 10_000, isJudged: true }
/**
 * The emulator looks at every document of a collection for each query: a page of a hundred takes it 230 to 450 ms where
 * there are a few thousand, and 15 s where there are 100,000. So its rows are of a smaller store, shown and not judged.
 */
const sizeOnEmulator = { auditRecords: 10_000, credentials: 1_000, isJudged: false }

/** The same pages of SQLite in this folder and, where there is an emulator, of Firestore. */
export async function measureAllPages(
  folder: string,
  emulatorHost: string | undefined,
): Promise<readonly PageFigures[]> {
  const sqlite = { name: 'SQLite', url: `sqlite:${join(folder, 'pages.db')}`, ...size }
  if (emulatorHost === undefined) return await measureConsolePages(sqlite)
  const firestore = {
    name: 'Firestore emulator, a tenth of it',
    url: 'firestore://bench-console',
    emulatorHost,
    ...sizeOnEmulator,
  }
  return [...(await measureConsolePages(sqlite)), ...(await measureConsolePages(firestore))]
}

/** Fills a store with credentials and an audit trail spread evenly over 30 days, and asks for everything as an admin. */
async function measureConsolePages(full: FullStore): Promise<readonly PageFigures[]> {
  const auditor = createCaller('https://auditor.bench.example')
  const settings = readSettings({
    DOWNSCOPE_ISSUER: issuer,
    DOWNSCOPE_STORE: full.url,
    ...(full.emulatorHost === undefined ? {} : { FIRESTORE_EMULATOR_HOST: full.emulatorHost }),
    DOWNSCOPE_KEYS: `k1:${btoa('k'.repeat(32))}`,
    DOWNSCOPE_POLICY_YAML: JSON.stringify({
      version: 1,
      issuers: [
        { name: 'people', issuer: people, keys: { discovery: true } },
        {
          name: 'auditor',
          issuer: auditor.issuer,
          self_issued: true,
          keys: { jwks: { keys: [auditor.publicJwk] } },
          algorithms: ['ES256'],
          lifetime_seconds_max: 3600,
        },
      ],
      rules: [],
      admins: [
        { role: 'admin', callers: [{ issuer: 'people', subject: 'ann' }] },
        { role: 'auditor', callers: [{ issuer: 'auditor', subject: auditor.subject }] },
      ],
    }),
    DOWNSCOPE_SIGN_IN_ISSUER: people,
    DOWNSCOPE_SIGN_IN_CLIENT_ID: 'console',
    DOWNSCOPE_AUDIT: 'stdout+store',
  })
  const platform = {
    ...createNodePlatform(settings),
    auditTrail: () => Promise.resolve(),
    log: () => undefined,
  }
  await fill(full, platform)
  const broker = createBroker(settings, platform)
  await broker.readiness()
  const sessions = createSessions({
    ...platform,
    issuer,
    ended: createEndedSessions(platform),
    claimsForRoles: async () => new Set(),
  })
  const cookie = await sessions.start({ issuer: people, subject: 'ann', claims: { sub: 'ann' } })
  const headers = { cookie: `__Host-downscope_session=${cookie.reveal()}` }

  const figures: PageFigures[] = []
  for (const path of paths) {
    const times: number[] = []
    for (let round = 0; round < rounds; round += 1) {
      const startedMs = performance.now()
      const answer = await broker.serve(new Request(`${issuer}${path}`, { headers }))
      await answer.text()
      times.push(performance.now() - startedMs)
      if (answer.status !== 200) throw new Error(`${path} of ${full.name} answers ${answer.status}`)
    }
    figures.push({ store: full.name, path, ms: median(times), isJudged: full.isJudged })
  }
  return [...figures, ...(await measureAudit(full, broker, auditor))]
}

const aCaller = 'system:serviceaccount:team-3:worker'
const exportLimit = 500

/** What `audit list` and `audit export` ask, which must find what was filled in. */
async function measureAudit(
  { name: store, auditRecords, isJudged }: FullStore,
  broker: Broker,
  auditor: BenchCaller,
): Promise<readonly PageFigures[]> {
  const ask = async (query: Readonly<Record<string, string>>) => {
    const headers = { authorization: `Bearer ${auditor.assertion()}` }
    const path = `/v1/admin/audit?${new URLSearchParams(query).toString()}`
    const startedMs = performance.now()
    const answer = await broker.serve(new Request(`${issuer}${path}`, { headers }))
    const page = (await answer.json()) as { readonly records?: object[]; readonly next_after?: string }
    if (answer.status !== 200) throw new Error(`${path} of ${store} answers ${answer.status}`)
    return { ms: performance.now() - startedMs, count: page.records?.length ?? 0, after: page.next_after }
  }
  const listed: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const since = new Date(Date.now() - 3_600_000).toISOString()
    const { ms, count } = await ask({ caller: aCaller, since })
    if (count === 0) throw new Error(`${store} finds no record of the last hour`)
    listed.push(ms)
  }
  const pages: number[] = []
  let found = 0
  for (let after: string | undefined = ''; after !== undefined;) {
    const more = after === '' ? {} : { after }
    const page = await ask({ action: 'token.exchange', limit: String(exportLimit), ...more })
    pages.push(page.ms)
    found += page.count
    after = page.after
  }
  if (found !== auditRecords) throw new Error(`${store} exports ${found} records of ${auditRecords}`)
  return [
    { store, path: 'audit list --caller X --since 1h', ms: median(listed), isJudged },
    { store, path: `audit export, each of its ${pages.length} pages`, ms: median(pages), isJudged },
  ]
}

async function fill(full: FullStore, platform: ReturnType<typeof createNodePlatform>): Promise<void> {
  const { store, clock } = platform
  const credentials = createCredentials({ ...platform, onMalformed: () => undefined })
  await eachOf(full.credentials, async (index) => {
    await credentials.add({
      name: nameOf(index),
      upstream: 'google',
      identity: `account-${index}@project-${index % 7}.iam.gserviceaccount.com`,
      secret: { kind: 'api_key', key: new Secret('development-only') },
    })
  })
  const trail = createStoredAuditTrail({
    ...platform,
    newId: platform.entropy.uuid,
    keepDays: days + 1,
    membersOf: auditMembers,
  })
  const apart = (days * 86_400) / full.auditRecords
  await eachOf(full.auditRecords, async (index) => {
    await trail({
      requestId: platform.entropy.uuid(),
      at: epochSeconds(Math.floor(clock.now() - index * apart)),
      action: 'token.exchange',
      outcome: index % 10 === 0 ? 'refused' : 'issued',
      issuer: 'cluster',
      caller: `system:serviceaccount:team-${index % 50}:worker`,
      credential: nameOf(index % full.credentials),
      remaining: seconds(3_599),
      durationMs: 1,
      ...(index % 10 === 0 ? { error: 'scope_refused', reason: 'beyond the rule' } : {}),
    })
  })
  const summarise = createSummarise({
    store,
    clock,
    summary: createSummaryRecord({ store }),
    ruleUses: { since: () => Promise.resolve([]) },
  })
  await patiently(async () => await summarise(await listAllCredentials(credentials)))
}

function nameOf(index: number): string {
  return `credential-${String(index).padStart(5, '0')}`
}

async function eachOf(count: number, work: (index: number) => Promise<void>): Promise<void> {
  for (let first = 0; first < count; first += together)
    await Promise.all(
      Array.from({ length: Math.min(together, count - first) }, (_, index) =>
        patiently(() => work(first + index)),
      ),
    )
}

/** An emulator that is written to so fast does not answer everything in time. */
async function patiently(work: () => Promise<void>, tries = 20): Promise<void> {
  try {
    await work()
  } catch (error) {
    // What was there already was written by a try whose answer came too late.
    if (isBrokerError(error) && error.code === 'already_exists') return
    if (!isBrokerError(error) || error.code !== 'store_unavailable' || tries === 1) throw error
    await wait(500)
    await patiently(work, tries - 1)
  }
}

export function pageTable(figures: readonly PageFigures[]): readonly string[] {
  return [
    '',
    '| Page of the console, or command | Store | Median |',
    '|---|---|---|',
    ...figures.map(({ path, store, ms }) => `| \`${path}\` | ${store} | ${ms.toFixed(0)} ms |`),
  ]
}

export function missedPages(figures: readonly PageFigures[]): readonly string[] {
  return figures
    .filter(({ ms, isJudged }) => isJudged && ms > pageMsMax)
    .map(({ path, store, ms }) => `${path} on ${store} takes ${ms.toFixed(0)} ms, of ${pageMsMax}`)
}
