import { decodeJwt, type CryptoKey } from 'jose'
import { createKeyRing } from '../../src/adapters/key-ring/key-ring.ts'
import { createLocalRingKeys } from '../../src/adapters/key-ring/local-keys.ts'
import { importWebAesGcmKey } from '../../src/adapters/system/clock-and-entropy.ts'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { createBroker } from '../../src/compose.ts'
import type { Platform, Serve } from '../../src/compose/platform.ts'
import { createLimits } from '../../src/adapters/system/rate-limits.ts'
import { readSettings } from '../../src/config.ts'
import type { Environment } from '../../src/config/setting.ts'
import type { AuditRecord } from '../../src/domain/audit-record.ts'
import type { Claims } from '../../src/domain/caller.ts'
import { Secret } from '../../src/domain/secret.ts'
import { later, seconds } from '../../src/domain/time.ts'
import { createPolicies } from '../../src/records/policies.ts'
import { createFakeClock, type FakeClock } from './fake-clock.ts'
import { createLogBook } from './quiet.ts'
import { answer, createRoutedHttp, type RoutedHttp } from './routed-http.ts'
import { createSequence, webSha256 } from './sequence.ts'
import { base64url, createSigner, type Signer } from './signer.ts'

export const iamHost = 'tokens.acme.example'
export const account = 'reports@acme.iam.gserviceaccount.com'
export const bucket = 'acme-reports'
export const readScope = 'https://www.googleapis.com/auth/devstorage.read_only'

export interface IamWorld extends RoutedHttp {
  readonly clock: FakeClock
  readonly audits: readonly AuditRecord[]
  readonly platform: Platform
  /** The public half of the key of `account`. */
  readonly publicKey: CryptoKey
  readonly people: Readonly<Record<'billing' | 'stranger' | 'ops', Signer>>
  readonly jwt: (
    person: string,
    change?: Claims,
    header?: Readonly<Record<string, unknown>>,
  ) => Promise<string>
  readonly call: (line: string, request?: IamRequest) => Promise<Response>
  /** A method of IAM Credentials, as JSON. */
  readonly ask: (method: string, body: object, asking?: Asking) => Promise<Answered>
  /** What `/v1/token` answers of the broker itself. */
  readonly askTicket: (jwt: string, more?: Readonly<Record<string, string>>) => Promise<Answered>
  readonly ticket: () => Promise<string>
  readonly applyPolicy: (policy: object) => Promise<number>
  readonly policy: (rule?: object) => { readonly issuers: object[]; readonly rules: object[] } & object
  /** One more broker on the same store and keys, under another name. */
  readonly serveAs: (issuer: string) => Serve
}

export interface IamRequest {
  readonly bearer?: string
  readonly body?: object | URLSearchParams
  readonly serve?: Serve
}

export interface Asking {
  readonly bearer?: string
  readonly email?: string
  readonly serve?: Serve
}

export interface Answered {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
  readonly headers: Headers
}

/**
 * A whole broker in this process with the service-account key `reports-sa`, of which `billing` may have tokens and what
 * the rule's `signature` says; `stranger` is a caller without a rule.
 */
