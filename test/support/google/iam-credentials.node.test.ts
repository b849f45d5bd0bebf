import { verify } from 'node:crypto'
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { accessToken, assert, AUD, callJson, postAssertion, postForm, READ } from './ask.ts'
import { CLOUD_PLATFORM, IAM } from './scopes.ts'
import type { ServiceAccountFile } from './service-accounts.ts'
import { type GoogleStandIn, startGoogleStandIn } from './stand-in.ts'

let google: GoogleStandIn
let caller: ServiceAccountFile
let middle: ServiceAccountFile
let target: ServiceAccountFile
let bearer: string
const nowSeconds = Math.floor(Date.now() / 1000)

beforeAll(async () => {
  google = await startGoogleStandIn()
  caller = await google.createServiceAccount()
  middle = await google.createServiceAccount()
  target = await google.createServiceAccount()
  bearer = accessToken(await assert(google, caller, { scope: CLOUD_PLATFORM }))
  google.allowImpersonation(caller.client_email, target.client_email)
})
afterAll(() => google.close())

function url(method: string, email = target.client_email, project = '-') {
  const base = google.endpoints.GOOGLE_IAM_CREDENTIALS_URL
  return `${base}/v1/projects/${project}/serviceAccounts/${email}:${method}`
}

const generate = (body: unknown, email = target.client_email) =>
  callJson(url('generateAccessToken', email), { bearer, body })

