import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BrokerError } from '../../src/domain/broker-error.ts'
import { epochSeconds, seconds } from '../../src/domain/time.ts'
import { createFakeHttpLayer, failing, outcome, post, tokenForm } from '../support/http-layer.ts'

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern)
const form = { 'content-type': 'application/x-www-form-urlencoded' }

describe('a token on the wire', () => {
  it('P10: an access token is answered with exactly five members and never cached', async () => {
    const { app } = createFakeHttpLayer()
    const answer = await post(app, tokenForm())
    expect(answer.status).toBe(200)
    expect(await answer.text()).toBe(
      '{"access_token":"ya29.the-token","issued_token_type":"urn:ietf:params:oauth:token-type:access_token",' +
        '"token_type":"Bearer","expires_in":3599,"scope":"read write"}',
    )
    expect(Object.fromEntries(answer.headers)).toEqual({
      'content-type': 'application/json',
      'cache-control': 'no-store',
      pragma: 'no-cache',
      'x-content-type-options': 'nosniff',
      'x-request-id': '00000000-0000-4000-8000-000000000001',
    })
  })

  it('P13: an ID token travels in access_token, is labelled id_token and N_A, and claims no scope', async () => {
    const { app } = createFakeHttpLayer({
      exchange: async () => outcome({ tokenType: 'id_token', scopes: [] }),
    })
    const answer = await post(app, tokenForm())
    expect(await answer.json()).toEqual({
      access_token: 'ya29.the-token',
      issued_token_type: 'urn:ietf:params:oauth:token-type:id_token',
      token_type: 'N_A',
      expires_in: 3599,
    })
  })

  it('P13: an API key is labelled as one and N_A, never as a token', async () => {
    const { app } = createFakeHttpLayer({
      exchange: async () => outcome({ tokenType: 'api_key', scopes: [] }),
    })
    const answer = await post(app, tokenForm())
    expect(await answer.json()).toEqual({
      access_token: 'ya29.the-token',
      issued_token_type: 'urn:downscope:params:oauth:token-type:api_key',
      token_type: 'N_A',
      expires_in: 3599,
    })
  })

  it('P19: expires_in is a whole number, and a token without remaining life is never handed out', async () => {
    const withLife = (remaining: number) =>
      createFakeHttpLayer({
        exchange: async () => {
          const { grant, resolved } = outcome()
          return { grant, resolved: { ...resolved, remaining: seconds(remaining) } }
        },
      })
    expect(await (await post(withLife(59.9).app, tokenForm())).json()).toMatchObject({ expires_in: 59 })
    for (const remaining of [0, 0.9, -5, Number.NaN]) {
      const answer = await post(withLife(remaining).app, tokenForm())
      expect([answer.status, await answer.text()]).toEqual([500, '{"error":"server_error"}'])
    }
  })

  it('P11: nothing in the query string counts', async () => {
    const { app, requests } = createFakeHttpLayer()
    const path = '/v1/token?audience=other&scope=everything&grant_type=x'
    const answer = await app.request(path, { method: 'POST', body: tokenForm(), headers: form })
    expect(answer.status).toBe(200)
    expect(requests).toMatchObject([{ target: 'reports-sa', scopes: [] }])
    const alone = await app.request(`/v1/token?${tokenForm()}`, { method: 'POST', headers: form })
    expect(alone.status).toBe(400)
  })

  it('an Authorization: Basic header is tolerated and means nothing', async () => {
    const { app } = createFakeHttpLayer()
    const answer = await post(app, tokenForm(), { authorization: 'Basic Z2Nsb3VkOm5vdHNlY3JldA==' })
    expect(answer.status).toBe(200)
  })

  it.each([
    ['nothing', {}, {}, null],
    ['client_id alone', { client_id: 'billing' }, {}, null],
    ['an empty assertion', { client_assertion: ' ' }, {}, null],
    [
      'the type of an assertion alone',
      { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' },
      {},
      null,
    ],
    ['Basic alone', {}, { authorization: 'Basic eDp5' }, 'Basic realm="downscope"'],
    ['Bearer alone', {}, { authorization: 'Bearer eyJ.eyJ.c' }, 'Bearer'],
  ])(
    'RFC 6749 §5.2: client_credentials with %s is invalid_client',
    async (_, members, headers, challenge) => {
      const { app } = createFakeHttpLayer()
      const grant = {
        grant_type: 'client_credentials',
        subject_token: undefined,
        subject_token_type: undefined,
      }
      const answer = await post(app, tokenForm({ ...grant, ...members }), { ...headers })
      expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, challenge])
      expect(await answer.json()).toMatchObject({ error: 'invalid_client' })
    },
  )

  it('client_credentials with an assertion and no type is malformed', async () => {
    const grant = {
      grant_type: 'client_credentials',
      subject_token: undefined,
      subject_token_type: undefined,
    }
    const answer = await post(createFakeHttpLayer().app, tokenForm({ ...grant, client_assertion: 'a.b.c' }))
    expect([answer.status, await answer.json()]).toMatchObject([400, { error: 'invalid_request' }])
  })

  it('the request id stands at the end of what a refusal says', async () => {
    const { app } = createFakeHttpLayer()
    for (const [path, method] of [
      ['/v1/token', 'POST'],
      ['/v1/revoke', 'POST'],
      ['/v1/introspect', 'POST'],
      ['/nothing', 'GET'],
      ['/v1/token', 'GET'],
    ] as const) {
      const answer = await app.request(path, { method })
      const id = answer.headers.get('x-request-id') ?? ''
      expect(id).toMatch(uuid)
      expect(await answer.json()).toMatchObject({
        error_description: matching(new RegExp(`; request id ${id}$`)),
      })
    }
  })

  it('the request id is never the one a caller sends', async () => {
    const { app } = createFakeHttpLayer()
    const answer = await post(app, tokenForm(), { 'x-request-id': 'mine' })
    expect(answer.headers.get('x-request-id')).toMatch(uuid)
  })

  it('the exchange hears the same request id as the caller', async () => {
    const heard: string[] = []
    const { app } = createFakeHttpLayer({
      exchange: async ({ requestId }) => {
        heard.push(requestId)
        return outcome()
      },
    })
    const answer = await post(app, tokenForm())
    expect(heard).toEqual([answer.headers.get('x-request-id')])
  })
})

