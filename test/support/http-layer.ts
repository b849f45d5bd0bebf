import type { Hono } from 'hono'
import { createAdminister } from '../../src/administer.ts'
import type { AuditRecord } from '../../src/domain/audit-record.ts'
import { BrokerError } from '../../src/domain/broker-error.ts'
import type { Caller } from '../../src/domain/caller.ts'
import type { ExchangeRequest } from '../../src/domain/exchange-request.ts'
import { adminRoles, meetsNeed, type AdminRole, type NeededRole } from '../../src/domain/policy.ts'
import { Secret } from '../../src/domain/secret.ts'
import { epochSeconds, seconds } from '../../src/domain/time.ts'
import type { ExchangeContext, ExchangeOutcome } from '../../src/exchange.ts'
import { createApp, type AppDeps } from '../../src/http/app.ts'
import { createFakeClock } from './fake-clock.ts'
import {
  createFakeConnect,
  createFakeCredentials,
  createFakePolicy,
  createFakeRotation,
  createFakeService,
  issuer,
  maintenance,
  rewrapReport,
  serviceStatus,
  summary,
} from './fake-modules.ts'
import { createPlainKeyRing } from './plain-key-ring.ts'
import { createLogBook, type LogLine } from './quiet.ts'
import { createSequence, quickDigest } from './sequence.ts'

export interface FakeHttpLayer {
  readonly app: Hono
  readonly lines: readonly LogLine[]
  readonly records: readonly AuditRecord[]
  /** What reached the exchange, parsed. */
  readonly requests: readonly ExchangeRequest[]
}

/** The HTTP layer with modules that behave: an exchange that issues one token, one enrolled credential, one policy. */
export function createFakeHttpLayer(changes: Partial<AppDeps> = {}): FakeHttpLayer {
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
    exchangeForIam: async ({ parse }) => {
      requests.push(parse())
      return outcome()
    },
    administer: createAdminister({
      countRequest: () => Promise.resolve(),
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
    introspect: async (read) => {
      read()
      return { isActive: false }
    },
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
    transferStore: {
      exportSegment: async () => '{}\n',
      importSegment: async () => ({ export: 'e', isVouchedFor: true, documents: [] }),
    },
    readAudit: async () => ({ records: [], isComplete: true }),
    readSummary: async () => ({
      at: epochSeconds(0),
      total: 0,
      matching: 0,
      isCut: false,
      rows: [],
      hours: [],
    }),
    events: {
      list: async () => ({ events: [] }),
      test: async () => ({ id: 'evt_1', receiver: 'hooks.acme.example' }),
    },
    keepsAudit: true,
    clock,
    sha256: quickDigest,
    authorizeAdmin,
    service: createFakeService(),
    rolesOf: async ({ subject }) => adminRoles.filter((role) => role === subject),
    serviceStatus: async () => serviceStatus,
    readiness: async () => ({ store: 'ok', keyRing: 'ok', policy: 'ok' }),
    entropy: createSequence(),
    log,
    rotation: createFakeRotation(),
    maintain: async () => maintenance,
    connect: createFakeConnect(),
    keyRing: createPlainKeyRing(),
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

/** The bearer token is the subject; any other than the roles' names does not verify. */
async function identify({ assertion }: { readonly assertion: Secret }): Promise<Caller> {
  const subject = assertion.reveal()
  if (subject !== 'nobody' && roleOf(subject) === undefined)
    throw new BrokerError('admin_unauthenticated', { reason: 'the signature does not verify' })
  return { ...caller, subject }
}

async function authorizeAdmin({ subject }: Caller, needed: NeededRole): Promise<AdminRole> {
  const role = roleOf(subject)
  if (role !== undefined && meetsNeed([role], needed)) return role
  throw new BrokerError('admin_forbidden', { reason: `${needed} is needed` })
}

function roleOf(subject: string): AdminRole | undefined {
  return adminRoles.find((role) => role === subject)
}
