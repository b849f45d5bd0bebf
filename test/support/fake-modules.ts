import type { PolicyVersion } from '../../src/records/policies.ts'
import type { BlockedCaller } from '../../src/domain/blocks.ts'
import type { Connect } from '../../src/connect/connect.ts'
import type { Connection } from '../../src/domain/connection.ts'
import { BrokerError } from '../../src/domain/broker-error.ts'
import type { CredentialSummary } from '../../src/domain/credential.ts'
import type { PolicyWarning } from '../../src/domain/policy.ts'
import { epochSeconds } from '../../src/domain/time.ts'
import type { AppDeps } from '../../src/http/app.ts'
import type { AdministerCredentials } from '../../src/enrolment/administer-credentials.ts'
import type { AdministerPolicy, PolicyReading } from '../../src/policy/administer-policy.ts'
import type { AdministerService, ServiceStatus } from '../../src/service/administer-service.ts'
import type { MaintenanceReport } from '../../src/maintenance/maintenance.ts'
import type { RewrapReport } from '../../src/maintenance/rewrap-keys.ts'

/** The public URL of the fake HTTP layer. */
export const issuer = 'https://tokens.acme.example'

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

/** Administration of credentials in memory: one is enrolled. */
export function createFakeCredentials(): AdministerCredentials {
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
    change: async (name, { rotateAfterDays: days }) => {
      const { rotateAfterDays: _, ...rest } = await read(name)
      return typeof days === 'number' ? { ...rest, rotateAfterDays: days } : rest
    },
    disable: (name) => change(name, 'disabled'),
    enable: (name) => change(name, 'enabled'),
    destroy: async (name) => {
      await read(name)
      kept.delete(name)
    },
  }
}

/** What the fake policy warns of where it reads of a task queue. */
export const taskQueueWarning: PolicyWarning = {
  line: 2,
  column: 9,
  path: 'rules[0].scopes[0]',
  code: 'scope',
  text: 'is deprecated',
}

/** A policy at revision `r1` that may be replaced once. */
export function createFakePolicy(): AdministerPolicy {
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
    history: async () => [policyVersion],
    version: async () => policyVersion,
  }
}

const policyVersion: PolicyVersion = {
  revision: 'r1',
  number: 1,
  text: 'version: 1',
  by: 'ops/ops',
  appliedAt: epochSeconds(1_800_000_000),
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

/** Rotation that does nothing, and shows any credential. */
export function createFakeRotation(): AppDeps['rotation'] {
  const shown = async (name: string): Promise<CredentialSummary> => ({ ...summary, name })
  return {
    rotate: shown,
    bring: shown,
    abort: shown,
    disableVersion: shown,
    destroyVersion: shown,
  }
}

export const maintenance: MaintenanceReport = {
  begun: ['reports-sa'],
  rotations: [{ credential: 'reports-sa', step: 'prove', reason: 'not known yet' }],
  removed: [{ credential: 'reports-sa', version: '0' }],
  probed: [{ credential: 'team-calendar', works: true }],
  swept: { deleted: 3, isMoreLeft: false },
  faults: [{ task: 'rotation', credential: 'other-sa', reason: 'the store is down' }],
  isMoreLeft: false,
}

const byHand = { by: 'ops/admin', since: epochSeconds(1_800_000_000) }

/** The kill switch, as far as one caller after another is blocked. */
export function createFakeService(): AdministerService {
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

const connection: Connection = {
  id: '00000000-0000-4000-8000-0000000000aa',
  name: 'reports-sa',
  upstream: 'google',
  client: 'google-client',
  scopes: ['read'],
  replacesAccount: false,
  startedBy: { issuer: 'ops', subject: 'admin' },
  createdAt: epochSeconds(1_800_000_000),
  expiresAt: epochSeconds(1_800_003_600),
  state: 'pending',
}

/** One connection that nobody has answered yet. */
export function createFakeConnect(): Connect {
  const url = `${issuer}/connect/${connection.id}.${'a'.repeat(64)}`
  return {
    start: async () => ({ connection, url, nonce: 'n' }),
    read: async () => ({ connection, state: 'pending' }),
    finalize: async () => summary,
    answer: async () => ({ kind: 'unmatched' }),
    open: async () => ({ kind: 'closed' }),
    refuse: async () => undefined,
    beginConsent: async () => undefined,
    end: async () => undefined,
    tidy: async () => undefined,
  }
}

export const serviceStatus: ServiceStatus = {
  version: '1.2.3',
  now: epochSeconds(1_800_000_000),
  issuer,
  store: { ok: true },
  keyRing: { ok: false, reason: 'no answer' },
  policy: { ok: true, revision: 'r1', origin: 'store version 1', loadedAt: epochSeconds(1_800_000_000) },
  upstreams: [
    { name: 'dev', ok: false, reason: 'it answers 503', at: epochSeconds(1_799_999_000) },
    { name: 'google', ok: true, at: epochSeconds(1_800_000_000) },
  ],
  stopped: byHand,
  blockedCallers: 1,
  settings: { DOWNSCOPE_STORE: 'memory:' },
}
