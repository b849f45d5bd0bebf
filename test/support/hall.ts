import type { Hono } from 'hono'

import { createAdminister } from '../../src/administer.ts'
import type { AuditRecord } from '../../src/domain/audit-record.ts'
import type { PolicyWarning } from '../../src/domain/policy-warning.ts'
import { BrokerError } from '../../src/domain/broker-error.ts'
import type { Caller } from '../../src/domain/caller.ts'
import type { BlockedCaller } from '../../src/domain/blocks.ts'
import type { CredentialSummary } from '../../src/domain/credential.ts'
import type { ExchangeRequest } from '../../src/domain/exchange-request.ts'
import type { AdminRole } from '../../src/domain/policy.ts'
import { Secret } from '../../src/domain/secret.ts'
import { epochSeconds, seconds } from '../../src/domain/time.ts'
import type { ExchangeContext, ExchangeOutcome } from '../../src/exchange.ts'
import type { AdministerCredentials } from '../../src/lifecycle/administer-credentials.ts'
import type { MaintenanceReport } from '../../src/lifecycle/maintenance.ts'
import type { AdministerService } from '../../src/lifecycle/administer-service.ts'
import type { ServiceStatus } from '../../src/lifecycle/service-status.ts'
import type { AdministerPolicy, PolicyReading } from '../../src/lifecycle/administer-policy.ts'
import type { RewrapReport } from '../../src/lifecycle/rewrap-keys.ts'
import { createApp, type HallDeps } from '../../src/http/app.ts'
import { createFakeClock } from './fake-clock.ts'
import { createLogBook, type LogLine } from './quiet.ts'
import { createSequence } from './sequence.ts'

export interface FakeHall {
  readonly app: Hono
  readonly lines: readonly LogLine[]
  readonly records: readonly AuditRecord[]
  /** What reached the exchange, parsed. */
  readonly requests: readonly ExchangeRequest[]
}

export const issuer = 'https://tokens.acme.example'

/** The hall with rooms that behave: an exchange that issues one token, one enrolled credential, one policy. */
export function createFakeHall(changes: Partial<HallDeps> = {}): FakeHall {
  const { log, lines } = createLogBook()
  const records: AuditRecord[] = []
  const requests: ExchangeRequest[] = []
  const clock = createFakeClock()
  const app = createApp({
    issuer,
    exchange: async ({ parse }) => {
      requests.push(parse())
      return outcome()
    },
    administer: createAdminister({
      authenticate: identify,
      authorizeAdmin,
      audit: async (record) => {
        records.push(record)
      },
      clock,
    }),
    revokeToken: async ({ parse }) => {
      parse()
    },
    introspect: async () => ({ isActive: false }),
    credentials: createFakeCredentials(),
    revokeCredential: async (name) => ({
      credential: { ...summary, name, state: 'revoked' },
      revocation: { upstream: 'not_possible', detail: 'disable key k1 in IAM' },
    }),
    policy: createFakePolicy(),
    explain: async () => ({
      explanation: { outcome: 'granted', caller: { issuer: 'a', subject: 's' }, rules: [], hints: [] },
    }),
    suggest: async (days) => ({ days, rules: [], unusedCredentials: [] }),
    rewrapKeys: async () => rewrapReport,
    service: createFakeService(),
    serviceStatus: async () => serviceStatus,
    readiness: async () => ({ store: 'ok', keyRing: 'ok', policy: 'ok' }),
    entropy: createSequence(),
    log,
    rotation: createFakeRotation(),
    maintain: async () => maintenance,
    ...changes,
  })
  return { app, lines, records, requests }
}

/** An exchange that fails as told, after parsing as the real one does. */
export function failing(error: unknown): (context: ExchangeContext) => Promise<ExchangeOutcome> {
  return async ({ parse }) => {
    parse()
    throw error
  }
}

