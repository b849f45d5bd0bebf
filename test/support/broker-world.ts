import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { createBroker } from '../../src/compose.ts'
import type { Platform, Serve } from '../../src/compose/platform.ts'
import { createLimits } from '../../src/adapters/system/rate-limits.ts'
import { readSettings } from '../../src/config.ts'
import type { AuditRecord } from '../../src/domain/audit-record.ts'
import { later, seconds } from '../../src/domain/time.ts'
import { createPolicies } from '../../src/records/policies.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { DocumentStore } from '../../src/ports/document-store.ts'
import { createFakeClock, type FakeClock } from './fake-clock.ts'
import { createFaultyStore, type FaultyStore } from './faulty-store.ts'
import { createPlainKeyRing } from './plain-key-ring.ts'
import { createLogBook, type LogLine } from './quiet.ts'
import type { HttpResult } from '../../src/ports/http-client.ts'
import { createRoutedHttp, type RoutedHttp } from './routed-http.ts'
import { importWebAesGcmKey } from '../../src/adapters/system/clock-and-entropy.ts'
import { createSequence, webSha256 } from './sequence.ts'
import { createSigner, type Signer } from './signer.ts'

const brokerIssuer = 'https://tokens.acme.example'
const readScope = 'https://www.googleapis.com/auth/drive.readonly'
const google = 'https://oauth2.googleapis.com'

/** Self-issued callers and administrators, by the name that is issuer and subject at once. */
export type Person = 'billing' | 'reports' | 'ops' | 'deputy'

export interface BrokerWorld extends RoutedHttp {
  readonly clock: FakeClock
  readonly store: FaultyStore
  readonly lines: readonly LogLine[]
  readonly audits: readonly AuditRecord[]
  /** How often the upstream was asked for a token. */
  readonly minted: () => number
  /** With other claims than usual; an undefined one is left out. */
  readonly jwt: (person: Person, claims?: Readonly<Record<string, unknown>>) => Promise<string>
  /** `METHOD /path` to one of the instances, as somebody or nobody. */
  readonly call: (line: string, request?: WorldRequest) => Promise<Response>
  /** A token for the credential `team` or another, or why not. */
  readonly ask: (instance?: number, person?: Person, target?: string) => Promise<Response>
  readonly enrol: (name?: string) => Promise<Response>
  /** One more instance, which knows nothing yet; its number. */
  readonly addInstance: () => number
  /** What brings a further refresh token for `team`. */
  readonly newSecret: (refreshToken: string) => object
}

export interface WorldRequest {
  readonly as?: Person
  /** Text as it is, a form as it is, anything else as JSON. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** Which instance is asked; the first by default. */
  readonly at?: number
}

/**
 * Whole brokers in this process, two instances on one store, with a clock that moves when it is told and an upstream
 * that gives a new token each time. `billing` and `reports` may use the refresh token `team`; `ops` and `deputy` are
 * admins; the policy lies in the store.
 */
