import { decodeJwt, decodeProtectedHeader } from 'jose'
import { beforeEach, describe, expect, test } from 'vitest'
import { createSigner } from '../support/signer.ts'
import {
  account,
  bucket,
  createIamWorld,
  iamHost,
  readScope,
  type Answered,
  type IamWorld,
} from '../support/iam-world.ts'

// In either runtime. What Google's own libraries make of it is in test/clients.

let world: IamWorld
const denied = { code: 403, status: 'PERMISSION_DENIED' }

const b64 = (text: string): string => btoa(text)
const signBlob = (text: string, asking = {}) => world.ask('signBlob', { payload: b64(text) }, asking)
const v2 = (path: string, change: { expires?: number; headers?: string; method?: string } = {}): string => {
  const { expires = world.clock.now() + 600, headers = '', method = 'GET' } = change
  return `${method}\n\n\n${expires}\n${headers}${path}`
}
const v4 = (date = '20270115', time = '080000'): string =>
  `GOOG4-RSA-SHA256\n${date}T${time}Z\n${date}/auto/storage/goog4_request\n${'0a'.repeat(32)}`
const postPolicy = (conditions: readonly unknown[], more: object = {}): string =>
  b64(JSON.stringify({ conditions, expiration: '2027-01-15T08:10:00Z', ...more }))
const isSigned = async (text: string, signature: unknown): Promise<boolean> =>
  crypto.subtle.verify(
    'RSASSA-PKCS1-v1_5',
    world.publicKey,
    Uint8Array.from(atob(String(signature)), (octet) => octet.charCodeAt(0)),
    new TextEncoder().encode(text),
  )
const statusOf = ({ status, body }: Answered) => [status, body['error']]

beforeEach(async () => {
  world = await createIamWorld()
})

describe('tokens by IAM Credentials', () => {
  test('an access token is narrowed, limited and recorded as at /v1/token', async () => {
    const given = await world.ask('generateAccessToken', {
      scope: [readScope],
      delegates: null,
      lifetime: '3600s',
    })
    expect(given.status).toBe(200)
    expect(given.body).toEqual({ accessToken: 'ya29.token-1800000000', expireTime: '2027-01-15T08:59:59Z' })
    expect(world.audits.at(-1)).toMatchObject({
      action: 'token.exchange',
      outcome: 'issued',
      caller: 'billing',
      rule: 'reports',
      credential: 'reports-sa',
      scopesIssued: [readScope],
    })
    const wider = await world.ask('generateAccessToken', {
      scope: ['https://www.googleapis.com/auth/cloud-platform'],
    })
    expect(statusOf(wider)).toEqual([400, expect.objectContaining({ status: 'INVALID_ARGUMENT' })])
    const longer = await world.ask('generateAccessToken', { scope: [readScope], lifetime: '90s' })
    expect(longer.status).toBe(400)
  })

  test('an ID token is for an audience of the rule alone', async () => {
    const body = {
      audience: 'https://reports.example',
      includeEmail: 'true',
      useEmailAzp: true,
      delegates: [],
    }
    const given = await world.ask('generateIdToken', body)
    expect(decodeJwt(String(given.body['token'])).aud).toBe('https://reports.example')
    expect(
      statusOf(await world.ask('generateIdToken', { ...body, audience: 'https://other.example' })),
    ).toEqual([403, expect.objectContaining(denied)])
  })

  test('percent-encoded names are the same names, and unknown ones and forbidden ones answer alike', async () => {
    const scope = { scope: [readScope] }
    const path = `/v1/projects/-/serviceAccounts/reports-sa%40${iamHost}%3AgenerateAccessToken`
    const bearer = await world.jwt('billing')
    expect((await world.call(`POST ${path}`, { bearer, body: scope })).status).toBe(200)
    const said = async (email: string) => {
      const answered = await world.ask('generateAccessToken', scope, { email })
      return JSON.stringify(answered.body).replace(/[0-9a-f-]{36}/, '')
    }
    expect(await said(`other-sa@${iamHost}`)).toBe(await said(`nothing@${iamHost}`))
    expect(await said('nobody@acme.iam.gserviceaccount.com')).toBe(await said(`nothing@${iamHost}`))
    expect((await world.ask('generateNothing', {})).body).toMatchObject({
      error: { code: 404, status: 'NOT_FOUND' },
    })
  })
})

