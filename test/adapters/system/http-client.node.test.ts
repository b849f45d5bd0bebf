import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createHttpClient } from '../../../src/adapters/system/fetch-http-client.ts'
import { createNodeHttpClient } from '../../../src/adapters/system/node-http-client.ts'
import type { HttpRequest, HttpResult } from '../../../src/ports/http-client.ts'
import { listenOnLoopback } from '../../support/listen.ts'

const secret = 'hunter2'
/** 64 MiB of nothing in 64 KiB. */
const bomb = gzipSync(Buffer.alloc(64 * 2 ** 20))
const received: {
  readonly method: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}[] = []
/** Resolves when the connection of a route is gone. */
const dropped = new Map<string, Promise<unknown>>()
let origin = ''

const packed: Readonly<Record<string, Buffer>> = {
  br: brotliCompressSync(secret),
  deflate: deflateSync(secret),
  gzip: gzipSync(secret),
  'x-gzip': gzipSync(secret),
  'deflate, GZIP': gzipSync(deflateSync(secret)),
}

const routes: Readonly<Record<string, (response: ServerResponse) => void>> = {
  ...Object.fromEntries(
    Object.entries(packed).map(([encoding, octets]) => [
      `/packed/${encodeURIComponent(encoding)}`,
      (response: ServerResponse) => response.writeHead(200, { 'content-encoding': encoding }).end(octets),
    ]),
  ),
  '/packed/otherwise': (response) => response.writeHead(200, { 'content-encoding': 'compress' }).end(secret),
  '/ok': (response) => response.writeHead(200, { 'X-Mixed-Case': 'kept' }).end('{"ok":"ключ"}'),
  '/refused': (response) => response.writeHead(400).end('{"error":"invalid_grant"}'),
  '/empty': (response) => response.writeHead(204).end(),
  '/redirect': (response) => response.writeHead(302, { location: '/ok' }).end(),
  '/redirect-307': (response) => response.writeHead(307, { location: `${origin}/ok?${secret}` }).end(),
  '/silent': () => {},
  '/dripping': (response) => {
    const drip = setInterval(() => response.write(' '), 5)
    response.writeHead(200).once('close', () => clearInterval(drip))
  },
  '/endless': (response) => {
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
    }
    response.writeHead(200).on('drain', more)
    more()
  },
  '/bomb': (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
  '/nested-bomb': (response) =>
    response.writeHead(200, { 'content-encoding': 'gzip, gzip' }).end(gzipSync(bomb)),
  '/exactly-1000': (response) => response.writeHead(200).end('x'.repeat(1000)),
  '/reset': (response) => response.destroy(),
  '/cut': (response) => {
    response.writeHead(200, { 'content-length': '100' }).write('half')
    setImmediate(() => response.destroy())
  },
  '/broken-gzip': (response) =>
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(`no gzip ${secret}`),
  '/broken-utf8': (response) => response.writeHead(200).end(Buffer.from([0x61, 0xff, 0x62])),
}

const server = createServer((request, response) => {
  const path = (request.url ?? '').split('?')[0] ?? ''
  dropped.set(path, new Promise((resolve) => request.socket.once('close', resolve)))
  let body = ''
  request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
  request.once('end', () => {
    received.push({ method: request.method ?? '', headers: request.headers, body })
    const route = routes[path]
    if (route === undefined) response.writeHead(501).end()
    else route(response)
  })
})

beforeAll(async () => {
  origin = `http://127.0.0.1:${await listenOnLoopback(server)}`
})

