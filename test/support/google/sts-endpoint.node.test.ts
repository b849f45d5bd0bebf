import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { accessToken, assert, DRIVE, postForm, READ, refresh } from './ask.ts'
import { CLOUD_PLATFORM } from './scopes.ts'
import type { ServiceAccountFile } from './service-accounts.ts'
import { type GoogleStandIn, startGoogleStandIn } from './stand-in.ts'

let google: GoogleStandIn
let account: ServiceAccountFile
let now = Math.floor(Date.now() / 1000)
const TYPE = 'urn:ietf:params:oauth:token-type:'
const rule = {
  availableResource: '//storage.googleapis.com/projects/_/buckets/bucket-1',
  availablePermissions: ['inRole:roles/storage.objectViewer'],
}

beforeAll(async () => {
  google = await startGoogleStandIn({ now: () => now })
  account = await google.createServiceAccount()
})
afterAll(() => google.close())

const source = async () => accessToken(await assert(google, account, { scope: CLOUD_PLATFORM }, { now }))

function exchange(more: Readonly<Record<string, string>>) {
  return postForm(google.endpoints.GOOGLE_STS_TOKEN_URL, {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    requested_token_type: `${TYPE}access_token`,
    ...more,
  })
}

function downscope(token: string, rules: unknown, more: Readonly<Record<string, string>> = {}) {
  return exchange({
    subject_token: token,
    subject_token_type: `${TYPE}access_token`,
    options: JSON.stringify({ accessBoundary: { accessBoundaryRules: rules } }),
    ...more,
  })
}

describe('downscoping', () => {
  test('gives a token with the boundary, the source’s identity and scopes', async () => {
    const token = await source()
    const condition = { expression: "resource.name.startsWith('x')", title: 'x' }
    const answer = await downscope(token, [{ ...rule, availabilityCondition: condition }])
    expect(answer.body).toMatchObject({
      issued_token_type: `${TYPE}access_token`,
      token_type: 'Bearer',
      expires_in: 3599,
    })
    expect(google.token(accessToken(answer))).toMatchObject({
      kind: 'downscoped',
      subject: account.client_email,
      scopes: [CLOUD_PLATFORM],
      boundary: { accessBoundaryRules: [{ ...rule, availabilityCondition: condition }] },
      sourceToken: token,
    })
  })

  test('takes Python’s doubly encoded options', async () => {
    const options = encodeURIComponent(JSON.stringify({ accessBoundary: { accessBoundaryRules: [rule] } }))
    expect((await downscope(await source(), [], { options })).status).toBe(200)
  })

  test('never outlives the source', async () => {
    const token = await source()
    now += 1000
    const answer = await downscope(token, [rule])
    expect(answer.body['expires_in']).toBe(2599)
    expect(google.token(accessToken(answer))?.expiresAt).toBe(google.token(token)?.expiresAt)
  })

  test('of a user’s token leaves expires_in out, and dies with the grant', async () => {
    const file = google.createRefreshToken({ scopes: [CLOUD_PLATFORM] })
    const answer = await downscope(accessToken(await refresh(google, file)), [rule])
    expect(answer.body).not.toHaveProperty('expires_in')
    google.setGrantState(file.refresh_token, 'revoked')
    expect(google.token(accessToken(answer))?.revoked).toBe(true)
  })

  const many = (n: number) => Array.from({ length: n }, () => rule)
  const short = { ...rule, availableResource: '//storage.googleapis.com/projects/_/buckets/abc' }
  test.each([
    ['no rule', []],
    ['eleven rules', Array.from({ length: 11 }, () => short)],
    ['more than 2,048 characters', [{ ...rule, availabilityCondition: { expression: 'x'.repeat(1980) } }]],
    ['another service', [{ ...rule, availableResource: '//bigquery.googleapis.com/projects/p' }]],
    [
      'an object instead of a bucket',
      [{ ...rule, availableResource: `${rule.availableResource}/objects/a` }],
    ],
    ['a bare permission', [{ ...rule, availablePermissions: ['storage.objects.get'] }]],
    ['no permission', [{ ...rule, availablePermissions: [] }]],
    ['a condition without expression', [{ ...rule, availabilityCondition: { title: 'x' } }]],
    ['an unknown member', [{ ...rule, extra: true }]],
    ['matches()', [{ ...rule, availabilityCondition: { expression: "resource.name.matches('a')" } }]],
    ['request.time', [{ ...rule, availabilityCondition: { expression: "request.time == 'a'" } }]],
    ['a role nobody knows', [{ ...rule, availablePermissions: ['inRole:roles/storage.objectReader'] }]],
    ['something that is no list', rule],
  ])('by a boundary with %s is refused', async (_, rules: unknown) => {
    const token = await source()
    const answer = await downscope(token, rules)
    expect([answer.status, answer.body['error']]).toEqual([400, 'invalid_request'])
    expect((await downscope(token, many(3))).status).toBe(200)
  })

  test('ten rules are taken', async () => {
    expect(
      (
        await downscope(
          await source(),
          Array.from({ length: 10 }, () => short),
        )
      ).status,
    ).toBe(200)
  })

  test('of a token that carries a boundary is refused', async () => {
    const once = accessToken(await downscope(await source(), [rule]))
    const twice = await downscope(once, [rule])
    expect([twice.status, twice.body['error_description']]).toEqual([
      400,
      'you cannot apply additional security attributes',
    ])
  })

  test.each([
    { audience: 'x' },
    { scope: READ },
    { options: '' },
    { options: '[' },
    { subject_token_type: 'x' },
  ])('with %j is refused', async (more: Readonly<Record<string, string>>) => {
    expect((await downscope(await source(), [rule], more)).body['error']).toBe('invalid_request')
  })

  test('of an unknown or expired token is refused', async () => {
    const token = await source()
    expect((await downscope('ya29.unknown', [rule])).body['error']).toBe('invalid_grant')
    now += 3600
    expect((await downscope(token, [rule])).body['error']).toBe('invalid_grant')
  })

  test('what is not built answers 501', async () => {
    const token = await source()
    expect((await downscope(token, [rule], { actor_token: 'x' })).status).toBe(501)
    expect((await downscope(token, [rule], { subject_token_type: `${TYPE}saml2` })).status).toBe(501)
  })
})