describe('T1: signBlob', () => {
  test('signs V2 strings-to-sign and POST policies of a bucket of the rule', async () => {
    for (const text of [
      v2(`/${bucket}/2027/a%20b.csv`),
      v2(`/${bucket}/new`, { method: 'PUT', headers: 'x-goog-meta-by:billing\nx-goog-resumable:start\n' }),
      postPolicy([{ bucket }, ['starts-with', '$key', 'in/']]),
      postPolicy([['eq', '$bucket', bucket], { key: 'a' }]),
    ]) {
      const { status, body } = await signBlob(text)
      expect([text, status]).toEqual([text, 200])
      expect(body['keyId']).toBe('key-1')
      expect(await isSigned(text, body['signedBlob'])).toBe(true)
    }
    const record = world.audits.at(-1)
    expect(record).toMatchObject({
      outcome: 'issued',
      tokenType: 'signature',
      audience: `//storage.googleapis.com/projects/_/buckets/${bucket}`,
    })
    expect(record?.signedDigest).toMatch(/^[0-9a-f]{64}$/)
    expect(record?.tokenDigest).toBeUndefined()
  })

  test('signs nothing else, and V4 only under a rule for all buckets', async () => {
    const refused = [
      v4(),
      'hello',
      '',
      `${b64('{"alg":"RS256"}').replaceAll('=', '')}.${b64('{"iss":"x"}').replaceAll('=', '')}`,
      `\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20${'\x01'.repeat(32)}`,
      v2('/other-bucket/a'),
      v2(`/${bucket}/../other-bucket/a`),
      v2(`/${bucket}/%2E%2e/other-bucket/a`),
      v2(`/${bucket}/a?acl`),
      v2(`/${bucket}`),
      v2(`/${bucket}/a`, { headers: 'x-goog-copy-source:/other-bucket/secret\n' }),
      v2(`/${bucket}/a`, { headers: 'x-goog-acl:public-read\n' }),
      v2(`/${bucket}/a`, { expires: 1_900_000_000 }),
      v2(`/${bucket}/a`, { expires: 1_700_000_000 }),
      `${v2(`/${bucket}/a`)}\n/other-bucket/a`,
      `${v2(`/${bucket}/a`)}\n`,
      v2(`/${bucket}/a`, { method: 'PATCH' }),
      `GET\n\n\nFri, 15 Jan 2027 08:00:00 GMT\n/${bucket}/a`,
      postPolicy([{ bucket: 'other-bucket' }]),
      postPolicy([{ bucket }, { bucket: 'other-bucket' }]),
      postPolicy([{ bucket }, ['eq', '$Bucket', 'other-bucket']]),
      postPolicy([['starts-with', '$bucket', '']]),
      postPolicy([{ key: 'a' }]),
      postPolicy([{ bucket }], { iss: account }),
      postPolicy([{ bucket }], { expiration: '2037-01-15T08:10:00Z' }),
      b64(
        `{"expiration":"2027-01-15T08:10:00Z","conditions":[{"bucket":"x-y-z"}],"conditions":[{"bucket":"${bucket}"}]}`,
      ),
    ]
    for (const text of refused) {
      const { status, body } = await signBlob(text)
      expect([text, status]).toEqual([text, text === '' ? 400 : 403])
      expect(Object.keys(body)).toEqual(['error'])
    }
    world = await createIamWorld({ storage_buckets: ['*'] })
    expect((await signBlob(v4())).status).toBe(200)
    expect((await signBlob(v2('/other-bucket/a'))).status).toBe(200)
    expect((await signBlob(v4('20270116'))).status).toBe(403)
    expect((await signBlob('hello')).status).toBe(403)
  })

  test('what shows no expiry is not signed under a rule that limits it', async () => {
    expect(
      await world.applyPolicy(
        world.policy({ signature: { storage_buckets: ['*'] }, lifetime_seconds_max: 3600 }),
      ),
    ).toBe(200)
    await world.clock.advance(15_000)
    expect((await signBlob(v4())).status).toBe(403)
    expect((await signBlob(v2(`/${bucket}/a`, { expires: world.clock.now() + 7200 }))).status).toBe(403)
    expect((await signBlob(v2(`/${bucket}/a`, { expires: world.clock.now() + 3600 }))).status).toBe(200)
  })

  test(':signUrl builds the request itself, for a bucket of the rule', async () => {
    const wanted = { method: 'GET', bucket, object: "2027/a b(1)'.csv", expiry: '900s' }
    const { status, body } = await world.ask('signUrl', wanted)
    expect(status).toBe(200)
    const url = new URL(String(body['signedUrl']))
    expect(url.origin + url.pathname).toBe(
      `https://storage.googleapis.com/${bucket}/2027/a%20b%281%29%27.csv`,
    )
    expect(url.searchParams.get('X-Goog-Credential')).toBe(`${account}/20270115/auto/storage/goog4_request`)
    expect(url.searchParams.get('X-Goog-Expires')).toBe('900')
    expect((await world.ask('signUrl', { ...wanted, expiry: 900, method: 'PUT' })).status).toBe(200)
    for (const [change, expected] of [
      [{ bucket: 'other-bucket' }, 403],
      [{ expiry: '604801s' }, 403],
      [{ object: '../other-bucket/a' }, 403],
      [{ object: 'a\nb' }, 403],
      [{ method: 'POST' }, 400],
      [{ headers: {} }, 400],
    ] as const)
      expect((await world.ask('signUrl', { ...wanted, ...change })).status).toBe(expected)
  })

  test('a caller without a rule for signatures signs nothing, and explain says why', async () => {
    const rule = { token_types: ['access_token'], signature: undefined, id_token_audiences: undefined }
    expect(await world.applyPolicy(world.policy(rule))).toBe(200)
    await world.clock.advance(15_000)
    const refused = await signBlob(v2(`/${bucket}/a`))
    expect(statusOf(refused)).toEqual([403, expect.objectContaining(denied)])
    await world.clock.advance(1000)
    const asked = {
      bearer: await world.jwt('ops'),
      body: { request_id: refused.headers.get('x-request-id') },
    }
    const explained = await (await world.call('POST /v1/admin/policy:explain', asked)).json()
    expect(explained).toMatchObject({
      outcome: 'refused',
      condition: 'token_types',
      credential: { name: 'reports-sa' },
    })
  })
})

