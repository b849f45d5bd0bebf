import { describe, expect, it } from 'vitest'
import { BrokerError } from '../../src/domain/broker-error.ts'
import { seconds } from '../../src/domain/time.ts'
import { call } from '../support/call-admin.ts'
import { rewrapReport } from '../support/fake-modules.ts'
import { createFakeHttpLayer } from '../support/http-layer.ts'

const line = 'POST /v1/admin/keys:rewrap'

describe('POST keys:rewrap', () => {
  it('says what was done, which other keys are in use, and where to go on', async () => {
    const fake = createFakeHttpLayer()
    const answer = await call(fake, line, { as: 'admin' })

    expect(answer.status).toBe(200)
    expect(await answer.json()).toEqual({
      sealing_key: 'k2',
      rewrapped: 2,
      already: 1,
      passing: 1,
      failed: [{ key: 'credentials/reports-sa', reason: 'there is no key "k0"' }],
      still_in_use: [
        { key_id: 'k0', records: 1 },
        { key_id: 'k1', records: 1, until: '2027-01-15T09:00:00Z' },
      ],
      after: 'credentials/team-calendar',
    })
    expect(fake.records).toMatchObject([{ action: 'keys.rewrap', outcome: 'done' }])
  })

  it('at the end there is no place to go on', async () => {
    const { after: _, ...last } = rewrapReport
    const answer = await call(createFakeHttpLayer({ rewrapKeys: async () => last }), line, { as: 'admin' })

    expect(await answer.json()).not.toHaveProperty('after')
  })

  it('goes on where the query says, a hundred records at most unless it says otherwise', async () => {
    const asked: unknown[] = []
    const fake = createFakeHttpLayer({
      rewrapKeys: async (page) => {
        asked.push(page)
        return rewrapReport
      },
    })
    for (const query of ['', '?after=credentials/a', '?after=tokens%2Fb&limit=400&x=1'])
      await call(fake, `${line}${query}`, { as: 'admin' })

    expect(asked).toEqual([
      { limit: 100 },
      { limit: 100, after: 'credentials/a' },
      { limit: 400, after: 'tokens/b' },
    ])
  })

  it.each([
    '?limit=0',
    '?limit=401',
    '?after=reports-sa',
    '?after=audit/x',
    '?after=tokens/a&after=tokens/b',
  ])('the page %s is malformed', async (query) => {
    expect((await call(createFakeHttpLayer(), `${line}${query}`, { as: 'admin' })).status).toBe(400)
  })

  it.each(['viewer', 'operator'] as const)('a %s may not', async (as) => {
    expect((await call(createFakeHttpLayer(), line, { as })).status).toBe(403)
  })

  it('a key ring that cannot be reached is 503 with a wait', async () => {
    const error = new BrokerError('key_ring_unavailable', { reason: 'down', retryAfter: seconds(2) })
    const answer = await call(createFakeHttpLayer({ rewrapKeys: () => Promise.reject(error) }), line, {
      as: 'admin',
    })

    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toBe('2')
    expect(await answer.json()).toMatchObject({ code: 'key_ring_unavailable' })
  })
})
