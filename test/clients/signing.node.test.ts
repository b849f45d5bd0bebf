import { Storage } from '@google-cloud/storage'
import { IdentityPoolClient, Impersonated } from 'google-auth-library'
import { beforeAll, describe, expect, test } from 'vitest'
import type { ServiceAccountFile } from '../support/google/service-accounts.ts'
import type { BrokerProcess } from '../support/spawn-broker.ts'
import { administer } from '../support/test-broker/ask.ts'
import { createTestWorld, scopeOf, type TestWorld } from '../support/test-broker/test-world.ts'
import { startRecordingProxy, type RecordingProxy } from '../support/clients/recording-proxy.ts'

// Google's library for Node signs at the broker, and what comes of it is judged as Cloud Storage would.

const bucket = 'acme-reports'
const object = "2027/a b(1)'.csv"
const read = scopeOf('devstorage.read_only')

let world: TestWorld
let proxy: RecordingProxy
let broker: BrokerProcess
let account: ServiceAccountFile
const lent = 'lent@acme.iam.gserviceaccount.com'
let storage: (principal: string) => Storage
let source: IdentityPoolClient

beforeAll(async () => {
  ;[world, proxy] = await Promise.all([createTestWorld(), startRecordingProxy()])
  const signing = (credential: string, buckets: readonly string[]) =>
    world.rule(credential, [read], {
      name: credential,
      token_types: ['access_token', 'id_token', 'signature'],
      id_token_audiences: ['https://reports.example'],
      signature: { storage_buckets: buckets, jwt_audiences: ['https://warehouse.example'] },
    })
  const policy = JSON.parse(world.policy([signing('reports', [bucket]), signing('lent', ['*'])])) as {
    issuers: { name: string; audiences?: string[] }[]
  }
  for (const issuer of policy.issuers)
    if (issuer.name === 'ops') issuer.audiences = ['https://tokens.acme.example']
  broker = await world.yard.start(
    world.settings([], { DOWNSCOPE_ISSUER: proxy.url, DOWNSCOPE_POLICY_YAML: JSON.stringify(policy) }),
  )
  proxy.openTo(broker)
  account = await world.enrolAccount(broker, 'reports')
  await world.google.createServiceAccount({ email: lent })
  world.google.allowImpersonation(account.client_email, lent)
  const enrolled = await administer(broker, world.ops, {
    method: 'POST',
    path: 'credentials',
    body: { name: 'lent', secret: { type: 'impersonation', service_account: lent, source: 'reports' } },
  })
  expect([enrolled.status, enrolled.text]).toEqual([201, enrolled.text])
  source = new IdentityPoolClient({
    type: 'external_account',
    audience: `//${new URL(proxy.url).host}`,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: `${proxy.url}/v1/token`,
    subject_token_supplier: { getSubjectToken: () => world.workload.jwt({ aud: proxy.url }) },
  })
  storage = (principal) => new Storage({ projectId: 'acme', authClient: impersonated(principal) })
  return async () => {
    await proxy.close()
    await world.close()
  }
}, 60_000)

const impersonated = (targetPrincipal: string) =>
  new Impersonated({
    sourceClient: source,
    targetPrincipal,
    targetScopes: [read],
    endpoint: proxy.url,
    lifetime: 3600,
  })

const options = { action: 'read', expires: Date.now() + 600_000 } as const

describe('T1: what @google-cloud/storage has signed', () => {
  test('a V2 URL and both POST policies of a bucket of the rule are good at Cloud Storage', async () => {
    const file = storage(account.client_email).bucket(bucket).file(object)
    const [url] = await file.getSignedUrl({ ...options, version: 'v2' })
    const expected = { account: account.client_email, bucket }
    expect(world.google.judgeSignedUrl('GET', url)).toEqual({ ...expected, object })
    expect(world.google.judgeSignedUrl('PUT', url)).toBeUndefined()
    expect(world.google.judgeSignedUrl('GET', url.replace('2027', '2026'))).toBeUndefined()

    const [v4] = await file.generateSignedPostPolicyV4({ expires: options.expires })
    expect(world.google.judgePostPolicy(v4.fields)).toEqual(expected)
    const [v2] = await file.generateSignedPostPolicyV2({ expires: options.expires })
    const fields = { policy: v2.base64, signature: v2.signature, GoogleAccessId: account.client_email }
    expect(world.google.judgePostPolicy(fields)).toEqual(expected)
  })

  test('a V4 URL is refused under a rule for one bucket, and any other bucket too', async () => {
    const file = storage(account.client_email).bucket(bucket).file(object)
    await expect(file.getSignedUrl({ ...options, version: 'v4' })).rejects.toThrow('permission denied')
    const other = storage(account.client_email).bucket('other-bucket').file(object)
    await expect(other.getSignedUrl({ ...options, version: 'v2' })).rejects.toThrow('permission denied')
  })

  test('under a rule for all buckets, and where Google itself signs, a V4 URL is good', async () => {
    const file = storage(lent).bucket('other-bucket').file(object)
    const [url] = await file.getSignedUrl({ ...options, version: 'v4' })
    expect(world.google.judgeSignedUrl('GET', url)).toEqual({ account: lent, bucket: 'other-bucket', object })
    expect(world.google.judgeSignedUrl('GET', `${url}&x=1`)).toBeUndefined()
  })

  test.each(['reports', 'lent'])(':signUrl of %s is good for exactly that request', async (credential) => {
    const { token } = await source.getAccessToken()
    const answer = await fetch(`${proxy.url}/v1/projects/-/serviceAccounts/${credential}@127.0.0.1:signUrl`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token ?? ''}` },
      body: JSON.stringify({ method: 'PUT', bucket, object, expiry: '900s' }),
    })
    const { signedUrl } = (await answer.json()) as { signedUrl: string }
    const email = credential === 'lent' ? lent : account.client_email
    expect(world.google.judgeSignedUrl('PUT', signedUrl)).toEqual({ account: email, bucket, object })
    expect(world.google.judgeSignedUrl('GET', signedUrl)).toBeUndefined()
    expect(world.google.judgeSignedUrl('PUT', signedUrl.replace('=900&', '=9000&'))).toBeUndefined()
  })
})

test('access and ID tokens by Impersonated({ endpoint }) are narrowed as everywhere', async () => {
  const client = impersonated(lent)
  const { token } = await client.getAccessToken()
  expect(world.google.token(token ?? '')).toMatchObject({ scopes: [read], subject: lent })
  const idToken = await client.fetchIdToken('https://reports.example', { includeEmail: true })
  expect(world.google.token(idToken)).toMatchObject({ audience: 'https://reports.example', subject: lent })
  await expect(client.fetchIdToken('https://other.example')).rejects.toThrow('permission denied')
})

test('T2: Google signs the JWT that the broker built, and no other', async () => {
  const { token } = await source.getAccessToken()
  const ask = async (payload: object) => {
    const answer = await fetch(`${proxy.url}/v1/projects/-/serviceAccounts/lent@127.0.0.1:signJwt`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token ?? ''}` },
      body: JSON.stringify({ payload: JSON.stringify(payload) }),
    })
    return answer.status
  }
  expect(await ask({ aud: 'https://warehouse.example' })).toBe(200)
  const { payload } = world.google.calls.where({ grant: 'signJwt' }).at(-1)?.params ?? {}
  expect(JSON.parse(String(payload))).toMatchObject({
    iss: lent,
    sub: lent,
    aud: 'https://warehouse.example',
  })
  expect(await ask({ aud: 'https://warehouse.example', scope: read })).toBe(403)
  expect(world.google.calls.count({ grant: 'signJwt' })).toBe(1)
})