describe('T2: signJwt', () => {
  const aud = 'https://warehouse.example'
  const signJwt = (payload: unknown, asking = {}) =>
    world.ask('signJwt', { payload: typeof payload === 'string' ? payload : JSON.stringify(payload) }, asking)

  beforeEach(async () => {
    world = await createIamWorld({ jwt_audiences: [aud] })
  })

  test('builds the JWT anew, of the account itself, for an audience of the rule and an hour at most', async () => {
    const now = world.clock.now()
    for (const payload of [
      { aud },
      { iss: account, sub: account, aud, iat: 1, exp: now + 3600 },
      { iss: `reports-sa@${iamHost}`, sub: `reports-sa@${iamHost}`, aud, exp: now + 60, jti: 'one' },
    ]) {
      const { status, body } = await signJwt(payload)
      expect(status).toBe(200)
      const jwt = String(body['signedJwt'])
      const { exp = 0, ...claims } = decodeJwt(jwt)
      expect(decodeProtectedHeader(jwt)).toEqual({ alg: 'RS256', typ: 'JWT', kid: 'key-1' })
      expect(claims).toMatchObject({ iss: account, sub: account, aud, iat: now })
      expect(exp).toBeLessThanOrEqual(now + 3600)
      const [text, signature] = [jwt.slice(0, jwt.lastIndexOf('.')), jwt.slice(jwt.lastIndexOf('.') + 1)]
      const octets = signature.replaceAll('-', '+').replaceAll('_', '/')
      expect(await isSigned(text, octets)).toBe(true)
    }
    expect(world.audits.at(-1)).toMatchObject({ audience: aud, tokenType: 'signature' })
    expect(world.audits.at(-1)?.signedDigest).toMatch(/^[0-9a-f]{64}$/)
  })

  test('twenty payloads, none signed', async () => {
    const now = world.clock.now()
    const payloads = [
      { aud, scope: 'https://www.googleapis.com/auth/cloud-platform' },
      { aud, target_audience: 'https://victim.example' },
      { aud: [aud] },
      { aud: [aud, 'https://other.example'] },
      { aud: 'https://other.example' },
      { aud: `${aud}/` },
      { aud: 'https://oauth2.googleapis.com/token' },
      { aud: `//storage.googleapis.com/projects/_/buckets/${bucket}` },
      {},
      { aud, sub: 'ceo@acme.example' },
      { aud, iss: 'other@acme.iam.gserviceaccount.com' },
      { aud, sub: `other-sa@${iamHost}` },
      { aud, exp: now + 43_200 },
      { aud, exp: now - 1 },
      { aud, exp: `${now + 60}` },
      { aud, email: 'ceo@acme.example' },
      { aud, uid: 'ceo' },
      { aud, exp: 1.5 },
      `{"aud":"${aud}","aud":"https://oauth2.googleapis.com/token"}`,
      `{"aud":"${aud}","\\u0073ub":"a","sub":"${account}"}`,
      `["${aud}"]`,
      'hello',
    ]
    for (const payload of payloads) {
      const { status, body } = await signJwt(payload)
      expect([payload, status, Object.keys(body)]).toEqual([payload, 403, ['error']])
    }
    expect(payloads.length).toBeGreaterThanOrEqual(20)
    expect((await signJwt({ aud })).status).toBe(200)
  })

  test('audiences that would give the account away, or make one caller another, are policy faults', async () => {
    const tokens = `https://${iamHost}`
    for (const audience of [
      'https://oauth2.googleapis.com/token',
      'https://www.googleapis.com/oauth2/v4/token',
      'https://accounts.google.com/o/oauth2/token',
      'https://storage.googleapis.com/',
      'https://IAMCREDENTIALS.googleapis.com',
      tokens,
      'https://tokens.internal.example',
    ]) {
      const policy = world.policy({ signature: { jwt_audiences: [audience] } })
      Object.assign(policy.issuers[0] ?? {}, { audiences: [tokens, 'https://tokens.internal.example'] })
      expect([audience, await world.applyPolicy(policy)]).toEqual([audience, 422])
    }
    for (const rule of [
      { signature: undefined },
      { signature: {} },
      { signature: { storage_buckets: ['gs://x'] } },
      { token_types: ['access_token'], id_token_audiences: undefined },
    ])
      expect(await world.applyPolicy(world.policy(rule))).toBe(422)
    expect(
      await world.applyPolicy(world.policy({ signature: { jwt_audiences: ['https://else.example'] } })),
    ).toBe(200)
  })

  test('a rule for buckets signs no JWT, and one for JWTs no blob', async () => {
    expect((await signBlob(v2(`/${bucket}/a`))).status).toBe(403)
    world = await createIamWorld()
    expect((await signJwt({ aud })).status).toBe(403)
  })
})

