import { decodeProtectedHeader } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createBroker } from '../../src/compose.ts'
import type { Serve } from '../../src/compose/platform.ts'
import {
  openFirestoreRest,
  createGoogleIdentity,
  openIdentitySource,
  type GooglePlatform,
} from '../../src/compose/google-cloud.ts'
import { createNodePlatform, type NodePlatform } from '../../src/compose/node-platform.ts'
import { readSettings, type Settings } from '../../src/config.ts'
import type { Environment } from '../../src/config/setting.ts'
import type { HttpClient } from '../../src/ports/http-client.ts'
import { startGoogleStandIn, type GoogleStandIn } from '../support/google/stand-in.ts'
import { federatedPrincipal, type PoolProvider } from '../support/google/workload-pools.ts'
import { jsonMembers } from '../support/json-members.ts'
import { answer } from '../support/routed-http.ts'
import { createPrivateJwk, keySetText, poolProvider } from '../support/signing-key-set.ts'

const issuer = 'https://tokens.acme.example'
const scope = 'https://www.googleapis.com/auth/datastore'
const serviceAccount = 'downscope@acme.iam.gserviceaccount.com'
const principal = federatedPrincipal(poolProvider, 'downscope')
const containing = (text: string): unknown => expect.stringContaining(text)

let google: GoogleStandIn
let first: Readonly<Record<string, unknown>>
let second: Readonly<Record<string, unknown>>
let platform: NodePlatform

beforeAll(async () => {
  google = await startGoogleStandIn()
  platform = createNodePlatform(settingsWith({}))
  await google.createServiceAccount({ email: serviceAccount })
  first = await createPrivateJwk('first')
  second = await createPrivateJwk('second', 'RS256')
})

beforeEach(async () => {
  google.clearScripts()
  google.calls.reset()
  google.allowImpersonation(principal, serviceAccount)
  await trust(open([first]))
})

afterAll(async () => {
  await google.close()
  await platform.close()
})

describe('a broker without a Google key', () => {
  test('is given a token by the pool provider that reads its published keys', async () => {
    const token = await open([first]).ask()

    expect(google.token(token)).toMatchObject({ kind: 'federated', scopes: [scope], subject: principal })
    expect(google.calls.count({ endpoint: 'sts' })).toBe(1)
    expect(google.calls.count({ endpoint: 'token' })).toBe(0)
  })

  test('is given the token of the service account that it may impersonate', async () => {
    const token = await open([first], { DOWNSCOPE_GOOGLE_SERVICE_ACCOUNT: serviceAccount }).ask()

    expect(google.token(token)).toMatchObject({
      kind: 'impersonated',
      scopes: [scope],
      subject: serviceAccount,
      actor: principal,
    })
  })

  test('holds that token: many calls are one exchange', async () => {
    const { ask } = open([first], { DOWNSCOPE_GOOGLE_SERVICE_ACCOUNT: serviceAccount })
    const tokens = await Promise.all(Array.from({ length: 20 }, ask))

    expect(new Set([...tokens, await ask()]).size).toBe(1)
    expect(google.calls.count()).toBe(2)
  })

  test('reads Firestore over REST with it', async () => {
    const bearers: string[] = []
    const { settings } = open([first])
    const http: HttpClient = async (request) => {
      if (!request.url.startsWith('https://firestore.googleapis.com/v1/projects/acme/'))
        return platform.http(request)
      bearers.push(request.headers?.['authorization']?.replace('Bearer ', '') ?? '')
      const missing = 'projects/acme/databases/downscope/documents/tokens/none'
      return answer([{ missing, readTime: '2026-11-21T00:00:00Z' }])
    }
    const place = { project: 'acme', database: 'downscope' }
    const store = openFirestoreRest(place, settings, { ...googlePlatform(settings), http })

    expect(await store.get('tokens/none')).toBeUndefined()
    expect(bearers.map((bearer) => google.token(bearer)?.subject)).toStrictEqual([principal])
  })

  test('P23: sends no private member anywhere, and prints none', async () => {
    const { ask, settings } = open([first], { DOWNSCOPE_GOOGLE_SERVICE_ACCOUNT: serviceAccount })
    await ask()

    const seen = JSON.stringify([google.calls.all(), settings])
    expect(seen).toContain(first['x'])
    expect(seen).not.toContain(first['d'])
  })
})

