import { describe, expect, it } from 'vitest'
import { adminRoles, meetsNeed } from '../../src/domain/policy.ts'
import { adminRoutes } from '../../src/http/admin-routes.ts'
import { adminRows } from '../support/admin-rows.ts'
import { call, collection, unusedCredentials } from '../support/call-admin.ts'
import { createFakeHttpLayer, type FakeHttpLayer } from '../support/http-layer.ts'

it('every route of the table has a row here, and each row is in the table', () => {
  const pathOf = (line: string) =>
    line
      .replace(/reports-sa/, '{name}')
      .replace(/(?<=policy\/versions\/)\w+/, '{revision}')
      .replace(/(?<=versions\/)[^:/{]+/, '{version}')
      .replace(/(?<=connections\/)[^:/]+/, '{id}')
  expect(new Set(adminRows.map(({ line }) => pathOf(line)))).toEqual(
    new Set(Object.values(adminRoutes).map(({ at }) => at)),
  )
})

describe.each(adminRows)('$line', ({ line, needed, status, action, body, headers }) => {
  const send = (fake: FakeHttpLayer, as?: string) =>
    call(fake, line, {
      ...(as === undefined ? {} : { as }),
      body,
      ...(headers === undefined ? {} : { headers }),
    })

  it(`answers ${status} to whoever may do what the role ${needed} may, with one audit record (P27)`, async () => {
    for (const role of adminRoles.filter((one) => meetsNeed([one], needed))) {
      const fake = createFakeHttpLayer()
      const answer = await send(fake, role)
      expect(answer.status).toBe(status)
      expect(answer.headers.get('cache-control')).toBe('no-store')
      expect(fake.records).toMatchObject([
        { action, outcome: 'done', caller: role, requestId: answer.headers.get('x-request-id') },
      ])
    }
  })

  it('refuses every other role with 403, and the refusal is audited (P27)', async () => {
    for (const role of ['nobody', ...adminRoles.filter((one) => !meetsNeed([one], needed))]) {
      const fake = createFakeHttpLayer()
      const answer = await send(fake, role)
      expect(answer.status).toBe(403)
      expect(fake.records).toMatchObject([{ action, outcome: 'refused', error: 'admin_forbidden' }])
    }
  })

  it('refuses strangers with 401 and a challenge, and the refusal is audited (P27)', async () => {
    for (const as of [undefined, 'stranger', 'not a token']) {
      const fake = createFakeHttpLayer()
      const answer = await send(fake, as)
      expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
      expect(answer.headers.get('content-type')).toBe('application/problem+json')
      expect(fake.records).toMatchObject([{ action, outcome: 'refused', error: 'admin_unauthenticated' }])
    }
  })
})

describe('the body of an admin request', () => {
  /** More than anybody may send, and noticed as soon as somebody reads it. */
  function watched() {
    let pulled = 0
    const stream = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          pulled += 1
          controller.enqueue(new Uint8Array(65_536).fill(97))
        },
      },
      { highWaterMark: 0 },
    )
    return { stream, pulled: () => pulled }
  }
  const post = (http: FakeHttpLayer, path: string, body: string | ReadableStream<Uint8Array>, as?: string) =>
    http.app.request(`/v1/admin/${path}`, {
      method: 'POST',
      body,
      duplex: 'half',
      headers: {
        ...(as === undefined ? {} : { authorization: `Bearer ${as}` }),
        'content-type': path === 'policy:validate' ? 'application/yaml' : 'application/json',
      },
    })

  it.each([
    ['policy:explain', 0],
    ['policy:suggest', 0],
    ['policy:validate', 0],
    // The audit record says of a verified caller whom it was about.
    ['callers:revoke', 1],
    ['credentials', 1],
  ])(
    'of a stranger is not read, nor that of whom policy gives no role: %s',
    async (path, isReadForTheRecord) => {
      const http = createFakeHttpLayer()
      for (const [as, status] of [
        [undefined, 401],
        ['stranger', 401],
        ...(isReadForTheRecord ? [] : [['nobody', 403] as const]),
      ] as const) {
        const body = watched()
        expect((await post(http, path, body.stream, as)).status).toBe(status)
        expect(body.pulled()).toBe(0)
      }
      const body = watched()
      expect((await post(http, path, body.stream, 'admin')).status).toBe(413)
      expect(body.pulled()).toBeGreaterThan(0)
    },
  )

  it('is 64 KiB at most, and of a policy a million bytes', async () => {
    const http = createFakeHttpLayer()
    const policy = (bytes: number) => `version: 1 #${'x'.repeat(bytes - 12)}`
    expect((await post(http, 'policy:validate', policy(1_000_000), 'viewer')).status).toBe(200)
    const tooLong = await post(http, 'policy:validate', policy(1_000_001), 'viewer')
    expect([tooLong.status, await tooLong.json()]).toMatchObject([
      413,
      { detail: 'the request body is larger than 1000000 bytes' },
    ])
    expect((await post(http, 'policy:explain', `{"issuer":"${'x'.repeat(65_536)}"}`, 'viewer')).status).toBe(
      413,
    )
  })
})

describe('what is no route', () => {
  it.each([
    `POST ${collection}/a:explode`,
    `POST ${collection}/a:disable:enable`,
    `POST ${collection}/:disable`,
    `POST ${collection}/${'x'.repeat(201)}:disable`,
    `GET ${collection}/a%2Fb`,
    `GET ${collection}/a%3Adisable`,
    `GET ${collection}/a%00`,
    'GET /v1/admin',
    'GET /v1/admin/',
    'GET /v1/admin/nothing',
  ])('%s is nothing, and only an admin learns it', async (line) => {
    const fake = createFakeHttpLayer()
    expect((await call(fake, line)).status).toBe(401)
    const answer = await call(fake, line, { as: 'viewer' })
    expect(answer.status).toBe(404)
    expect(await answer.json()).toMatchObject({ type: 'about:blank', status: 404, code: 'not_found' })
    expect(fake.records).toMatchObject([
      { action: 'admin.unknown', error: 'admin_unauthenticated' },
      { action: 'admin.unknown', error: 'not_found' },
    ])
  })

  it.each([
    [`PUT ${collection}`, 'GET, POST, HEAD, OPTIONS'],
    [`POST ${collection}/a`, 'GET, PATCH, DELETE, HEAD, OPTIONS'],
    [`GET ${collection}/a:disable`, 'POST, OPTIONS'],
    ['DELETE /v1/admin/policy', 'GET, PUT, HEAD, OPTIONS'],
  ])('%s is 405 with Allow: %s, as RFC 9457', async (line, allow) => {
    const answer = await call(createFakeHttpLayer(), line, { as: 'admin' })
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, allow])
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
  })
})

it('P23: a bug behind the admin API answers 500 without text and says nothing in the log', async () => {
  const read = () => Promise.reject(new Error('ya29.secret'))
  const fake = createFakeHttpLayer({ credentials: { ...unusedCredentials(), read } })
  const answer = await call(fake, `GET ${collection}/a`, { as: 'admin' })
  expect(answer.status).toBe(500)
  expect(await answer.json()).toEqual({
    type: 'about:blank',
    title: 'Internal Server Error',
    status: 500,
    request_id: answer.headers.get('x-request-id'),
  })
  expect(fake.lines).toHaveLength(1)
  expect(fake.records).toMatchObject([{ outcome: 'failed', error: 'bug' }])
  expect(JSON.stringify([fake.lines, fake.records])).not.toContain('ya29')
})