test('T3: ID tokens and JWTs for an audience of this broker are a policy fault', async () => {
  world = await createIamWorld(undefined, {
    DOWNSCOPE_SIGN_IN_ISSUER: 'https://accounts.acme.example',
    DOWNSCOPE_SIGN_IN_CLIENT_ID: 'console',
    DOWNSCOPE_SIGN_IN_CLI_CLIENT_ID: 'command-line',
    DOWNSCOPE_SIGN_IN_DEVICE_CLIENT_ID: 'device',
  })
  const tokens = `https://${iamHost}`
  const issuerAudience = 'https://tokens.internal.example'
  for (const audience of [tokens, issuerAudience, 'console', 'command-line', 'device'])
    for (const rule of [
      { id_token_audiences: ['https://reports.example', audience] },
      { signature: { jwt_audiences: ['https://reports.example', audience] } },
    ]) {
      const policy = world.policy(rule)
      Object.assign(policy.issuers[0] ?? {}, { audiences: [tokens, issuerAudience] })
      expect([rule, await world.applyPolicy(policy)]).toEqual([rule, 422])
    }
  expect(await world.applyPolicy(world.policy({ id_token_audiences: ['https://other.example'] }))).toBe(200)
})

describe('T4: the emulated API', () => {
  test('takes no delegates, no empty scope and no member that it does not know', async () => {
    const scope = [readScope]
    for (const [method, body] of [
      [
        'generateAccessToken',
        { scope, delegates: ['projects/-/serviceAccounts/b@acme.iam.gserviceaccount.com'] },
      ],
      ['generateAccessToken', { scope: [] }],
      ['generateAccessToken', {}],
      ['generateAccessToken', { scope: [''] }],
      ['generateAccessToken', { scope: [`${readScope} openid`] }],
      ['generateAccessToken', { scope, subject: 'ceo@acme.example' }],
      ['generateAccessToken', { scope, lifetime: '-1s' }],
      ['generateIdToken', { audience: 'https://reports.example', delegates: ['x'] }],
      ['generateIdToken', { audience: 'https://reports.example', organizationNumberIncluded: true }],
      ['signBlob', { payload: b64(v2(`/${bucket}/a`)), delegates: ['x'] }],
      ['signBlob', { payload: '*' }],
      ['signJwt', { payload: '{}', delegates: ['x'] }],
    ] as const)
      expect([method, body, (await world.ask(method, body)).status]).toEqual([method, body, 400])
    expect((await world.ask('generateAccessToken', { scope, delegates: [] })).status).toBe(200)
  })

  test('CREDENTIAL@HOST comes before addresses of accounts, and both are compared exactly', async () => {
    const ask = async (email: string) =>
      (await world.ask('generateAccessToken', { scope: [readScope] }, { email })).status
    expect(await ask(account)).toBe(200)
    expect(await ask(`reports-sa@${iamHost}`)).toBe(200)
    for (const email of [
      `reports-sa@${iamHost.toUpperCase()}`,
      `reports-sa@${iamHost}.`,
      `reports-sa@x.${iamHost}`,
      `REPORTS-SA@${iamHost}`,
      account.toUpperCase(),
      'other@acme.iam.gserviceaccount.com',
    ])
      expect([email, await ask(email)]).toEqual([email, 403])
    // The second credential of one account: its address means neither.
    const policy = world.policy()
    policy.rules.push({
      ...policy.rules[0],
      name: 'second',
      credential: 'third-sa',
      token_types: ['access_token'],
      signature: undefined,
      id_token_audiences: undefined,
    })
    expect(await world.applyPolicy(policy)).toBe(200)
    await world.clock.advance(15_000)
    expect([await ask(account), await ask(`third-sa@${iamHost}`)]).toEqual([403, 200])
  })

  test('Authorization takes no access token, no tolerated audience, and no JWT twice', async () => {
    const change = async (entry: object) => {
      const policy = world.policy({
        callers: [{ issuer: 'billing', subject: 'billing', claims: { client_id: 'c' } }],
      })
      Object.assign(policy.issuers[0] ?? {}, entry)
      expect(await world.applyPolicy(policy)).toBe(200)
      await world.clock.advance(15_000)
    }
    const ask = async (bearer: string) =>
      (await world.ask('generateAccessToken', { scope: [readScope] }, { bearer })).status
    const shared = { aud: [`https://${iamHost}`, 'account'] }
    const client = { client_id: 'c' }
    await change({ accepts: ['at+jwt'], self_issued: false })
    expect(await ask(await world.jwt('billing', client, { typ: 'at+jwt' }))).toBe(401)
    const proved = await world.askTicket(await world.jwt('billing', client, { typ: 'at+jwt' }))
    expect(await ask(String(proved.body['access_token']))).toBe(200)
    await change({ tolerated_audiences: ['account'] })
    expect(await ask(await world.jwt('billing', { ...shared, ...client }))).toBe(401)
    expect(await ask('')).toBe(401)
    const bearer = await world.jwt('billing', client)
    expect([await ask(bearer), await ask(bearer)]).toEqual([200, 401])
    const admin = await world.call('GET /v1/admin/policy', { bearer: await world.jwt('ops', shared) })
    expect(admin.status).toBe(401)
    // At the token endpoint it is tolerated, and so is the ticket that came of it.
    const { body } = await world.askTicket(await world.jwt('billing', { ...shared, ...client }))
    expect(await ask(String(body['access_token']))).toBe(200)
  })
})

