import { describe, expect, it } from 'vitest'
import { adminRoutes } from '../../src/http/admin-routes.ts'
import { adminRows } from '../support/admin-rows.ts'
import { call, collection, unusedCredentials } from '../support/call-admin.ts'
import { createFakeHall, type FakeHall } from '../support/http-layer.ts'

it('every route of the table has a row here, and each row is in the table', () => {
  const pathOf = (line: string) =>
    line
      .replace(/reports-sa/, '{name}')
      .replace(/(?<=versions\/)[^:/]+/, '{version}')
      .replace(/(?<=connections\/)[^:/]+/, '{id}')
  expect(new Set(adminRows.map(({ line }) => pathOf(line)))).toEqual(
    new Set(Object.values(adminRoutes).map(({ at }) => at)),
  )
})

describe.each(adminRows)('$line', ({ line, needed, status, action, body, headers }) => {
  const send = (hall: FakeHall, as?: string) =>
    call(hall, line, {
      ...(as === undefined ? {} : { as }),
      body,
      ...(headers === undefined ? {} : { headers }),
    })

  it(`answers ${status} to the role ${needed} and above, with one audit record (P27)`, async () => {
    const ranks = ['viewer', 'operator', 'admin']
    for (const role of ranks.slice(ranks.indexOf(needed))) {
      const hall = createFakeHall()
      const answer = await send(hall, role)
      expect(answer.status).toBe(status)
      expect(answer.headers.get('cache-control')).toBe('no-store')
      expect(hall.records).toMatchObject([
        { action, outcome: 'done', caller: role, requestId: answer.headers.get('x-request-id') },
      ])
    }
  })

  it('refuses every lesser role with 403, and the refusal is audited (P27)', async () => {
    const ranks = ['nobody', 'viewer', 'operator', 'admin']
    for (const role of ranks.slice(0, ranks.indexOf(needed))) {
      const hall = createFakeHall()
      const answer = await send(hall, role)
      expect(answer.status).toBe(403)
      expect(hall.records).toMatchObject([{ action, outcome: 'refused', error: 'admin_forbidden' }])
    }
  })

  it('refuses strangers with 401 and a challenge, and the refusal is audited (P27)', async () => {
    for (const as of [undefined, 'stranger', 'not a token']) {
      const hall = createFakeHall()
      const answer = await send(hall, as)
      expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
      expect(answer.headers.get('content-type')).toBe('application/problem+json')
      expect(hall.records).toMatchObject([{ action, outcome: 'refused', error: 'admin_unauthenticated' }])
    }
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
    const hall = createFakeHall()
    expect((await call(hall, line)).status).toBe(401)
    const answer = await call(hall, line, { as: 'viewer' })
    expect(answer.status).toBe(404)
    expect(await answer.json()).toMatchObject({ type: 'about:blank', status: 404, code: 'not_found' })
    expect(hall.records).toMatchObject([
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
    const answer = await call(createFakeHall(), line, { as: 'admin' })
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, allow])
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
  })
})

it('P23: a bug behind the admin API answers 500 without text and says nothing in the log', async () => {
  const read = () => Promise.reject(new Error('ya29.secret'))
  const hall = createFakeHall({ credentials: { ...unusedCredentials(), read } })
  const answer = await call(hall, `GET ${collection}/a`, { as: 'admin' })
  expect(answer.status).toBe(500)
  expect(await answer.json()).toEqual({ type: 'about:blank', title: 'Internal Server Error', status: 500 })
  expect(hall.lines).toHaveLength(1)
  expect(hall.records).toMatchObject([{ outcome: 'failed', error: 'bug' }])
  expect(JSON.stringify([hall.lines, hall.records])).not.toContain('ya29')
})
