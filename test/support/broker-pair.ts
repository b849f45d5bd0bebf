import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { createHttpClient } from '../../src/adapters/system/fetch-http-client.ts'
import { createTextPolicySource } from '../../src/policy/policy-in-force.ts'
import { createEntropy, importWebAesGcmKey } from '../../src/adapters/system/clock-and-entropy.ts'
import { openIdentitySource, openOwnIdentity } from '../../src/compose/google-cloud.ts'
import { createBroker } from '../../src/compose.ts'
import type { Broker, Platform } from '../../src/compose/platform.ts'
import { readSettings } from '../../src/config.ts'
import type { Environment } from '../../src/config/setting.ts'
import type { AuditRecord } from '../../src/domain/audit-record.ts'
import { createFakeClock } from './fake-clock.ts'
import { startGoogleStandIn, type GoogleStandIn } from './google/stand-in.ts'
import { createPlainKeyRing } from './plain-key-ring.ts'
import { createAwaitableBackground, createLogBook } from './quiet.ts'
import { webSha256 } from './sequence.ts'
import { createSigner } from './signer.ts'

const issuer = 'https://tokens.acme.example'
const reading = 'https://www.googleapis.com/auth/devstorage.read_only'

/** What the policy has instead of its own. */
export interface Scene {
  readonly rules: readonly object[]
  readonly upstreams: readonly object[]
}

export type BrokerPair = Awaited<ReturnType<typeof startBrokerPair>>

export interface Asked {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

/**
 * Two whole brokers over one store, in this process, with a clock that stands still until it is told to move, and the
 * Google stand-in behind a real socket. Callers and an administrator may ask both.
 */
export async function startBrokerPair(
  more: Environment | ((google: GoogleStandIn) => Promise<Environment>) = {},
  scene: Partial<Scene> = {},
) {
  const clock = createFakeClock()
  const google = await startGoogleStandIn({ now: () => clock.now() })
  const signer = await createSigner('RS256', 'k')
  const store = createMemoryStore({ clock })
  const book = createLogBook()
  const records: AuditRecord[] = []
  const policy = JSON.stringify({ ...policyFor(signer.jwk), ...scene })
  const settings = readSettings({
    DOWNSCOPE_ISSUER: issuer,
    DOWNSCOPE_STORE: 'memory:',
    DOWNSCOPE_KEYS: `k1:${btoa('0'.repeat(32))}`,
    DOWNSCOPE_POLICY_YAML: policy,
    ...google.endpoints,
    GCE_METADATA_HOST: google.metadataHost,
    ...(typeof more === 'function' ? await more(google) : more),
  })

  const createOne = (): Broker & { readonly settled: () => Promise<void> } => {
    const background = createAwaitableBackground()
    const outward = { clock, entropy: createEntropy(), http: createHttpClient(), sharesWork: true }
    const identitySource = openIdentitySource(settings, { ...outward, hasMetadataServer: true })
    const platform: Platform = {
      ...outward,
      ...openOwnIdentity(settings, { ...outward, identitySource }),
      sha256: webSha256,
      importAesGcmKey: importWebAesGcmKey,
      background,
      log: book.log,
      auditTrail: async (record) => void records.push(record),
      store,
      keyRing: createPlainKeyRing(),
      policySource: createTextPolicySource(policy, 'the test'),
    }
    return { ...createBroker(settings, platform), settled: background.settled }
  }
  const brokers = [createOne(), createOne()] as const

  const jwt = (subject: string, claims: Readonly<Record<string, string>> = {}) => {
    const iat = clock.now()
    const own = { iss: 'platform', sub: subject, aud: issuer, iat, exp: iat + 3600, jti: `${iat}` }
    return signer.sign({ ...claims, ...own })
  }
  const send = async (broker: Broker, request: Request): Promise<Asked> => {
    const answer = await settle(clock, Promise.resolve(broker.serve(request)))
    const text = await answer.text()
    return { status: answer.status, body: text === '' ? {} : membersOf(text) }
  }

  return {
    clock,
    google,
    book,
    records,
    brokers,
    /** A token for the credential, whose JWT may be shown again. */
    ask: async (
      broker: Broker,
      audience: string,
      subjectToken: string,
      more: Readonly<Record<string, string>> = {},
    ) =>
      send(
        broker,
        new Request(`${issuer}/v1/token`, {
          method: 'POST',
          body: new URLSearchParams({
            grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
            subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
            subject_token: subjectToken,
            audience,
            ...more,
          }),
        }),
      ),
    callerJwt: (claims: Readonly<Record<string, string>> = {}) => jwt('caller', claims),
    /** A form to one of the public endpoints below `/v1/`. */
    post: (broker: Broker, path: string, form: Readonly<Record<string, string>>) =>
      send(broker, new Request(`${issuer}/v1/${path}`, { method: 'POST', body: new URLSearchParams(form) })),
    store,
    administer: async (broker: Broker, line: string, body?: object) => {
      const [method = '', path = ''] = line.split(' ')
      const headers = {
        authorization: `Bearer ${await jwt('admin')}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      }
      return send(
        broker,
        new Request(`${issuer}/v1/admin/${path}`, {
          method,
          headers,
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        }),
      )
    },
    /** Waits for real answers, and moves the clock by small steps for whoever waits for that. */
    settle: <T>(work: Promise<T>) => settle(clock, work),
    close: () => google.close(),
  }
}

async function settle<T>(clock: { advance(ms: number): Promise<void> }, work: Promise<T>): Promise<T> {
  let isOver = false
  const over = work.finally(() => {
    isOver = true
  })
  for (let turn = 0; turn < 5_000 && !isOver; turn += 1) {
    await Promise.race([over, new Promise((resolve) => setTimeout(resolve, 20))])
    if (!isOver) await clock.advance(10)
  }
  return over
}

function membersOf(text: string): Readonly<Record<string, unknown>> {
  const members: unknown = JSON.parse(text)
  return typeof members === 'object' && members !== null ? { ...members } : {}
}

function policyFor(jwk: object): object {
  const rule = (credential: string, scopes: readonly string[]) => ({
    name: `may use ${credential}`,
    callers: [{ issuer: 'platform', subject: 'caller' }],
    credential,
    scopes,
  })
  return {
    version: 1,
    issuers: [
      {
        name: 'platform',
        issuer: 'platform',
        keys: { jwks: { keys: [jwk] } },
        algorithms: ['RS256'],
        replay: 'allowed',
        lifetime_seconds_max: 3600,
      },
    ],
    rules: [
      rule('reports-sa', [reading]),
      rule('team-calendar', ['https://www.googleapis.com/auth/calendar.readonly']),
    ],
    admins: [{ callers: [{ issuer: 'platform', subject: 'admin' }], role: 'admin' }],
  }
}
