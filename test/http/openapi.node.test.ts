import { validate } from '@apidevtools/swagger-parser'
import { describe, expect, it } from 'vitest'
import packageFile from '../../package.json' with { type: 'json' }
import openApi from '../../src/http/openapi.json' with { type: 'json' }
import { storedNamePattern } from '../../src/http/route-schemas.ts'
import { adminRows } from '../support/admin-rows.ts'
import { call } from '../support/call-admin.ts'
import { issuer } from '../support/fake-modules.ts'
import { createFakeHttpLayer, post, tokenForm } from '../support/http-layer.ts'
import { judgeByOpenApi } from '../support/openapi-judge.ts'

const published = { kty: 'EC', kid: 'k', alg: 'ES256', crv: 'P-256', x: 'x', y: 'y' } as const

describe('the OpenAPI document', () => {
  it('is of the version that package.json has', () => {
    expect(openApi.info.version).toBe(packageFile.version)
  })

  it('is valid OpenAPI 3.1, and a document with a fault is not', async () => {
    const copy = (): object => structuredClone(openApi)
    await expect(validate(copy() as never)).resolves.toBeDefined()
    await expect(validate({ ...copy(), paths: { '/x': { get: {}, fetch: 1 } } } as never)).rejects.toThrow()
  })

  it('has every route of the broker, and no other', () => {
    const { app } = createFakeHttpLayer({ publishedKeys: [published] })
    // Pages for people are no part of the API.
    const routed = app.routes
      .filter(({ path }) => !/^\/(?:console|connect)(?:\/|$)/.test(path))
      .map(({ method, path }) => `${method} ${templateOf(path)}`)
    const documented = Object.entries(openApi.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    )
    const ofOneRoute = (line: string): string => line.replace(/(\{account\}):\w+$/, '$1')
    expect(new Set(routed)).toEqual(new Set(documented.map(ofOneRoute)))
    expect(documented.length).toBeGreaterThan(15)
  })

  it('is served with the address of this broker', async () => {
    const answer = await createFakeHttpLayer().app.request('/openapi.json')
    expect(await answer.json()).toEqual({ ...openApi, servers: [{ url: issuer }] })
  })
})

describe('an answer is as the document says', () => {
  const judged = async (line: string, answer: Response): Promise<readonly string[]> =>
    judgeByOpenApi({
      line,
      status: answer.status,
      contentType: answer.headers.get('content-type'),
      text: await answer.text(),
    })

  it.each(adminRows)('$line', async ({ line, needed, body, headers, status }) => {
    const done = await call(createFakeHttpLayer(), line, {
      as: needed === 'any' ? 'viewer' : needed,
      body,
      ...(headers === undefined ? {} : { headers }),
    })
    expect([done.status, await judged(line, done)]).toEqual([status, []])
    expect(await judged(line, await call(createFakeHttpLayer(), line, { body }))).toEqual([])
  })

  it.each([
    'GET /healthz',
    'GET /readyz',
    'GET /openapi.json',
    'GET /.well-known/jwks.json',
    'GET /.well-known/oauth-authorization-server',
    'GET /.well-known/openid-configuration',
  ])('%s', async (line) => {
    const { app } = createFakeHttpLayer({ publishedKeys: [published] })
    const answer = await app.request(line.slice(4))
    expect([answer.status, await judged(line, answer)]).toEqual([200, []])
  })

  it('of IAM Credentials, given and refused', async () => {
    const { app } = createFakeHttpLayer()
    const account = '/v1/projects/-/serviceAccounts/reports-sa@tokens.acme.example'
    const line = 'POST /v1/projects/-/serviceAccounts/{account}:generateAccessToken'
    const ask = (authorization: string) =>
      app.request(`${account}:generateAccessToken`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization },
        body: JSON.stringify({ scope: ['a'] }),
      })
    const given = await ask('Bearer a.b.c')
    expect([given.status, await judged(line, given)]).toEqual([200, []])
    const refused = await ask('Basic x')
    expect([refused.status, await judged(line, refused)]).toEqual([401, []])
    expect((await app.request(`${account}:signBlob`)).status).toBe(405)
  })

  it('of the token endpoint, given and refused', async () => {
    const line = 'POST /v1/token'
    expect(await judged(line, await post(createFakeHttpLayer().app, tokenForm()))).toEqual([])
    expect(await judged(line, await post(createFakeHttpLayer().app, ''))).toEqual([])
  })

  it('or is found not to be', async () => {
    const wrong = {
      line: 'GET /v1/admin/policy',
      status: 200,
      contentType: 'application/json',
      text: '{"revision":1}',
    }
    expect(judgeByOpenApi(wrong)).not.toEqual([])
    expect(judgeByOpenApi({ ...wrong, contentType: 'text/plain' })).toEqual([
      'text/plain is no type of this answer',
    ])
    expect(judgeByOpenApi({ ...wrong, line: 'GET /nothing' })).toEqual([
      'no path of the document matches /nothing',
    ])
  })
})

function templateOf(routed: string): string {
  return routed
    .replace(':account', '{account}')
    .replaceAll(`{${storedNamePattern}`, '{')
    .replaceAll(/:(\w+)\{(:\w+)?\}/g, '{$1}$2')
}

describe('what an operation can answer', () => {
  const paths: Readonly<Record<string, Readonly<Record<string, { readonly responses: object }>>>> =
    openApi.paths
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      line: `${method.toUpperCase()} ${path}`,
      statuses: Object.keys(operation.responses),
    })),
  )

  it('is documented by number, and by nothing else', () => {
    expect(operations.length).toBeGreaterThan(30)
    for (const { line, statuses } of operations)
      expect([line, statuses.filter((status) => !/^[2-5]\d\d$/.test(status))]).toEqual([line, []])
  })

  it('names who is not let in and what is not there', () => {
    for (const { line, statuses } of operations.filter((one) => one.line.includes('/v1/admin/')))
      expect([line, statuses]).toEqual([
        line,
        expect.arrayContaining(['400', '401', '403', '429', '500', '503']),
      ])
  })
})