export function outcome(token: Partial<ExchangeOutcome['resolved']['token']> = {}): ExchangeOutcome {
  const now = epochSeconds(1_800_000_000)
  return {
    grant: {
      caller,
      rule: 'reports',
      credential: { name: 'reports-sa', version: '1', kind: 'service_account_key', upstream: 'google' },
      scopes: ['read'],
      tokenType: 'access_token',
    },
    resolved: {
      digest: 'd'.repeat(64),
      source: 'memory',
      remaining: seconds(3599),
      token: {
        secret: new Secret('ya29.the-token'),
        tokenType: 'access_token',
        scopes: ['read', 'write'],
        drawnFrom: ['1'],
        issuedAt: now,
        expiresAt: epochSeconds(now + 3599),
        ...token,
      },
    },
  }
}

/** A well-formed token request with changes; `undefined` leaves a parameter out. */
export function tokenForm(changes: Readonly<Record<string, string | undefined>> = {}): string {
  const parameters = {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: 'aaa.bbb.ccc',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    audience: 'reports-sa',
    ...changes,
  }
  const form = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) form.set(name, value)
  return form.toString()
}

export function post(
  app: Hono,
  body: string | ReadableStream<Uint8Array>,
  headers: Record<string, string> = {},
): Promise<Response> {
  return Promise.resolve(
    app.request('/v1/token', {
      method: 'POST',
      body,
      // Node wants it for a streamed body.
      duplex: 'half',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    }),
  )
}

const caller: Caller = { issuer: 'ops', issuerName: 'ops', subject: 'someone', claims: {} }

/** The bearer token is the subject; any other than the three roles' names does not verify. */
async function identify({ assertion }: { readonly assertion: Secret }): Promise<Caller> {
  const subject = assertion.reveal()
  if (subject !== 'viewer' && subject !== 'operator' && subject !== 'admin' && subject !== 'nobody')
    throw new BrokerError('admin_unauthenticated', { reason: 'the signature does not verify' })
  return { ...caller, subject }
}

const ranks: Readonly<Record<AdminRole, number>> = { viewer: 1, operator: 2, admin: 3 }

async function authorizeAdmin({ subject }: Caller, needed: AdminRole): Promise<AdminRole> {
  const rank = subject === 'viewer' || subject === 'operator' || subject === 'admin' ? ranks[subject] : 0
  if (rank < ranks[needed]) throw new BrokerError('admin_forbidden', { reason: `${needed} is needed` })
  return needed
}

export const summary: CredentialSummary = {
  name: 'reports-sa',
  kind: 'service_account_key',
  upstream: 'google',
  state: 'enabled',
  version: '1',
  versions: [
    {
      id: '1',
      state: 'active',
      identity: 'reports@acme.iam.gserviceaccount.com',
      keyId: 'k1',
      createdAt: epochSeconds(1_700_000_000),
      changedAt: epochSeconds(1_700_000_000),
    },
  ],
  identity: 'reports@acme.iam.gserviceaccount.com',
  keyId: 'k1',
  health: { status: 'healthy', since: epochSeconds(1_800_000_000) },
  revision: 1,
  createdAt: epochSeconds(1_700_000_000),
  updatedAt: epochSeconds(1_800_000_000),
}

function createFakeCredentials(): AdministerCredentials {
  const kept = new Map([[summary.name, summary]])
  const read = async (name: string): Promise<CredentialSummary> => {
    const found = kept.get(name)
    if (found === undefined) throw new BrokerError('not_found', { reason: `no credential ${name}` })
    return found
  }
  const change = async (name: string, state: CredentialSummary['state']): Promise<CredentialSummary> => {
    const changed = { ...(await read(name)), state }
    kept.set(name, changed)
    return changed
  }
  return {
    read,
    list: async ({ after = '', limit }) =>
      [...kept.values()].filter(({ name }) => name > after).slice(0, limit),
    enrol: async ({ name }) => {
      if (kept.has(name)) throw new BrokerError('already_exists', { reason: `${name} exists` })
      kept.set(name, { ...summary, name, consentedScopes: ['read'] })
      return read(name)
    },
    disable: (name) => change(name, 'disabled'),
    enable: (name) => change(name, 'enabled'),
    destroy: async (name) => {
      await read(name)
      kept.delete(name)
    },
  }
}

