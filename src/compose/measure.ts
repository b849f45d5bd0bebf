import { isBrokerError } from '../domain/broker-error.ts'
import { failureOf } from '../domain/audit-record.ts'
import type { CompiledPolicy } from '../policy/compile-policy.ts'
import type { Exchange, ExchangeSteps } from '../exchange.ts'
import type { Mint } from '../domain/token.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentStore } from '../ports/document-store.ts'
import type { HttpClient, HttpResult } from '../ports/http-client.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import type { AuditTrail, Log } from '../ports/log.ts'
import type { RefreshLeases } from '../records/refresh-leases.ts'
import type { Tokens } from '../records/tokens.ts'
import type { GaugeReading, Meter } from '../ports/telemetry.ts'
import type { NameCall } from './name-call.ts'
import type { ExchangeRequest } from '../domain/exchange-request.ts'

/**
 * Wraps what the broker is put together from so that its work is counted. Without a meter nothing is wrapped, and a
 * request crosses not one file more.
 */
export interface Measures {
  readonly http: (http: HttpClient) => HttpClient
  readonly store: (store: DocumentStore) => DocumentStore
  readonly keyRing: (keyRing: KeyRing) => KeyRing
  readonly audit: (audit: AuditTrail) => AuditTrail
  readonly log: (log: Log) => Log
  readonly exchange: (exchange: Exchange, route: string) => Exchange
  readonly steps: (steps: ExchangeSteps) => ExchangeSteps
  readonly tokens: (tokens: Tokens) => Tokens
  readonly refreshLeases: (leases: RefreshLeases) => RefreshLeases
  readonly mint: (mint: Mint) => Mint
  readonly noteLeaseWait: () => void
  readonly watch: (read: () => Promise<readonly GaugeReading[]>) => void
  /** Is told the policy in force, whose upstreams calls are named after. */
  readonly followPolicy?: (policy: () => CompiledPolicy | undefined) => void
}

const same = <T>(given: T): T => given
const nothing = (): void => undefined

/** Nothing is wrapped. */
export const unmeasured: Measures = {
  http: same,
  store: same,
  keyRing: same,
  audit: same,
  log: same,
  exchange: same,
  steps: same,
  tokens: same,
  refreshLeases: same,
  mint: same,
  noteLeaseWait: nothing,
  watch: nothing,
}

export interface MeasuresDeps {
  readonly meter: Meter
  readonly clock: Pick<Clock, 'steadyMs'>
  readonly nameCall: NameCall
}

/** Wrapped by the first, and then by the second. */
export function joinMeasures(one: Measures, other: Measures): Measures {
  return {
    http: (http) => other.http(one.http(http)),
    store: (store) => other.store(one.store(store)),
    keyRing: (keyRing) => other.keyRing(one.keyRing(keyRing)),
    audit: (audit) => other.audit(one.audit(audit)),
    log: (log) => other.log(one.log(log)),
    exchange: (exchange, route) => other.exchange(one.exchange(exchange, route), route),
    steps: (steps) => other.steps(one.steps(steps)),
    tokens: (tokens) => other.tokens(one.tokens(tokens)),
    refreshLeases: (leases) => other.refreshLeases(one.refreshLeases(leases)),
    mint: (mint) => other.mint(one.mint(mint)),
    noteLeaseWait: one.noteLeaseWait,
    watch: one.watch,
  }
}

export function createMeasures({ meter, clock, nameCall }: MeasuresDeps): Measures {
  const since = (startedMs: number): number => (clock.steadyMs() - startedMs) / 1000
  return {
    ...unmeasured,
    http: (http) => async (request) => {
      const startedMs = clock.steadyMs()
      const result = await http(request)
      const { upstream, operation } = nameCall(request.url)
      meter.count('downscope.upstream.requests', { upstream, operation, outcome: outcomeOf(result) })
      meter.record('downscope.upstream.duration', since(startedMs), { upstream, operation })
      return result
    },
    store: (store) => {
      const measured = async <T>(operation: string, work: Promise<T>, isDone: (done: T) => boolean) => {
        const startedMs = clock.steadyMs()
        let outcome = 'failed'
        try {
          const done = await work
          outcome = isDone(done) ? 'ok' : 'conflict'
          return done
        } finally {
          meter.count('downscope.store.operations', { operation, outcome })
          meter.record('downscope.store.duration', since(startedMs), { operation })
        }
      }
      return {
        get: (key) => measured('get', store.get(key), () => true),
        put: (key, value, options) =>
          measured('put', store.put(key, value, options), (version) => version !== undefined),
        delete: (key, options) =>
          measured(
            'delete',
            store.delete(key, options),
            (isGone) => isGone || options?.version === undefined,
          ),
        list: (options) => measured('list', store.list(options), () => true),
      }
    },
    keyRing: (keyRing) => {
      const measured = async <T>(operation: string, work: Promise<T>): Promise<T> => {
        let outcome = 'failed'
        try {
          const done = await work
          outcome = 'ok'
          return done
        } finally {
          meter.count('downscope.key_ring.operations', { operation, outcome })
        }
      }
      return {
        ...keyRing,
        seal: (plaintext, place) => measured('seal', keyRing.seal(plaintext, place)),
        open: (sealed, place) => measured('open', keyRing.open(sealed, place)),
        renew: () => measured('renew', keyRing.renew()),
      }
    },
    audit: (audit) => async (record) => {
      let outcome = 'failed'
      try {
        await audit(record)
        outcome = 'written'
      } finally {
        meter.count('downscope.audit.records', { outcome })
      }
    },
    exchange: (exchange) => async (context) => {
      const startedMs = clock.steadyMs()
      let grantType = 'unknown'
      const end = (outcome: string, error: string, cache: string): void => {
        meter.count('downscope.requests', { outcome, error, grant_type: grantType, cache })
        meter.record('downscope.request.duration', since(startedMs), { outcome, cache })
      }
      try {
        const outcome = await exchange({
          ...context,
          parse: () => {
            const request = context.parse()
            grantType = grantTypes[request.proof.form]
            return request
          },
        })
        end('issued', 'none', outcome.resolved.source)
        return outcome
      } catch (error) {
        const { outcome, error: code = 'none' } = failureOf(error)
        end(outcome, code, 'none')
        throw error
      }
    },
    mint: (mint) => async (grant, deadlineMs) => {
      const { upstream } = grant.credential
      let outcome = 'minted'
      try {
        return await mint(grant, deadlineMs)
      } catch (error) {
        outcome = isBrokerError(error) && error.code === 'target_unavailable' ? 'refused' : 'failed'
        throw error
      } finally {
        meter.count('downscope.mints', { upstream, outcome })
      }
    },
    noteLeaseWait: () => meter.count('downscope.lease.waits', {}),
    watch: meter.watch,
  }
}

const grantTypes: Readonly<Record<ExchangeRequest['proof']['form'], string>> = {
  subject_token: 'token_exchange',
  client_assertion: 'client_credentials',
  bearer: 'iam_credentials',
  admin_bearer: 'unknown',
}

function outcomeOf(result: HttpResult): string {
  if (result.kind === 'failure') return result.cause
  return result.status === 429 ? '429' : `${Math.floor(result.status / 100)}xx`
}