export async function createBrokerWorld(
  openStore: (clock: Clock) => DocumentStore = (clock) => createMemoryStore({ clock }),
  settingsTexts: Readonly<Record<string, string>> = {},
): Promise<BrokerWorld> {
  const clock = createFakeClock()
  const store = createFaultyStore(openStore(clock))
  const people = await signersOf(['billing', 'reports', 'ops', 'deputy'])
  const routed = createRoutedHttp()
  let minted = 0
  routed.route(`${google}/token`, () => {
    minted += 1
    const token = {
      access_token: `ya29.token-${minted}`,
      expires_in: 3599,
      scope: readScope,
      token_type: 'Bearer',
    }
    return jsonAnswer(token)
  })
  const book = createLogBook()
  const audits: AuditRecord[] = []
  const settings = readSettings({
    DOWNSCOPE_ISSUER: brokerIssuer,
    DOWNSCOPE_STORE: 'memory:',
    DOWNSCOPE_KEYS: `k1:${btoa('k'.repeat(32))}`,
    ...settingsTexts,
  })
  const platform: Platform = {
    clock,
    entropy: createSequence(),
    sha256: webSha256,
    importAesGcmKey: importWebAesGcmKey,
    http: routed.http,
    background: {
      runsAfterAnswer: true,
      // Its failure is logged and hurts nobody, as on every platform.
      run: (work) => void work().catch((error: unknown) => book.log('error', 'background', { error })),
    },
    log: book.log,
    auditTrail: async (record) => {
      audits.push({ ...record })
    },
    store,
    keyRing: createPlainKeyRing(),
    limits: createLimits(settings, clock),
    sharesWork: true,
  }
  const policies = createPolicies({ store, clock, newId: () => 'first' })
  await policies.apply({ text: policyText(people), expected: undefined, by: 'nobody' })
  const instances: Serve[] = [createBroker(settings, platform).serve, createBroker(settings, platform).serve]

  let jwts = 0
  const jwt: BrokerWorld['jwt'] = (person, more = {}) => {
    jwts += 1
    const now = clock.now()
    const claims = { iss: person, sub: person, aud: brokerIssuer, iat: now, exp: later(now, seconds(120)) }
    return people[person].sign({ ...claims, jti: `jti-${jwts}`, ...more })
  }
  const call: BrokerWorld['call'] = async (line, { as, body, headers = {}, at = 0 } = {}) => {
    const [method = '', path = ''] = line.split(' ')
    const serve = instances[at]
    if (serve === undefined) throw new Error(`there is no instance ${at}`)
    const authorization = as === undefined ? {} : { authorization: `Bearer ${await jwt(as)}` }
    const isRaw = body === undefined || typeof body === 'string' || body instanceof URLSearchParams
    const request = new Request(`${brokerIssuer}${path}`, {
      method,
      headers: { ...authorization, ...(isRaw ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: isRaw ? body : JSON.stringify(body) }),
    })
    return serve(request)
  }

  return {
    ...routed,
    clock,
    store,
    lines: book.lines,
    audits,
    minted: () => minted,
    jwt,
    call,
    ask: async (at = 0, person = 'billing', target = 'team') =>
      call('POST /v1/token', {
        at,
        body: new URLSearchParams({
          grant_type: 'client_credentials',
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: await jwt(person),
          audience: target,
        }),
      }),
    enrol: (name = 'team') =>
      call('POST /v1/admin/credentials', {
        as: 'ops',
        body: { name, secret: refreshTokenFile, scopes: [readScope] },
      }),
    addInstance: () => instances.push(createBroker(settings, platform).serve) - 1,
    newSecret: (refreshToken) => ({
      secret: { ...refreshTokenFile, refresh_token: refreshToken },
      scopes: [readScope],
    }),
  }
}

export function jsonAnswer(body: object, status = 200): HttpResult {
  const header = (name: string) => (name === 'content-type' ? 'application/json' : undefined)
  return { kind: 'answer', status, header, body: JSON.stringify(body) }
}

/** Google's file of a user's refresh token. */
const refreshTokenFile = {
  type: 'authorized_user',
  client_id: '32555940559.apps.googleusercontent.com',
  client_secret: 'the-client-secret',
  refresh_token: '1//the-refresh-token',
}

async function signersOf<Name extends string>(names: readonly Name[]): Promise<Record<Name, Signer>> {
  const signers = await Promise.all(
    names.map(async (name) => [name, await createSigner('ES256', name)] as const),
  )
  return Object.fromEntries(signers) as Record<Name, Signer>
}

function policyText(people: Readonly<Record<Person, Signer>>): string {
  const issuers = Object.entries(people).map(([name, { jwk }]) => ({
    name,
    issuer: name,
    self_issued: true,
    keys: { jwks: { keys: [jwk] } },
  }))
  const of = (...names: readonly Person[]) => names.map((name) => ({ issuer: name, subject: name }))
  return JSON.stringify({
    version: 1,
    issuers,
    rules: [{ name: 'team', callers: of('billing', 'reports'), credential: 'team', scopes: [readScope] }],
    admins: [{ callers: of('ops', 'deputy'), role: 'admin' }],
  })
}