describe('generateAccessToken', () => {
  test('gives a token of the target, with an expireTime in whole seconds', async () => {
    const answer = await generate({ scope: [READ], lifetime: '600s', delegates: null })
    expect(answer.status).toBe(200)
    expect(answer.body['expireTime']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    const token = google.token(accessToken(answer))
    expect(token).toMatchObject({
      kind: 'impersonated',
      subject: target.client_email,
      actor: caller.client_email,
      scopes: [READ],
      sourceToken: bearer,
    })
    expect((token?.expiresAt ?? 0) - (token?.issuedAt ?? 0)).toBe(600)
  })

  test('takes the unique id, a percent-encoded email and the scope auth/iam', async () => {
    const body = { scope: [READ] }
    expect((await generate(body, target.client_id)).status).toBe(200)
    expect((await generate(body, encodeURIComponent(target.client_email))).status).toBe(200)
    const iam = accessToken(await assert(google, caller, { scope: IAM }))
    expect((await callJson(url('generateAccessToken'), { bearer: iam, body })).status).toBe(200)
  })

  test('without a permission, for no account and for a disabled one answers the same 403', async () => {
    google.disableServiceAccount(middle.client_email)
    google.allowImpersonation(caller.client_email, middle.client_email)
    const answers = [
      await generate({ scope: [READ] }, caller.client_email),
      await generate({ scope: [READ] }, 'nobody@acme.iam.gserviceaccount.com'),
      await generate({ scope: [READ] }, middle.client_email),
    ]
    google.enableServiceAccount(middle.client_email)
    for (const { status, body } of answers) {
      expect(status).toBe(403)
      expect(body).toEqual({
        error: {
          code: 403,
          message:
            "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).",
          status: 'PERMISSION_DENIED',
          details: [
            {
              '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
              reason: 'IAM_PERMISSION_DENIED',
              domain: 'iam.googleapis.com',
              metadata: { permission: 'iam.serviceAccounts.getAccessToken' },
            },
          ],
        },
      })
    }
    expect((await generate({ scope: [READ] }, middle.client_email)).status).toBe(200)
    google.denyImpersonation(caller.client_email, middle.client_email)
    expect((await generate({ scope: [READ] }, middle.client_email)).status).toBe(403)
  })

  test('a chain of delegates needs every link', async () => {
    const end = await google.createServiceAccount()
    const body = { scope: [READ], delegates: [`projects/-/serviceAccounts/${middle.client_email}`] }
    google.allowImpersonation(caller.client_email, middle.client_email)
    expect((await generate(body, end.client_email)).status).toBe(403)
    google.allowImpersonation(middle.client_email, end.client_email)
    expect((await generate(body, end.client_email)).status).toBe(200)
    expect((await generate({ scope: [READ] }, end.client_email)).status).toBe(403)
  })

  test.each([
    { scope: [] },
    {},
    { scope: READ },
    { scope: ['storage'] },
    { scope: [READ], lifetime: '3601s' },
    { scope: [READ], lifetime: '0s' },
    { scope: [READ], lifetime: 3600 },
    { scope: [READ], audience: 'x' },
    { scope: [READ], delegates: ['x'] },
  ])('with %j is INVALID_ARGUMENT', async (body) => {
    const answer = await generate(body)
    expect(answer.status).toBe(400)
    expect(answer.body).toMatchObject({ error: { code: 400, status: 'INVALID_ARGUMENT' } })
    expect((await generate({ scope: [READ], lifetime: '3600s' })).status).toBe(200)
  })

  test('up to 12 hours only for an account that may', async () => {
    const long = await google.createServiceAccount({ lifetimeExtended: true })
    google.allowImpersonation(caller.client_email, long.client_email)
    expect((await generate({ scope: [READ], lifetime: '43200s' }, long.client_email)).status).toBe(200)
    expect((await generate({ scope: [READ], lifetime: '43201s' }, long.client_email)).status).toBe(400)
  })

  test('a project instead of the wildcard is INVALID_ARGUMENT', async () => {
    const address = url('generateAccessToken', target.client_email, 'acme')
    expect((await callJson(address, { bearer, body: { scope: [READ] } })).status).toBe(400)
  })

  test('needs a live bearer token with enough scope', async () => {
    const body = { scope: [READ] }
    const narrow = accessToken(await assert(google, caller, { scope: READ }))
    expect((await callJson(url('generateAccessToken'), { body })).status).toBe(401)
    expect((await callJson(url('generateAccessToken'), { bearer: 'ya29.x', body })).status).toBe(401)
    const { status, body: denied } = await callJson(url('generateAccessToken'), { bearer: narrow, body })
    expect(status).toBe(403)
    expect(JSON.stringify(denied)).toContain('ACCESS_TOKEN_SCOPE_INSUFFICIENT')
  })

  test('a token with a boundary is good for Cloud Storage only', async () => {
    const rule = {
      availableResource: '//storage.googleapis.com/projects/_/buckets/bucket-1',
      availablePermissions: ['inRole:roles/storage.objectViewer'],
    }
    const type = 'urn:ietf:params:oauth:token-type:access_token'
    const downscoped = await postForm(google.endpoints.GOOGLE_STS_TOKEN_URL, {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      requested_token_type: type,
      subject_token_type: type,
      subject_token: bearer,
      options: JSON.stringify({ accessBoundary: { accessBoundaryRules: [rule] } }),
    })
    const bound = accessToken(downscoped)
    const body = { scope: [READ] }
    expect((await callJson(url('generateAccessToken'), { bearer: bound, body })).status).toBe(403)
    expect((await callJson(url('generateAccessToken'), { bearer, body })).status).toBe(200)
  })

  test('what is not built answers 501', async () => {
    expect((await callJson(url('signNonsense'), { bearer, body: {} })).status).toBe(501)
  })
})

describe('generateIdToken', () => {
  test('gives a verifying ID token, the email only when asked', async () => {
    const body = { audience: 'https://svc.example', includeEmail: 'true' }
    const answer = await callJson(url('generateIdToken'), { bearer, body })
    const jwks = createRemoteJWKSet(new URL(google.certsUrl))
    const { payload } = await jwtVerify(String(answer.body['token']), jwks, { audience: body.audience })
    expect(payload).toMatchObject({ sub: target.client_id, email: target.client_email })
    const bare = await callJson(url('generateIdToken'), { bearer, body: { audience: 'x' } })
    expect((await jwtVerify(String(bare.body['token']), jwks)).payload).not.toHaveProperty('email')
  })

  test('without an audience is INVALID_ARGUMENT', async () => {
    expect((await callJson(url('generateIdToken'), { bearer, body: {} })).status).toBe(400)
  })
})

describe('signJwt and signBlob', () => {
  test('a JWT signed by Google is an assertion the token endpoint takes', async () => {
    const claims = { iss: target.client_email, aud: AUD, scope: READ, iat: nowSeconds, exp: nowSeconds + 600 }
    const body = { payload: JSON.stringify(claims) }
    const { body: signed } = await callJson(url('signJwt'), { bearer, body })
    const jwt = String(signed['signedJwt'])
    expect(decodeProtectedHeader(jwt).kid).toBe(signed['keyId'])
    const token = google.token(accessToken(await postAssertion(google, jwt)))
    expect(token).toMatchObject({ subject: target.client_email, keyId: signed['keyId'] })
  })

  test.each([
    { payload: 'no JSON' },
    { payload: '{"exp":"soon"}' },
    { payload: `{"exp":${nowSeconds - 10}}` },
    { payload: `{"exp":${nowSeconds + 12 * 3600 + 60}}` },
    { payload: { sub: 'not a string' } },
  ])('signJwt with %j is INVALID_ARGUMENT', async (body) => {
    expect((await callJson(url('signJwt'), { bearer, body })).status).toBe(400)
    expect((await callJson(url('signJwt'), { bearer, body: { payload: '{}' } })).status).toBe(200)
  })

  test('a blob’s signature verifies with the system key of that id', async () => {
    const body = { payload: Buffer.from('hello').toString('base64') }
    const { body: signed } = await callJson(url('signBlob'), { bearer, body })
    google.allowKeyAdministration(caller.client_email, target.client_email)
    const keyUrl = `${google.endpoints.GOOGLE_IAM_URL}/v1/projects/-/serviceAccounts/${target.client_email}/keys/${String(signed['keyId'])}?publicKeyType=TYPE_RAW_PUBLIC_KEY`
    const { body: key } = await callJson(keyUrl, { method: 'GET', bearer })
    expect(key['keyType']).toBe('SYSTEM_MANAGED')
    const pem = Buffer.from(String(key['publicKeyData']), 'base64').toString()
    const signature = Buffer.from(String(signed['signedBlob']), 'base64')
    expect(verify('sha256', Buffer.from('hello'), pem, signature)).toBe(true)
    expect((await callJson(url('signBlob'), { bearer, body: { payload: '%%%' } })).status).toBe(400)
  })
})