describe('T5: tickets', () => {
  const scope = { scope: [readScope] }
  const use = async (bearer: string, more = {}) =>
    (await world.ask('generateAccessToken', scope, { bearer, ...more })).status

  test('a ticket is good again and again, for no longer than its JWT', async () => {
    const jwt = await world.jwt('billing')
    const { status, body } = await world.askTicket(jwt)
    expect([status, body]).toEqual([
      200,
      {
        access_token: expect.stringMatching(/^[\w.-]+$/) as string,
        issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        token_type: 'Bearer',
        expires_in: 240,
        scope: 'ticket',
      },
    ])
    const ticket = String(body['access_token'])
    expect(ticket).not.toContain('billing')
    expect([
      await use(ticket),
      await use(ticket),
      (await signBlob(v2(`/${bucket}/a`), { bearer: ticket })).status,
    ]).toEqual([200, 200, 200])
    expect((await world.askTicket(jwt)).status).toBe(400)
    await world.clock.advance(239_000)
    expect(await use(ticket)).toBe(200)
    await world.clock.advance(1000)
    expect(await use(ticket)).toBe(401)
    const late = { exp: world.clock.now() + 60 }
    expect((await world.askTicket(await world.jwt('billing', late))).status).toBe(400)
  })

  test('a stop that is resumed, a block that is restored, a removed key and a revocation: 401 each', async () => {
    const admin = async (line: string, body?: object) => {
      const answered = await world.call(line, {
        bearer: await world.jwt('ops'),
        ...(body === undefined ? {} : { body }),
      })
      expect([line, answered.status < 300]).toEqual([line, true])
    }
    const billing = { issuer: 'billing', subject: 'billing' }
    const stranger = { issuer: 'stranger', subject: 'stranger' }
    const ends: Readonly<Record<string, (ticket: string) => Promise<void>>> = {
      stop: async () => {
        await admin('POST /v1/admin/service:stop')
        await admin('POST /v1/admin/service:resume')
      },
      block: async () => {
        await admin('POST /v1/admin/callers:revoke', billing)
        await admin('POST /v1/admin/callers:restore', billing)
      },
      revoke: async (ticket) => {
        const form = new URLSearchParams({
          client_assertion: await world.jwt('billing'),
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          token: ticket,
        })
        expect((await world.call('POST /v1/revoke', { body: form })).status).toBe(200)
      },
      key: async () => {
        const policy = world.policy()
        const { jwk } = await createSigner('ES256', 'billing')
        Object.assign(policy.issuers[0] ?? {}, { keys: { jwks: { keys: [jwk] } } })
        expect(await world.applyPolicy(policy)).toBe(200)
      },
    }
    for (const [name, end] of Object.entries(ends)) {
      const ticket = await world.ticket()
      expect([name, await use(ticket)]).toEqual([name, 200])
      await admin('POST /v1/admin/callers:revoke', stranger)
      await world.clock.advance(10_000)
      expect([name, await use(ticket)]).toEqual([name, 200])
      await end(ticket)
      await world.clock.advance(10_000)
      expect([name, await use(ticket)]).toEqual([name, 401])
      if (name !== 'key') expect([name, await use(await world.ticket())]).toEqual([name, 200])
      await admin('POST /v1/admin/callers:restore', stranger)
    }
  })

  test('a rule that takes the caller no more, or is narrower, is what counts', async () => {
    const ticket = await world.ticket()
    expect(
      await world.applyPolicy(world.policy({ callers: [{ issuer: 'stranger', subject: 'stranger' }] })),
    ).toBe(200)
    await world.clock.advance(15_000)
    expect(await use(ticket)).toBe(403)
  })
})