describe('rotation of the signing key', () => {
  test('a second key is published before it signs, and no call fails on the way', async () => {
    const both = open([first, second])
    await trust(both)
    await both.ask()
    expect(kidOfLastAssertion()).toBe('first')

    // The provider has what was published when only the first one signed.
    await open([second, first]).ask()
    expect(kidOfLastAssertion()).toBe('second')

    const after = open([second])
    await trust(after)
    await after.ask()
    expect(kidOfLastAssertion()).toBe('second')
  })

  test('a key that signs before the provider knows it is refused', async () => {
    await expect(open([second]).ask()).rejects.toMatchObject({
      code: 'store_unavailable',
      reason: containing("Google's STS answered 400 (invalid_grant"),
    })
  })

  test('a key that was taken away is refused', async () => {
    await trust(open([second]))

    await expect(open([first]).ask()).rejects.toMatchObject({ reason: containing('invalid_grant') })
  })
})

describe('what may be wrong at Google', () => {
  const put = async (change: Partial<PoolProvider>) => trust(open([first]), change)

  test.each([
    ['a provider that is disabled', { disabled: true }, 'invalid_target'],
    ['an attribute condition', { condition: () => false }, 'unauthorized_client'],
    ['another audience', { allowedAudiences: ['https://elsewhere.example'] }, 'invalid_grant'],
    ['another issuer', { issuer: 'https://other.example' }, 'invalid_grant'],
  ])('%s is told by its error', async (_, change, error) => {
    await put(change)

    await expect(open([first]).ask()).rejects.toMatchObject({
      code: 'store_unavailable',
      reason: containing(`Google's STS answered 400 (${error}`),
    })
    expect(google.calls.count({ endpoint: 'iamCredentials' })).toBe(0)
  })

  test('a provider that there is not is told by its error', async () => {
    const elsewhere = poolProvider.replace('providers/broker', 'providers/nobody')

    await expect(open([first], { DOWNSCOPE_GOOGLE_FEDERATION: elsewhere }).ask()).rejects.toMatchObject({
      reason: containing('invalid_target'),
    })
  })

  test('a condition on the subject that the guide recommends lets the broker through', async () => {
    await put({ condition: ({ sub }) => sub === 'downscope' })

    await expect(open([first]).ask()).resolves.toBeDefined()
  })

  test('a denied impersonation names the role that is missing', async () => {
    google.denyImpersonation(principal, serviceAccount)

    await expect(
      open([first], { DOWNSCOPE_GOOGLE_SERVICE_ACCOUNT: serviceAccount }).ask(),
    ).rejects.toMatchObject({
      code: 'store_unavailable',
      reason: expect.stringMatching(
        / 403 to generateAccessToken .*roles\/iam\.workloadIdentityUser/,
      ) as unknown,
    })
  })

  test('an STS that never answers costs two seconds', async () => {
    google.script.sts.always({ do: 'hang' })
    const began = performance.now()

    await expect(open([first]).ask()).rejects.toMatchObject({
      code: 'store_unavailable',
      retryAfter: 2,
      reason: containing('/sts/v1/token: no whole answer within'),
    })
    // The margin is for a slow machine's event loop; without the deadline it would be the test's own time limit.
    expect(performance.now() - began).toBeLessThan(4000)
  })

  test.each([
    ['answers 503 once', 1, { do: 'unavailable', status: 503 }],
    ['breaks the connection once', 1, { do: 'reset', when: 'before_answer' }],
    ['is slow', 2, { do: 'slow', delayMs: 300 }],
  ] as const)('an STS that %s is endured', async (_, times, behaviour) => {
    google.script.sts.next(times, behaviour)

    await expect(open([first]).ask()).resolves.toBeDefined()
  })

  test.each([
    ['answers 503', { do: 'unavailable', status: 503 }],
    ['answers with a page', { do: 'html', status: 200 }],
    ['answers half', { do: 'truncate' }],
    ['redirects', { do: 'redirect', to: 'https://evil.example/' }],
    ['answers without end', { do: 'oversize' }],
  ] as const)('P20: an STS that always %s is a planned failure', async (_, behaviour) => {
    google.script.sts.always(behaviour)

    await expect(open([first]).ask()).rejects.toMatchObject({ code: 'store_unavailable' })
  })

  test('P20: an STS that is down is a planned failure, and recovers by itself', async () => {
    const { ask } = open([first])
    await google.goDown()
    try {
      await expect(ask()).rejects.toMatchObject({ code: 'store_unavailable' })
    } finally {
      await google.comeBack()
    }
    // The failure is remembered for two seconds of the real clock.
    await expect.poll(async () => ask().then(google.token, () => undefined), { timeout: 5000 }).toBeDefined()
  })
})

