import { describe, expect, it } from 'vitest'
import { BrokerError } from '../../src/domain/broker-error.ts'
import type { Introspection } from '../../src/domain/token.ts'
import { epochSeconds } from '../../src/domain/time.ts'
import { createFakeHttpLayer } from '../support/http-layer.ts'

const active: Introspection = {
  isActive: true,
  username: 'reports@acme.iam.gserviceaccount.com',
  scopes: ['a', 'b'],
  issuedAt: epochSeconds(1_800_000_000),
  expiresAt: epochSeconds(1_800_003_600),
}

function createWorld(introspection: Introspection = active) {
  const asked: string[] = []
  const { app } = createFakeHttpLayer({
    introspect: async (read) => {
      asked.push(read().reveal())
      return introspection
    },
  })
  const post = async (body: string, headers: Readonly<Record<string, string>> = {}) =>
    app.request('/v1/introspect', {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body,
    })
  return { asked, post }
}

describe('introspection (RFC 7662)', () => {
  it('tells what an active token is, as gcloud needs it, and nothing of who got it', async () => {
    const { post, asked } = createWorld()
    const answer = await post('token=ya29.x&token_type_hint=access_token')
    expect(answer.status).toBe(200)
    expect(await answer.json()).toEqual({
      active: true,
      username: 'reports@acme.iam.gserviceaccount.com',
      scope: 'a b',
      token_type: 'Bearer',
      iat: 1_800_000_000,
      exp: 1_800_003_600,
    })
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(asked).toEqual(['ya29.x'])
  })

  it('P13: an ID token, which carries no scope, is not called a Bearer token', async () => {
    const { post } = createWorld({ ...active, scopes: [] })
    const answer = await post('token=eyJ')
    expect(await answer.json()).toEqual({
      active: true,
      username: 'reports@acme.iam.gserviceaccount.com',
      token_type: 'N_A',
      iat: 1_800_000_000,
      exp: 1_800_003_600,
    })
  })

  it('says nothing else of a token that is not active', async () => {
    const { post } = createWorld({ isActive: false })
    expect(await (await post('token=ya29.x')).text()).toBe('{"active":false}')
  })

  it('an Authorization header means nothing: gcloud sends its own public client', async () => {
    const { post } = createWorld()
    expect((await post('token=ya29.x', { authorization: 'Basic Z2Nsb3VkOng=' })).status).toBe(200)
  })

  it.each([
    ['no token', 'token_type_hint=access_token', {}],
    ['an empty token', 'token=', {}],
    ['two tokens', 'token=a&token=b', {}],
    ['a token longer than any', `token=${'x'.repeat(12_289)}`, {}],
    ['another content type', '{"token":"x"}', { 'content-type': 'application/json' }],
  ])('P10, P11: %s is invalid_request', async (_, body, headers) => {
    const { post, asked } = createWorld()
    const answer = await post(body, headers)
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ error: 'invalid_request' })
    expect(asked).toEqual([])
  })

  it('a token in the query string counts for nothing', async () => {
    const { app } = createFakeHttpLayer()
    const answer = await app.request('/v1/introspect?token=ya29.x', {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: '',
    })
    expect(answer.status).toBe(400)
  })

  it('P20: a store that cannot say is 503, and never "active"; the log has the reason by request id', async () => {
    const { app, lines } = createFakeHttpLayer({
      introspect: () => Promise.reject(new BrokerError('store_unavailable', { reason: 'down' })),
    })
    const answer = await app.request('/v1/introspect', {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'token=ya29.x',
    })
    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toMatch(/^[1-9]/)
    const requestId = answer.headers.get('x-request-id')
    const error: unknown = expect.objectContaining({ reason: 'down' })
    expect(lines).toMatchObject([{ level: 'warn', fields: { requestId, error } }])
  })
})
