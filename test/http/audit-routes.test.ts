import { describe, expect, it } from 'vitest'
import { epochSeconds } from '../../src/domain/time.ts'
import { call } from '../support/call-admin.ts'
import { createFakeHttpLayer } from '../support/http-layer.ts'

const at = epochSeconds(1_800_000_000)

describe('GET /v1/admin/audit', () => {
  it('shows members as they are on standard output, with the time written out', async () => {
    const fake = createFakeHttpLayer({
      readAudit: async () => ({ records: [{ at, caller: 'billing', outcome: 'refused' }], isComplete: true }),
    })
    const answer = await call(fake, 'GET /v1/admin/audit', { as: 'auditor' })
    expect(await answer.json()).toEqual({
      records: [{ time: '2027-01-15T08:00:00Z', at, caller: 'billing', outcome: 'refused' }],
      complete: true,
    })
  })

  it('hands every filter on, and says how to keep the trail where it is not kept', async () => {
    const asked: unknown[] = []
    const fake = createFakeHttpLayer({
      keepsAudit: false,
      readAudit: async (question) => {
        asked.push(question)
        return { records: [], isComplete: true }
      },
    })
    const query = new URLSearchParams({
      caller: 'c',
      issuer: 'i',
      rule: 'r',
      credential: 'k',
      outcome: 'refused',
      action: 'token.exchange',
      since: '2027-01-15T08:00:00Z',
      until: '2027-01-15T10:00:00+01:00',
      request_id: 'q',
      reads: 'hide',
      limit: '7',
    })
    const answer = await call(fake, `GET /v1/admin/audit?${query.toString()}`, { as: 'admin' })
    expect(asked).toEqual([
      {
        limit: 7,
        filter: {
          caller: 'c',
          issuer: 'i',
          rule: 'r',
          credential: 'k',
          outcome: 'refused',
          action: 'token.exchange',
          since: at,
          until: at + 3600,
          requestId: 'q',
          withoutReads: true,
        },
      },
    ])
    expect(await answer.json()).toMatchObject({
      hint: expect.stringContaining('DOWNSCOPE_AUDIT=stdout+store') as unknown,
    })
  })

  it.each([
    'outcome=lost',
    'since=yesterday',
    'until=2027-13-45T00:00:00Z',
    'action=token',
    'limit=0',
    'limit=1001',
    'caller=',
    'caller=a&caller=b',
    'after=001800000000-a',
    'after=nonsense~0000',
  ])('refuses ?%s with 400', async (query) => {
    const answer = await call(createFakeHttpLayer(), `GET /v1/admin/audit?${query}`, { as: 'auditor' })
    expect(answer.status).toBe(400)
  })

  it.each([
    '0000-01-01T00:00:00Z',
    '1970-01-01T00:00:00+23:59',
    '2026-02-30T23:59:59Z',
    '9999-12-31T23:59:59.999999999-23:59',
  ])('takes %s, as its document says: before 1970 there is nothing, and that is no fault', async (time) => {
    const asked: unknown[] = []
    const readAudit = async (question: { readonly filter: { readonly since?: number } }) => {
      asked.push(question.filter.since)
      return { records: [], isComplete: true }
    }
    const query = new URLSearchParams({ since: time, until: time })
    const answer = await call(createFakeHttpLayer({ readAudit }), `GET /v1/admin/audit?${query.toString()}`, {
      as: 'auditor',
    })
    expect([answer.status, asked]).toEqual([200, [Math.max(0, Math.floor(Date.parse(time) / 1000))]])
  })

  it.each(['0000-00-01T00:00:00Z', '2026-13-01T00:00:00Z', '2026-01-01T24:00:00Z', '2026-01-01T00:00:60Z'])(
    'refuses since=%s, as its document says',
    async (time) => {
      const answer = await call(createFakeHttpLayer(), `GET /v1/admin/audit?since=${time}`, { as: 'auditor' })
      expect(answer.status).toBe(400)
    },
  )

  it('a place goes on in the same query, and is refused in another one', async () => {
    const places: unknown[] = []
    const fake = createFakeHttpLayer({
      readAudit: async ({ before }) => {
        places.push(before)
        return { records: [], place: '001800000000-abc', isComplete: true }
      },
    })
    const get = async (query: string) => call(fake, `GET /v1/admin/audit?${query}`, { as: 'auditor' })
    const { next_after: after } = (await (await get('caller=billing')).json()) as { next_after: string }
    const same = await get(`caller=billing&limit=5&after=${after}`)
    const other = await get(`caller=exporter&after=${after}`)
    expect([same.status, other.status]).toEqual([200, 400])
    expect(places).toEqual([undefined, '001800000000-abc'])
  })

  it('T23: auditors, operators and admins read it and explanations by request id; viewers neither, by no cookie', async () => {
    const asked = async (as: string, line: string, body?: object) =>
      (await call(createFakeHttpLayer(), line, { as, body })).status
    for (const [role, status] of [
      ['viewer', 403],
      ['auditor', 200],
      ['operator', 200],
      ['admin', 200],
    ] as const) {
      expect([role, await asked(role, 'GET /v1/admin/audit')]).toEqual([role, status])
      expect([role, await asked(role, 'POST /v1/admin/policy:explain', { request_id: 'r' })]).toEqual([
        role,
        status,
      ])
    }
    const question = { issuer: 'a', claims: { sub: 's' }, credential: 'k' }
    expect(await asked('viewer', 'POST /v1/admin/policy:explain', question)).toBe(200)
    expect(await asked('auditor', 'POST /v1/admin/policy:explain', question)).toBe(403)
    expect(await asked('auditor', 'GET /v1/admin/whoami')).toBe(200)
    for (const line of ['GET /v1/admin/credentials', 'GET /v1/admin/policy', 'GET /v1/admin/service'])
      expect(await asked('auditor', line)).toBe(403)
    const byCookie = await createFakeHttpLayer().app.request('/v1/admin/audit', {
      headers: { cookie: '__Host-downscope_session=admin' },
    })
    expect(byCookie.status).toBe(401)
  })
})