describe('what Cloud Storage lets a bounded token do', () => {
  const read = { permission: 'storage.objects.get', bucket: 'bucket-1', object: 'x/y' } as const
  const ask = (token: string, path: string, init: RequestInit = {}) =>
    fetch(`${google.origin}${path}`, { ...init, headers: { authorization: `Bearer ${token}` } })

  test('is what boundary, role and condition leave, by object and method', async () => {
    const conditioned = { ...rule, availabilityCondition: { expression: "resource.name.endsWith('/x')" } }
    const token = accessToken(await downscope(await source(), [conditioned]))

    expect((await ask(token, '/storage/v1/b/bucket-1/o/a%2Fx')).status).toBe(200)
    expect((await ask(token, '/storage/v1/b/bucket-1/o/a%2Fy')).status).toBe(403)
    expect((await ask(token, '/storage/v1/b/other/o/a%2Fx')).status).toBe(403)
    expect((await ask(token, '/storage/v1/b/bucket-1/o/a%2Fx', { method: 'DELETE' })).status).toBe(403)
    expect((await ask('ya29.unknown', '/storage/v1/b/bucket-1/o/a%2Fx')).status).toBe(401)
  })

  test('is nothing with an intermediary token alone, here or anywhere', async () => {
    const requested_token_type = `${TYPE}access_boundary_intermediary_token`
    const subject_token_type = `${TYPE}access_token`
    const answer = await exchange({ requested_token_type, subject_token_type, subject_token: await source() })
    const token = accessToken(answer)

    expect(answer.body).toMatchObject({ issued_token_type: requested_token_type, expires_in: 3599 })
    expect(google.sessionKeys()).toContain(answer.body['access_boundary_session_key'])
    expect(await google.mayDo(token, read)).toBe(false)
    expect((await ask(token, '/storage/v1/b/bucket-1/o/x')).status).toBe(401)
    expect((await downscope(token, [rule])).body['error']).toBe('invalid_grant')
    expect((await fetch(`${google.tokeninfoUrl}?access_token=${token}`)).status).toBe(400)
    expect(await google.mayDo(`${token}.AAAA`, read)).toBe(false)
  })

  test('needs a source of cloud-platform where the STS takes no other', async () => {
    const narrow = accessToken(await assert(google, account, { scope: READ }, { now }))
    expect((await downscope(narrow, [rule])).status).toBe(200)
    google.tune({ refusesNarrowSources: true })
    expect((await downscope(narrow, [rule])).body['error']).toBe('invalid_scope')
    google.tune({ refusesNarrowSources: false })
  })
})