export const rewrapReport: RewrapReport = {
  sealingKey: 'k2',
  rewrapped: 2,
  already: 1,
  passing: 1,
  failed: [{ key: 'credentials/reports-sa', reason: 'there is no key "k0"' }],
  stillInUse: [
    { keyId: 'k0', records: 1 },
    { keyId: 'k1', records: 1, until: epochSeconds(1_800_003_600) },
  ],
  after: 'credentials/team-calendar',
}

function createFakeRotation(): HallDeps['rotation'] {
  const shown = async (name: string): Promise<CredentialSummary> => ({ ...summary, name })
  return {
    rotate: shown,
    bring: shown,
    abort: shown,
    disableVersion: shown,
    destroyVersion: shown,
    rotateAfter: async (name, days) => ({
      ...(await shown(name)),
      ...(days === undefined ? {} : { rotateAfterDays: days }),
    }),
  }
}

const maintenance: MaintenanceReport = {
  begun: ['reports-sa'],
  rotations: [{ credential: 'reports-sa', step: 'prove', reason: 'not known yet' }],
  removed: [{ credential: 'reports-sa', version: '0' }],
  probed: [{ credential: 'team-calendar', works: true }],
  swept: { deleted: 3, isMoreLeft: false },
  faults: [{ task: 'rotation', credential: 'other-sa', reason: 'the store is down' }],
  isMoreLeft: false,
}

/** What the fake policy warns of where it reads of a task queue. */
export const taskQueueWarning: PolicyWarning = {
  line: 2,
  column: 9,
  path: 'rules[0].scopes[0]',
  text: 'is deprecated',
}

const byHand = { by: 'ops/admin', since: epochSeconds(1_800_000_000) }

function createFakeService(): AdministerService {
  const callers: BlockedCaller[] = []
  return {
    stop: async () => byHand,
    resume: async () => undefined,
    blockedCallers: async () => callers,
    blockCaller: async (one) => {
      callers.push({ ...one, ...byHand })
      return { ...one, ...byHand }
    },
    unblockCaller: async (one) => one,
  }
}

const serviceStatus: ServiceStatus = {
  version: '1.2.3',
  now: epochSeconds(1_800_000_000),
  issuer,
  store: { ok: true },
  keyRing: { ok: false, reason: 'no answer' },
  policy: { ok: true, revision: 'r1', origin: 'store version 1', loadedAt: epochSeconds(1_800_000_000) },
  stopped: byHand,
  blockedCallers: 1,
  settings: { DOWNSCOPE_STORE: 'memory:' },
}

function createFakePolicy(): AdministerPolicy {
  let current: PolicyReading = {
    text: 'version: 1\n',
    revision: 'r1',
    origin: 'store version 1',
    loadedAt: epochSeconds(1_800_000_000),
  }
  const validate = async (text: string): Promise<readonly PolicyWarning[]> => {
    if (text.startsWith('version: 1')) return text.includes('taskqueue') ? [taskQueueWarning] : []
    throw new BrokerError('document_invalid', {
      reason: 'line 1: "version" is missing',
      publicDetail: 'line 1: "version" is missing',
    })
  }
  return {
    validate,
    read: async () => current,
    apply: async ({ text, ifMatch }) => {
      const warnings = await validate(text)
      if (ifMatch !== current.revision)
        throw new BrokerError('changed_meanwhile', { reason: `it is at ${current.revision}` })
      current = { ...current, text, revision: 'r2' }
      return { revision: 'r2', warnings }
    },
  }
}
