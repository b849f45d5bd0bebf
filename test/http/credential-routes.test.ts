import { describe, expect, it } from 'vitest'
import { call, collection, enrolment, unusedCredentials } from '../support/call-admin.ts'
import { issuer, summary } from '../support/fake-modules.ts'
import { createFakeHttpLayer } from '../support/http-layer.ts'

const one = {
  name: 'reports-sa',
  kind: 'service_account_key',
  upstream: 'google',
  state: 'enabled',
  version: '1',
  versions: [
    {
      id: '1',
      state: 'active',
      identity: 'reports@acme.iam.gserviceaccount.com',
      key_id: 'k1',
      created_at: '2023-11-14T22:13:20Z',
      changed_at: '2023-11-14T22:13:20Z',
    },
  ],
  identity: 'reports@acme.iam.gserviceaccount.com',
  key_id: 'k1',
  health: { status: 'healthy', since: '2027-01-15T08:00:00Z' },
  created_at: '2023-11-14T22:13:20Z',
  updated_at: '2027-01-15T08:00:00Z',
}

describe('credentials', () => {
  it('P23: a credential is shown without its secret, in snake_case, with RFC 3339 times', async () => {
    const leaky = { ...summary, secret: 'planted', privateKey: 'planted' }
    const fake = createFakeHttpLayer({
      credentials: { ...unusedCredentials(), read: async () => leaky, list: async () => [leaky] },
    })
    const answer = await call(fake, `GET ${collection}/reports-sa`, { as: 'viewer' })
    expect(await answer.json()).toEqual(one)
    const list = await call(fake, `GET ${collection}`, { as: 'viewer' })
    expect(await list.json()).toEqual({ credentials: [one] })
  })

  it('enrolment answers where the credential is, and shows what it may', async () => {
    const fake = createFakeHttpLayer()
    const answer = await call(fake, `POST ${collection}`, { as: 'admin', body: enrolment })
    expect(answer.headers.get('location')).toBe(`${issuer}${collection}/new-sa`)
    const text = await answer.text()
    expect(JSON.parse(text)).toEqual({ ...one, name: 'new-sa', scopes: ['read'] })
    expect(JSON.stringify([text, fake.records, fake.lines])).not.toContain('planted-key')
    expect(fake.records).toMatchObject([{ credential: 'new-sa', outcome: 'done' }])
  })

  it('enrolment hands on what was sent, unread', async () => {
    const seen: unknown[] = []
    const fake = createFakeHttpLayer({
      credentials: {
        ...unusedCredentials(),
        enrol: async (sent) => {
          seen.push(sent)
          return summary
        },
      },
    })
    const body = { ...enrolment, scopes: ['a'], upstream: { token_url: 'x' } }
    await call(fake, `POST ${collection}`, { as: 'admin', body })
    expect(seen).toEqual([body])
  })

  it.each([
    ['[]', 'the body is not a JSON object'],
    ['null', 'the body is not a JSON object'],
    ['{"name":"planted', 'the body is not a JSON object'],
    ['{"name":"planted","name":"other"}', 'the body has a duplicate member'],
    ['{"name":"a","secret":{},"planted":1}', 'the body may have'],
    ['{"secret":{}}', 'name is missing'],
    ['{"name":1,"secret":{}}', 'name is missing, or no string'],
    ['{"name":"../planted","secret":{}}', 'name must match'],
    ['{"name":"a"}', 'secret is missing'],
  ])('P23: the enrolment %s is refused without quoting it', async (body, detail) => {
    const fake = createFakeHttpLayer()
    const answer = await call(fake, `POST ${collection}`, { as: 'admin', body })
    expect(answer.status).toBe(400)
    const problem = await answer.text()
    expect(JSON.parse(problem)).toMatchObject({ code: 'request_malformed' })
    expect(problem).toContain(detail)
    expect(JSON.stringify([problem, fake.records])).not.toContain('planted')
    expect(fake.records).toHaveLength(1)
  })

  it('an enrolment of another Content-Type than JSON is refused', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp']) {
      const headers = { 'content-type': type }
      const answer = await call(createFakeHttpLayer(), `POST ${collection}`, {
        as: 'admin',
        body: enrolment,
        headers,
      })
      expect(answer.status).toBe(400)
    }
  })

  it('what is there already is a conflict, and what is not there is not found', async () => {
    const fake = createFakeHttpLayer()
    const again = { ...enrolment, name: 'reports-sa' }
    expect((await call(fake, `POST ${collection}`, { as: 'admin', body: again })).status).toBe(409)
    for (const line of [`GET ${collection}/x`, `DELETE ${collection}/x`, `POST ${collection}/x:disable`])
      expect((await call(fake, line, { as: 'admin' })).status).toBe(404)
    expect(fake.records).toMatchObject([
      { credential: 'reports-sa', error: 'already_exists' },
      { credential: 'x', error: 'not_found' },
      { credential: 'x', error: 'not_found' },
      { credential: 'x', error: 'not_found' },
    ])
  })

  it('a command applies to the credential it names, whatever signs its name has', async () => {
    const seen: string[] = []
    const disable = async (name: string) => {
      seen.push(name)
      return summary
    }
    const fake = createFakeHttpLayer({ credentials: { ...unusedCredentials(), disable } })
    for (const name of ['a', 'a.b_c@d-e', 'disable', 'x'.repeat(200)])
      expect((await call(fake, `POST ${collection}/${name}:disable`, { as: 'admin' })).status).toBe(200)
    expect(seen).toEqual(['a', 'a.b_c@d-e', 'disable', 'x'.repeat(200)])
  })
})

describe('pages', () => {
  const all = ['a', 'b', 'c'].map((name) => ({ ...summary, name }))
  const fake = () =>
    createFakeHttpLayer({
      credentials: {
        ...unusedCredentials(),
        list: async ({ after = '', limit }) => all.filter(({ name }) => name > after).slice(0, limit),
      },
    })

  it('pages are walked by next_after, and the last one has none', async () => {
    const read = async (query: string) =>
      (await call(fake(), `GET ${collection}${query}`, { as: 'viewer' })).json()
    expect(await read('?limit=2')).toMatchObject({
      credentials: [{ name: 'a' }, { name: 'b' }],
      next_after: 'b',
    })
    const last = await read('?limit=2&after=b')
    expect(last).toMatchObject({ credentials: [{ name: 'c' }] })
    expect(last).not.toHaveProperty('next_after')
    expect(await read('?limit=2&after=c')).toEqual({ credentials: [] })
  })

  it.each([
    '?limit=0',
    '?limit=-1',
    '?limit=501',
    '?limit=x',
    '?limit=1&limit=2',
    '?after=a%2Fb',
    '?after=a&after=b',
  ])('the page %s is malformed', async (query) => {
    expect((await call(fake(), `GET ${collection}${query}`, { as: 'viewer' })).status).toBe(400)
  })
})