describe('workload identity federation', async () => {
  const base = '//iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/pool/providers/'
  const audience = `${base}x`
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256' }] }
  const issuer = 'https://issuer.example'

  beforeAll(() => {
    google.putPoolProvider({ audience, issuer, jwks })
    google.putPoolProvider({ audience: `${base}off`, issuer, jwks, disabled: true })
    google.putPoolProvider({
      audience: `${base}cond`,
      issuer,
      jwks,
      condition: (claims) => claims.sub === 'z',
    })
  })

  async function federate(
    claims: JWTPayload = {},
    more: Readonly<Record<string, string>> = {},
    kid: string | undefined = 'one',
  ) {
    const target = more['audience'] ?? audience
    const payload = { iss: issuer, sub: 'w', aud: `https:${target}`, iat: now, exp: now + 600, ...claims }
    const jwt = await new SignJWT(payload)
      .setProtectedHeader({ alg: 'ES256', ...(kid && { kid }) })
      .sign(privateKey)
    return exchange({
      audience,
      scope: CLOUD_PLATFORM,
      subject_token: `${jwt}\n`,
      subject_token_type: `${TYPE}jwt`,
      ...more,
    })
  }

  test('gives a token of the federated principal', async () => {
    const answer = await federate()
    expect(answer.body['expires_in']).toBe(3599)
    expect(google.token(accessToken(answer))).toMatchObject({
      kind: 'federated',
      subject:
        'principal://iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/pool/subject/w',
      scopes: [CLOUD_PLATFORM],
    })
  })

  test.each([
    [{ audience: `${base}unknown` }, 'invalid_target'],
    [{ audience: `${base}off` }, 'invalid_target'],
    [{ audience: '//broker.example/x' }, 'invalid_request'],
    [{ audience: `${base}cond` }, 'unauthorized_client'],
    [{ scope: '' }, 'invalid_scope'],
    [{ subject_token: 'x.y.z' }, 'invalid_grant'],
  ])('with %j is refused', async (more: Readonly<Record<string, string>>, error) => {
    expect((await federate({}, more)).body['error']).toBe(error)
    expect((await federate()).status).toBe(200)
  })

  test.each([
    ['another issuer', { iss: 'https://other.example' }],
    ['another audience', { aud: 'x' }],
    ['an end in the past', { exp: now - 10_000 }],
    ['a start two days ago', { iat: now - 172_800 }],
  ])('of a JWT with %s is refused', async (_, claims: JWTPayload) => {
    expect((await federate(claims)).body['error']).toBe('invalid_grant')
  })

  test('of a JWT without kid is refused', async () => {
    expect((await federate({}, {}, '')).body['error']).toBe('invalid_grant')
  })
})

test('a token of a user cannot be exchanged as a JWT', async () => {
  const file = google.createRefreshToken({ scopes: [DRIVE] })
  const token = accessToken(await refresh(google, file))
  const answer = await exchange({ subject_token: token, subject_token_type: `${TYPE}jwt`, scope: DRIVE })
  expect(answer.body['error']).toBe('invalid_request')
})