afterAll(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

test('P20: an answer in an encoding that nobody knows is none', async () => {
  expect(await createNodeHttpClient()(request('/packed/otherwise'))).toMatchObject({
    kind: 'failure',
    cause: 'network',
  })
})

describe.each([
  ['fetch', createHttpClient()],
  ['node:http', createNodeHttpClient()],
])('the HTTP client by %s', (_, http) => {
  const call = (path: string, change: Partial<HttpRequest> = {}): Promise<HttpResult> =>
    http({ ...request(path), ...change })

  test('sends what it is told and answers with status, headers and text', async () => {
    const answer = await call('/ok?a=b', {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/x-www-form-urlencoded' },
      body: 'a=b&c=%C3%A9',
    })

    expect(answer).toMatchObject({ kind: 'answer', status: 200, body: '{"ok":"ключ"}' })
    expect(answer.kind === 'answer' && answer.header('x-mixed-case')).toBe('kept')
    expect(answer.kind === 'answer' && answer.header('x-absent')).toBeUndefined()
    expect(received.at(-1)).toMatchObject({
      method: 'POST',
      body: 'a=b&c=%C3%A9',
      headers: { authorization: `Bearer ${secret}`, 'accept-encoding': 'identity' },
    })
  })

  test('a refusal is an answer, and so is one without a body', async () => {
    expect(await call('/refused')).toMatchObject({
      kind: 'answer',
      status: 400,
      body: '{"error":"invalid_grant"}',
    })
    expect(await call('/empty', { method: 'DELETE' })).toMatchObject({
      kind: 'answer',
      status: 204,
      body: '',
    })
    expect(await call('/broken-utf8')).toMatchObject({ kind: 'answer', body: 'a\uFFFDb' })
  })

  test('a connection is used again after a whole answer', async () => {
    await call('/ok')
    await call('/ok')
    const first = dropped.get('/ok')
    await call('/ok')

    const state = await Promise.race([first?.then(() => 'gone'), Promise.resolve('kept')])
    expect(state).toBe('kept')
  })

  test('P29: a redirect is not followed', async () => {
    const before = received.length

    expect(await call('/redirect')).toMatchObject({ kind: 'failure', cause: 'redirect' })
    const moved = await call('/redirect-307', { method: 'POST', body: 'a=b' })

    expect(moved).toEqual({
      kind: 'failure',
      cause: 'redirect',
      detail: `POST ${origin}/redirect-307: answered with redirect 307`,
    })
    expect(received).toHaveLength(before + 2)
  })

  test.each(['/silent', '/dripping'])(
    'the deadline covers the whole exchange, body included: %s',
    async (path) => {
      const result = await call(path, { timeoutMs: 60 })

      expect(result).toEqual({
        kind: 'failure',
        cause: 'timeout',
        detail: `GET ${origin}${path}: no whole answer within 60 ms`,
      })
      await dropped.get(path)
    },
  )

  test('P24: a body beyond its cap is a failure, and its connection is dropped', async () => {
    const result = await call('/endless', { maxBytes: 100_000 })

    expect(result).toMatchObject({ kind: 'failure', cause: 'too_large' })
    await dropped.get('/endless')
  })

  test.each(['/bomb', '/nested-bomb'])(
    'P24: the cap counts what a compressed body becomes: %s',
    async (path) => {
      expect(await call(path, { maxBytes: 100_000 })).toMatchObject({ kind: 'failure', cause: 'too_large' })
      await dropped.get(path)
    },
  )

  test('a body of exactly the cap is an answer, one octet less is too little', async () => {
    expect(await call('/exactly-1000', { maxBytes: 1000 })).toMatchObject({ kind: 'answer', status: 200 })
    expect(await call('/exactly-1000', { maxBytes: 999 })).toMatchObject({
      kind: 'failure',
      cause: 'too_large',
    })
  })

  test.each(Object.keys(packed))(
    'an answer that was compressed all the same is read: %s',
    async (encoding) => {
      expect(await call(`/packed/${encodeURIComponent(encoding)}`)).toMatchObject({ body: secret })
    },
  )

  test.each(['/reset', '/cut', '/broken-gzip'])('half an answer is no answer: %s', async (path) => {
    expect(await call(path)).toMatchObject({ kind: 'failure', cause: 'network' })
  })

  test('nobody there is a failure that says why', async () => {
    const gone = createServer()
    const port = await listenOnLoopback(gone)
    await new Promise((resolve) => gone.close(resolve))

    const result = await http({ ...request('/'), url: `http://127.0.0.1:${port}/token?key=${secret}` })

    expect(result).toMatchObject({
      kind: 'failure',
      cause: 'network',
      detail: `GET http://127.0.0.1:${port}/token: ECONNREFUSED`,
    })
  })

  test.each(['', 'no url', '/relative', 'file:///etc/passwd', 'data:text/plain,hello', 'http://'])(
    'what is no http or https URL is a failure: %j',
    async (url) => {
      expect(await http({ ...request('/'), url })).toMatchObject({ kind: 'failure', cause: 'network' })
    },
  )

  test('P23: no detail holds a query, a password, a header or a body', async () => {
    const requests: readonly Partial<HttpRequest>[] = [
      { url: `${origin}/silent?token=${secret}`, timeoutMs: 20 },
      { url: `${origin}/redirect-307?${secret}#${secret}` },
      { url: `${origin}/endless?${secret}` },
      { url: `${origin}/broken-gzip` },
      { url: `http://user:${secret}@127.0.0.1:1/` },
      { url: `${origin}/ok`, headers: { authorization: `${secret}\nx` } },
      { url: `${origin}/ok`, headers: { [`bad ${secret}`]: 'x' } },
      { url: `${origin}/ok`, body: secret },
      { url: `no ${secret}` },
    ]
    for (const change of requests) {
      const result = await http({ ...request('/'), ...change })

      if (result.kind !== 'failure') expect.soft(change).toBe('a failure')
      else expect(result.detail).not.toContain(secret)
    }
  })
})

function request(path: string): HttpRequest {
  return { method: 'GET', url: `${origin}${path}`, timeoutMs: 5000, maxBytes: 10_000 }
}