describe('T6: what a ticket is good for', () => {
  test('only who may have something gets one, and nothing more than a plain one', async () => {
    const jwt = await world.jwt('stranger')
    expect((await world.askTicket(jwt)).body).toMatchObject({ error: 'invalid_target' })
    expect(
      (await world.askTicket(await world.jwt('billing'), { requested_lifetime: '60' })).body,
    ).toMatchObject({
      error: 'invalid_request',
    })
    expect(
      (await world.askTicket(await world.jwt('billing'), { audience: '//elsewhere.example' })).status,
    ).toBe(400)
    expect((await world.askTicket(await world.jwt('billing'))).status).toBe(200)
  })

  test('rates count as at the token endpoint: tickets, tokens and signatures of one caller together', async () => {
    world = await createIamWorld(undefined, { DOWNSCOPE_CALLER_RATE: '4' })
    const bearer = await world.ticket()
    const use = () => world.ask('generateAccessToken', { scope: [readScope] }, { bearer })
    const sign = () => signBlob(v2(`/${bucket}/a`), { bearer })
    expect([(await use()).status, (await sign()).status, (await use()).status]).toEqual([200, 200, 200])
    for (const limited of [await use(), await sign()]) {
      expect(limited.body['error']).toMatchObject({ code: 429, status: 'RESOURCE_EXHAUSTED' })
      expect([limited.status, Number(limited.headers.get('retry-after')) > 0]).toEqual([429, true])
    }
    expect((await world.askTicket(await world.jwt('billing'))).status).toBe(429)
    const other = await world.jwt('stranger')
    expect((await world.ask('generateAccessToken', { scope: [readScope] }, { bearer: other })).status).toBe(
      403,
    )
    await world.clock.advance(60_000)
    expect((await use()).status).toBe(200)
  })

  test('each sealed text used as another is refused, and so is one of another issuer with the same keys', async () => {
    const ticket = await world.ticket()
    const sealed = ticket.slice('downscope-ticket.'.length)
    const { keyRing } = world.platform
    const { Secret } = await import('../../src/domain/secret.ts')
    const forge = async (place: string) =>
      `downscope-ticket.${await keyRing.seal(await keyRing.open(sealed, `ticket#https://${iamHost}`), place)}`
    const use = async (bearer: string, more = {}) =>
      (await world.ask('generateAccessToken', { scope: [readScope] }, { bearer, ...more })).status
    for (const kind of ['cookie/session', 'cookie/sign-in', 'form/connect', 'ticket/x'])
      expect([kind, await use(await forge(`${kind}#https://${iamHost}`))]).toEqual([kind, 401])
    expect(await use(await forge('ticket#https://other.example'))).toBe(401)
    expect(await use(`downscope-ticket.${await keyRing.seal(new Secret('{}'), 'credentials/x#v')}`)).toBe(401)
    expect(await use(sealed)).toBe(401)
    expect(await use(await forge(`ticket#https://${iamHost}`))).toBe(200)
    expect(await use(ticket, { serve: world.serveAs('https://other.example') })).toBe(401)

    // A ticket as anything else: as proof at the token endpoint, as an administrator, as a token to introspect.
    expect((await world.askTicket(ticket)).status).toBe(400)
    expect((await world.call('GET /v1/admin/policy', { bearer: ticket })).status).toBe(401)
    const introspected = await world.call('POST /v1/introspect', {
      body: new URLSearchParams({ token: ticket }),
    })
    expect(await introspected.json()).toEqual({ active: false })
    const foreign = new URLSearchParams({
      client_assertion: await world.jwt('stranger'),
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      token: ticket,
    })
    expect((await world.call('POST /v1/revoke', { body: foreign })).status).toBe(400)
    expect(await use(ticket)).toBe(200)
  })
})