describe('P12: refusals', () => {
  it('P12: unknown, forbidden, disabled and revoked credentials are answered with the same bytes', async () => {
    const seen = new Set<string>()
    for (const reason of ['there is no such credential', 'no rule allows it', 'it is disabled']) {
      const error = new BrokerError('target_unavailable', { reason, publicDetail: reason })
      const answer = await post(createFakeHttpLayer({ exchange: failing(error) }).app, tokenForm())
      seen.add(JSON.stringify([answer.status, [...answer.headers], await answer.text()]))
    }
    expect(seen.size).toBe(1)
    expect([...seen][0]).not.toContain('disabled')
  })

  it('P12: the true reason of a refusal stays inside', async () => {
    const error = new BrokerError('subject_token_rejected', { reason: 'key k7 of issuer prod-cluster' })
    const answer = await post(createFakeHttpLayer({ exchange: failing(error) }).app, tokenForm())
    const id = answer.headers.get('x-request-id')
    expect(await answer.text()).toBe(
      `{"error":"invalid_request","error_description":"the subject token is not accepted; request id ${id}"}`,
    )
  })

  it('P23: a bug answers 500 without text, is logged once by request id, and nothing it says gets out', async () => {
    class Leak extends Error {
      override name = 'ya29.name leak'
    }
    for (const thrown of [
      new TypeError('ya29.secret\n    at ya29.secret:1:1'),
      new Leak('ya29.secret'),
      Object.assign(new Error('x'), { stack: 'ya29.secret', cause: 'ya29.secret' }),
      'ya29.secret',
      { token: 'ya29.secret' },
      undefined,
    ]) {
      const { app, lines } = createFakeHttpLayer({ exchange: failing(thrown) })
      const answer = await post(app, tokenForm())
      expect([answer.status, await answer.text()]).toEqual([500, '{"error":"server_error"}'])
      expect(lines).toHaveLength(1)
      expect(lines).toMatchObject([
        { level: 'error', fields: { requestId: answer.headers.get('x-request-id') } },
      ])
      expect(JSON.stringify([lines, [...answer.headers]])).not.toContain('ya29')
    }
  })

  it('a bug in the log says where it arose', async () => {
    const { app, lines } = createFakeHttpLayer({ exchange: failing(new TypeError('not to be seen')) })
    await post(app, tokenForm())
    expect(lines[0]?.fields['kind']).toBe('TypeError')
    expect(JSON.stringify(lines[0]?.fields['frames'])).toContain('token-endpoint.test')
  })

  it('a failure of the audit trail is logged, since no record of it can be', async () => {
    const error = new BrokerError('audit_unavailable', { reason: 'the disk is full' })
    const { app, lines } = createFakeHttpLayer({ exchange: failing(error) })
    expect((await post(app, tokenForm())).status).toBe(503)
    expect(lines).toMatchObject([{ level: 'error', fields: { reason: 'the disk is full' } }])
  })
})

