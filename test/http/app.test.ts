import { describe, expect, it } from 'vitest'
import { issuer } from '../support/fake-modules.ts'
import { createFakeHttpLayer, post, tokenForm } from '../support/http-layer.ts'

describe('server metadata (RFC 8414)', () => {
  const place = '/.well-known/oauth-authorization-server'

  it('says what this server does and takes every URL from the configured issuer, never from Host', async () => {
    const { app } = createFakeHttpLayer()
    const answer = await app.request(`https://evil.example${place}`, {
      headers: { host: 'evil.example', 'x-forwarded-host': 'evil.example' },
    })
    expect(answer.status).toBe(200)
    const algorithms = 'RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519'.split(' ')
    expect(await answer.json()).toEqual({
      issuer,
      token_endpoint: `${issuer}/v1/token`,
      grant_types_supported: ['urn:ietf:params:oauth:grant-type:token-exchange', 'client_credentials'],
      token_endpoint_auth_methods_supported: ['private_key_jwt'],
      token_endpoint_auth_signing_alg_values_supported: algorithms,
      revocation_endpoint: 'https://tokens.acme.example/v1/revoke',
      revocation_endpoint_auth_methods_supported: ['private_key_jwt'],
      revocation_endpoint_auth_signing_alg_values_supported: algorithms,
      introspection_endpoint: 'https://tokens.acme.example/v1/introspect',
      response_types_supported: [],
    })
  })

  it('no symmetric algorithm and no `none` is offered', async () => {
    const { app } = createFakeHttpLayer()
    expect(await (await app.request(place)).text()).not.toMatch(/HS\d|none/)
  })

  it('an issuer with a path has its metadata where RFC 8414 §3.1 inserts it, and a token endpoint that answers', async () => {
    const { app } = createFakeHttpLayer({ issuer: 'https://acme.example/broker/' })
    const answer = await app.request(`${place}/broker`)
    expect(await answer.json()).toMatchObject({
      issuer: 'https://acme.example/broker/',
      token_endpoint: 'https://acme.example/broker/v1/token',
    })
    const token = await app.request('/broker/v1/token', {
      method: 'POST',
      body: tokenForm(),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    expect(token.status).toBe(200)
    expect((await post(app, tokenForm())).status).toBe(200)
    expect((await app.request('/other/v1/token', { method: 'POST' })).status).toBe(404)
  })
})

describe('health', () => {
  it('alive depends on nothing', async () => {
    const { app } = createFakeHttpLayer({ readiness: () => Promise.reject(new Error('all is down')) })
    const answer = await app.request('/healthz')
    expect([answer.status, await answer.text()]).toEqual([200, '{"status":"ok"}'])
  })

  it('ready is 200 when store, key ring and policy are', async () => {
    const { app } = createFakeHttpLayer()
    const answer = await app.request('/readyz')
    expect(answer.status).toBe(200)
    expect(await answer.json()).toEqual({ status: 'ok', store: 'ok', key_ring: 'ok', policy: 'ok' })
  })

  it.each(['store', 'keyRing', 'policy'] as const)('a fault of %s alone is 503', async (part) => {
    const ready = { store: 'ok', keyRing: 'ok', policy: 'ok', [part]: 'fault' } as const
    const { app } = createFakeHttpLayer({ readiness: async () => ready })
    const answer = await app.request('/readyz')
    expect(answer.status).toBe(503)
    expect(await answer.text()).toContain('"fault"')
  })

  it('P23: a readiness check that breaks tells nothing of why', async () => {
    const { app, lines } = createFakeHttpLayer({
      readiness: () => Promise.reject(new Error('db-7.internal refused ya29.x')),
    })
    const answer = await app.request('/readyz')
    expect([answer.status, await answer.text()]).toEqual([500, '{"error":"server_error"}'])
    expect(lines).toHaveLength(1)
    expect(JSON.stringify(lines)).not.toMatch(/internal|ya29/)
  })

  it('a readiness check that throws no Error is a bug like any other', async () => {
    // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- this is what is tested
    const { app } = createFakeHttpLayer({ readiness: () => Promise.reject('ya29.x') })
    const answer = await app.request('/readyz')
    expect([answer.status, await answer.text()]).toEqual([500, '{"error":"server_error"}'])
  })
})

describe('what no route takes', () => {
  it.each([
    '/',
    '/v1',
    '/v1/tokens',
    '/v1/token/',
    '/V1/token',
    '/v1/%2Ftoken/x',
    '/.well-known/openid-configuration',
  ])('P10: %s is 404 in the OAuth form', async (path) => {
    const { app } = createFakeHttpLayer()
    const answer = await app.request(path, { method: 'POST' })
    expect(answer.status).toBe(404)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('x-request-id')).not.toBeNull()
    expect(await answer.json()).toMatchObject({ error: 'invalid_request' })
  })

  it.each([
    ['GET', '/v1/token', 'POST, OPTIONS'],
    ['PUT', '/v1/token', 'POST, OPTIONS'],
    ['DELETE', '/v1/token', 'POST, OPTIONS'],
    ['PATCH', '/v1/token', 'POST, OPTIONS'],
    ['POST', '/healthz', 'GET, HEAD, OPTIONS'],
    ['POST', '/.well-known/oauth-authorization-server', 'GET, HEAD, OPTIONS'],
  ])('P10: %s %s is 405 with Allow: %s', async (method, path, allow) => {
    const { app } = createFakeHttpLayer()
    const answer = await app.request(path, { method })
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, allow])
    expect(await answer.json()).toMatchObject({ error: 'invalid_request' })
  })

  it('HEAD is GET without its body', async () => {
    const { app } = createFakeHttpLayer()
    const answer = await app.request('/healthz', { method: 'HEAD' })
    expect([answer.status, await answer.text()]).toEqual([200, ''])
    expect(answer.headers.get('x-request-id')).not.toBeNull()
    expect((await app.request('/v1/token', { method: 'HEAD' })).status).toBe(405)
  })

  it('OPTIONS names the methods and allows no other origin', async () => {
    const { app } = createFakeHttpLayer()
    const answer = await app.request('/v1/token', {
      method: 'OPTIONS',
      headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
    })
    expect([answer.status, answer.headers.get('allow')]).toEqual([204, 'POST, OPTIONS'])
    expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
    expect((await app.request('/nothing', { method: 'OPTIONS' })).status).toBe(404)
  })
})

