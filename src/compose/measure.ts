import { isBrokerError } from '../domain/broker-error.ts'
import { failureOf } from '../domain/audit-record.ts'
import type { CompiledPolicy } from '../policy/compile-policy.ts'
import { upstreamPresets } from '../domain/upstream-presets.ts'
import { originOf, type Upstream } from '../domain/upstream.ts'
import type { Exchange } from '../exchange.ts'
import type { Mint } from '../minting/mint.ts'
import type { AuditTrail } from '../ports/log.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentStore } from '../ports/document-store.ts'
import type { HttpClient, HttpResult } from '../ports/http-client.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import type { GaugeReading, Meter } from '../ports/meter.ts'
import type { ExchangeRequest } from '../domain/exchange-request.ts'
import type { Settings } from '../config.ts'

/**
 * Wraps what the broker is put together from so that its work is counted. Without a meter nothing is wrapped, and a
 * request crosses not one file more.
 */
export interface Measures {
  readonly http: (http: HttpClient) => HttpClient
  readonly store: (store: DocumentStore) => DocumentStore
  readonly keyRing: (keyRing: KeyRing) => KeyRing
  readonly audit: (audit: AuditTrail) => AuditTrail
  readonly exchange: (exchange: Exchange) => Exchange
  readonly mint: (mint: Mint) => Mint
  readonly noteLeaseWait: () => void
  readonly watch: (read: () => Promise<readonly GaugeReading[]>) => void
  /** Whose upstreams calls are named after. */
  readonly followPolicy: (policy: () => CompiledPolicy | undefined) => void
}

const same = <T>(given: T): T => given
const nothing = (): void => undefined

/** Counts nothing. */
export const unmeasured: Measures = {
  http: same,
  store: same,
  keyRing: same,
  audit: same,
  exchange: same,
  mint: same,
  noteLeaseWait: nothing,
  watch: nothing,
  followPolicy: nothing,
}

export interface MeasuresDeps {
  readonly meter: Meter
  readonly clock: Pick<Clock, 'steadyMs'>
  readonly settings: Pick<Settings, 'google' | 'firestoreEmulatorHost' | 'metadataHost'>
}

export function createMeasures({ meter, clock, settings }: MeasuresDeps): Measures {
  let policyOf: () => CompiledPolicy | undefined = () => undefined
  const presets = Object.keys(upstreamPresets)
  const since = (startedMs: number): number => (clock.steadyMs() - startedMs) / 1000
  const nameCall = createNameCall(settings, () => {
    const inForce = policyOf()
    if (inForce === undefined) return []
    return [...inForce.policy.upstreams, ...presets.flatMap((name) => inForce.findUpstream(name) ?? [])]
  })

  return {
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
    followPolicy: (policy) => {
      policyOf = policy
    },
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

interface CallName {
  readonly upstream: string
  readonly operation: string
}

/** What a request is for, by its address alone: from closed sets and the policy's names, so labels stay few. */
function createNameCall(
  { google, firestoreEmulatorHost, metadataHost }: MeasuresDeps['settings'],
  upstreams: () => readonly Upstream[],
): (url: string) => CallName {
  const exact = new Map<string, string>([
    [google.oauthTokenUrl, 'token'],
    [google.stsTokenUrl, 'sts'],
    [google.revokeUrl, 'revoke'],
    [google.tokeninfoUrl, 'tokeninfo'],
  ])
  const below: readonly (readonly [string, string])[] = [
    [`${google.iamCredentialsUrl}/`, 'iam_credentials'],
    [`${google.iamUrl}/`, 'iam'],
    [`${google.kmsUrl}/`, 'kms'],
    [`http://${metadataHost ?? 'metadata.google.internal'}/`, 'metadata'],
    ['https://firestore.googleapis.com/', 'store'],
    ...(firestoreEmulatorHost === undefined ? [] : [[`http://${firestoreEmulatorHost}/`, 'store'] as const]),
  ]
  return (url) => {
    const [bare = ''] = url.split('?')
    const known = exact.get(bare) ?? below.find(([prefix]) => bare.startsWith(prefix))?.[1]
    if (known !== undefined) return { upstream: 'google', operation: known }
    const origin = URL.parse(bare)?.origin
    const found = upstreams().find((one) => originOf(one) === origin)
    const operation = operationIn(bare, found)
    if (found !== undefined) return { upstream: found.name, operation }
    return { upstream: operation === 'keys' || operation === 'discovery' ? 'issuer' : 'other', operation }
  }
}

const words = [
  [/\/\.well-known\/(?:openid-configuration|oauth-authorization-server)/, 'discovery'],
  [/revo/, 'revoke'],
  [/introspect/, 'introspect'],
  [/jwks|certs|keys|x509/, 'keys'],
  [/token/, 'token'],
] as const

function operationIn(url: string, upstream: Upstream | undefined): string {
  if (upstream?.endpoints.from === 'policy') {
    const { token, revocation, introspection, keys } = upstream.endpoints
    if (url === token) return 'token'
    if (url === revocation) return 'revoke'
    if (url === introspection) return 'introspect'
    if (url === keys) return 'keys'
  }
  return words.find(([pattern]) => pattern.test(url))?.[1] ?? 'other'
}