describe('P10: whatever is sent', () => {
  const names = fc.constantFrom(
    'grant_type',
    'subject_token',
    'subject_token_type',
    'client_assertion',
    'client_assertion_type',
    'client_id',
    'audience',
    'scope',
    'requested_token_type',
    'resource',
    'requested_subject',
    'requested_lifetime',
    'options',
    'actor_token',
    'other',
  )
  const values = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.json({ maxDepth: 3 }),
    fc.constantFrom(
      '',
      'client_credentials',
      'urn:ietf:params:oauth:grant-type:token-exchange',
      'urn:ietf:params:oauth:token-type:jwt',
      'urn:ietf:params:oauth:token-type:id_token',
      'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      'https://a.example/',
      '60',
      '%7B%22accessBoundary%22%3A%7B%7D%7D',
      '{"accessBoundary":{"accessBoundaryRules":[{"\\"\\\\":1}]}}',
    ),
  )
  const bodies = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.array(fc.tuple(names, values), { maxLength: 10 }).map((pairs) => {
      const form = new URLSearchParams()
      for (const [name, value] of pairs) form.append(name, value)
      return form.toString()
    }),
    fc.tuple(names, values).map(([name, value]) => tokenForm({ [name]: value })),
  )

  it('P10: the answer is JSON of a known status, within the character set, not cached, with an id', async () => {
    const { app } = createFakeHttpLayer()
    const statuses = new Set<number>()
    await fc.assert(
      fc.asyncProperty(bodies, async (body) => {
        const answer = await post(app, body)
        statuses.add(answer.status)
        expect([200, 400, 401]).toContain(answer.status)
        expect(answer.headers.get('content-type')).toBe('application/json')
        expect(answer.headers.get('cache-control')).toBe('no-store')
        expect(answer.headers.get('x-request-id')).toMatch(uuid)
        const document: unknown = await answer.json()
        if (answer.status === 200) return
        expect(document).toEqual({
          error: matching(/^(?:invalid_request|invalid_client|invalid_scope|unsupported_grant_type)$/),
          error_description: matching(/^[\x20-\x21\x23-\x5B\x5D-\x7E]+$/),
        })
      }),
      { numRuns: 500 },
    )
    expect([...statuses]).toEqual(expect.arrayContaining([200, 400]))
  })

  it('P10: a public detail of any characters is told within the character set', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', minLength: 1, maxLength: 600 }), async (publicDetail) => {
        const error = new BrokerError('request_malformed', { reason: 'r', publicDetail })
        const { app } = createFakeHttpLayer({ exchange: failing(error) })
        const answer = await post(app, tokenForm())
        expect(await answer.json()).toEqual({
          error: 'invalid_request',
          error_description: matching(/^[\x20-\x21\x23-\x5B\x5D-\x7E]{1,300}$/),
        })
      }),
    )
  })
})

it('a token is labelled by what it is and not by what was granted', async () => {
  const minted = outcome({ tokenType: 'id_token', scopes: [], issuedAt: epochSeconds(1) })
  const { app } = createFakeHttpLayer({ exchange: async () => minted })
  expect(minted.grant?.tokenType).toBe('access_token')
  expect(await (await post(app, tokenForm())).json()).toMatchObject({ token_type: 'N_A' })
})