describe('a path that has another spelling', () => {
  const spellings = [
    '/v1/%61dmin/credentials',
    '/v1/%74oken',
    '/v1/admin/credentials/reports%2Dsa:disable',
    '/v1/%7Eadmin',
    '/%76%31/token',
    '/v1//admin/credentials',
    '//v1/token',
    '/x/../v1/admin/credentials',
    '/v1/./token',
    '/v1/token/..',
    '/x/%2e%2e/v1/token',
    '/v1/%2E/token',
    '/v1/%zz',
    '/v1/token%',
    '/v1\\admin',
    'http://tokens.acme.example/v1/token',
    '*',
    '',
  ]

  it.each(spellings)('%s is 400, as node:http received it', async (target) => {
    const { app, records } = createFakeHttpLayer()
    const request = new Request('https://tokens.acme.example/v1/token', { method: 'POST' })
    const answer = await app.fetch(request, { incoming: { url: target } })
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ error: 'invalid_request' })
    expect(records).toEqual([])
  })

  it.each(['/v1/%61dmin/credentials', '/v1/%74oken', '/v1//admin/credentials', '/v1/%zz'])(
    '%s is 400 also where the runtime shows a URL alone',
    async (target) => {
      const { app, records } = createFakeHttpLayer()
      const answer = await app.request(`https://tokens.acme.example${target}`, { method: 'POST' })
      expect([answer.status, records]).toEqual([400, []])
    },
  )

  it.each([
    ['/v1/admin/credentials?name=%61%2e%2e//', 401],
    ['/v1/admin/credentials/reports-sa', 401],
    ['/v1/projects/-/serviceAccounts/reports-sa%40tokens.acme.example%3AgenerateAccessToken', 405],
    ['/nothing/', 404],
    ['/', 404],
  ])('%s is read as it is', async (target, status) => {
    const { app } = createFakeHttpLayer()
    const answer = await app.fetch(new Request(`https://tokens.acme.example${target}`), {
      incoming: { url: target },
    })
    expect(answer.status).toBe(status)
  })
})