describe('which identity the broker has', () => {
  test('federation comes before the metadata server, which is for when there is nothing else', async () => {
    await expect(open([first]).ask()).resolves.toBeDefined()

    const settings = settingsWith({ GCE_METADATA_HOST: new URL(google.origin).host })
    const metadata = createGoogleIdentity(googlePlatform(settings, true), [scope])
    await expect(metadata()).rejects.toMatchObject({ reason: containing('Google answered 404') })
  })

  test('where there is no metadata server, one of the other two is asked for', () => {
    expect(() => createGoogleIdentity(googlePlatform(settingsWith({})), [scope])).toThrow(
      'DOWNSCOPE_GOOGLE_CREDENTIALS or DOWNSCOPE_GOOGLE_FEDERATION is required',
    )
  })

  test("Firestore's SDK on Node is refused with federation, which it would not use", () => {
    const settings = federated([first], { DOWNSCOPE_STORE: 'firestore://acme/downscope' })

    expect(() => createNodePlatform(settings)).toThrow('DOWNSCOPE_STORE=firestore+rest://')
  })
})

interface Broker {
  readonly serve: Serve
  readonly settings: Settings
  /** The broker's own token, as its store asks for it. */
  readonly ask: () => Promise<string>
}

function open(keys: readonly unknown[], more: Environment = {}): Broker {
  const settings = federated(keys, more)
  const identity = createGoogleIdentity(googlePlatform(settings), [scope])
  const ask = async () => (await identity()).reveal()
  return { serve: createBroker(settings, platform).serve, settings, ask }
}

function googlePlatform(settings: Settings, hasMetadataServer = false): GooglePlatform {
  return { ...platform, identitySource: openIdentitySource(settings, { ...platform, hasMetadataServer }) }
}

function federated(keys: readonly unknown[], more: Environment): Settings {
  return settingsWith({
    DOWNSCOPE_SIGNING_KEYS: keySetText(...keys),
    DOWNSCOPE_GOOGLE_FEDERATION: poolProvider,
    ...more,
  })
}

function settingsWith(more: Environment): Settings {
  return readSettings({
    DOWNSCOPE_ISSUER: issuer,
    DOWNSCOPE_KEYS: `k1:${btoa('k'.repeat(32))}`,
    DOWNSCOPE_STORE: 'memory:',
    ...google.endpoints,
    ...more,
  })
}

/** What Google does when a provider is made: looks at the issuer's metadata, and keeps the keys that it names. */
async function trust({ serve }: Broker, change: Partial<PoolProvider> = {}): Promise<void> {
  const configuration = await read(serve, `${issuer}/.well-known/openid-configuration`)
  const jwks = await read(serve, String(configuration['jwks_uri']))
  google.putPoolProvider({
    audience: poolProvider,
    issuer: String(configuration['issuer']),
    jwks: { keys: [], ...jwks },
    ...change,
  })
}

async function read(serve: Serve, url: string): Promise<Readonly<Record<string, unknown>>> {
  const response = await serve(new Request(url))
  expect(response.status).toBe(200)
  return jsonMembers(await response.text())
}

function kidOfLastAssertion(): unknown {
  const assertion = String(google.calls.where({ endpoint: 'sts' }).at(-1)?.params['subject_token'])
  return decodeProtectedHeader(assertion).kid
}