export async function createIamWorld(
  signature: object = { storage_buckets: [bucket] },
  settings: Environment = {},
): Promise<IamWorld> {
  const clock = createFakeClock()
  const store = createMemoryStore({ clock })
  const routed = createRoutedHttp()
  const audits: AuditRecord[] = []
  const names = ['billing', 'stranger', 'ops'] as const
  const signers = await Promise.all(names.map((name) => createSigner('ES256', name)))
  const people = Object.fromEntries(names.map((name, at) => [name, signers[at]])) as IamWorld['people']
  const pair = await crypto.subtle.generateKey(
    {
      name: 'RSASSA-PKCS1-v1_5',
      hash: 'SHA-256',
      modulusLength: 2048,
      publicExponent: Uint8Array.of(1, 0, 1),
    },
    true,
    ['sign', 'verify'],
  )
  routed.route('https://oauth2.googleapis.com/token', ({ body }) => answerToken(body ?? '', clock.now()))
  const settingsOf = (issuer: string) =>
    readSettings({
      DOWNSCOPE_ISSUER: issuer,
      DOWNSCOPE_STORE: 'memory:',
      DOWNSCOPE_KEYS: `k1:${btoa('k'.repeat(32))}`,
      ...settings,
    })
  const issuer = `https://${iamHost}`
  const platform: Platform = {
    limits: createLimits(settingsOf(issuer), clock),
    clock,
    entropy: createSequence(),
    sha256: webSha256,
    importAesGcmKey: importWebAesGcmKey,
    http: routed.http,
    background: { runsAfterAnswer: true, run: (work) => void work().catch(() => undefined) },
    log: createLogBook().log,
    auditTrail: async (record) => void audits.push({ ...record }),
    store,
    keyRing: createKeyRing([createLocalRingKeys([{ kid: 'k1', key: new Secret(btoa('k'.repeat(32))) }])]),
    sharesWork: true,
  }
  const serveAs = (name: string): Serve => createBroker(settingsOf(name), platform).serve
  const first = serveAs(issuer)

  const policy: IamWorld['policy'] = (rule = {}) => ({
    version: 1,
    issuers: Object.entries(people).map(([name, { jwk }]) => ({
      name,
      issuer: name,
      self_issued: true,
      keys: { jwks: { keys: [jwk] } },
    })),
    rules: [
      {
        name: 'reports',
        callers: [{ issuer: 'billing', subject: 'billing' }],
        credential: 'reports-sa',
        scopes: [readScope],
        token_types: ['access_token', 'id_token', 'signature'],
        id_token_audiences: ['https://reports.example'],
        signature,
        ...rule,
      },
    ],
    admins: [{ callers: [{ issuer: 'ops', subject: 'ops' }], role: 'admin' }],
  })
  const policies = createPolicies({ store, clock, newId: () => 'first' })
  await policies.apply({ text: JSON.stringify(policy()), expected: undefined, by: 'nobody' })

  let jwts = 0
  const jwt: IamWorld['jwt'] = (person, change = {}, header = {}) => {
    jwts += 1
    const now = clock.now()
    const times = { iat: now, exp: later(now, seconds(240)), jti: `jti-${jwts}` }
    const signer = people[person as 'billing']
    return signer.sign({ iss: person, sub: person, aud: `https://${iamHost}`, ...times, ...change }, header)
  }
  const call: IamWorld['call'] = async (line, { bearer, body, serve = first } = {}) => {
    const [method = '', path = ''] = line.split(' ')
    const isForm = body instanceof URLSearchParams
    const headers = {
      ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
      ...(body === undefined || isForm ? {} : { 'content-type': 'application/json' }),
    }
    const sent = body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }
    return serve(new Request(`https://${iamHost}${path}`, { method, headers, ...sent }))
  }
  const read = async (response: Response): Promise<Answered> => ({
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Answered['body'],
  })
  const askTicket: IamWorld['askTicket'] = async (token, more = {}) =>
    read(
      await call('POST /v1/token', {
        body: new URLSearchParams({
          grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
          subject_token: token,
          subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
          audience: `//${iamHost}`,
          scope: 'https://www.googleapis.com/auth/cloud-platform',
          ...more,
        }),
      }),
    )
  const world: IamWorld = {
    ...routed,
    clock,
    audits,
    platform,
    publicKey: pair.publicKey,
    people,
    jwt,
    call,
    ask: async (method, body, { bearer, email = `reports-sa@${iamHost}`, ...more } = {}) =>
      read(
        await call(`POST /v1/projects/-/serviceAccounts/${email}:${method}`, {
          bearer: bearer ?? (await jwt('billing')),
          body,
          ...more,
        }),
      ),
    askTicket,
    ticket: async () => String((await askTicket(await jwt('billing'))).body['access_token']),
    applyPolicy: async (document) => {
      const shown = await call('GET /v1/admin/policy', { bearer: await jwt('ops') })
      const request = new Request(`https://${iamHost}/v1/admin/policy`, {
        method: 'PUT',
        headers: {
          authorization: `Bearer ${await jwt('ops')}`,
          'content-type': 'application/json',
          'if-match': shown.headers.get('etag') ?? '',
        },
        body: JSON.stringify(document),
      })
      return (await first(request)).status
    },
    policy,
    serveAs,
  }
  const secret = {
    type: 'service_account',
    client_email: account,
    private_key_id: 'key-1',
    private_key: await pemOf(pair.privateKey),
    token_uri: 'https://oauth2.googleapis.com/token',
  }
  // The third one is of the same account as the first.
  for (const name of ['reports-sa', 'other-sa', 'third-sa']) {
    const body = {
      name,
      secret:
        name === 'other-sa' ? { ...secret, client_email: 'other@acme.iam.gserviceaccount.com' } : secret,
    }
    const enrolled = await call('POST /v1/admin/credentials', { bearer: await jwt('ops'), body })
    if (enrolled.status !== 201) throw new Error(await enrolled.text())
  }
  return world
}

async function pemOf(key: CryptoKey): Promise<string> {
  const der = new Uint8Array(await crypto.subtle.exportKey('pkcs8', key))
  const lines = btoa(String.fromCharCode(...der)).match(/.{1,64}/g) ?? []
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`
}

const json = { 'content-type': 'application/json' }

/** An access token, or an ID token for whom the assertion wants it. */
function answerToken(form: string, now: number) {
  const assertion = new URLSearchParams(form).get('assertion') ?? ''
  const target = decodeJwt(assertion)['target_audience']
  if (target === undefined)
    return answer({ access_token: `ya29.token-${now}`, expires_in: 3599, token_type: 'Bearer' }, 200, json)
  const payload = {
    iss: 'https://accounts.google.com',
    aud: target,
    email: account,
    exp: now + 3600,
  }
  return answer(
    { id_token: ['{}', JSON.stringify(payload), 'signature'].map((part) => base64url(part)).join('.') },
    200,
    json,
  )
}
