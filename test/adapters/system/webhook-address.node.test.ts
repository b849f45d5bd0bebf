import type { lookup } from 'node:dns'
import { createServer } from 'node:http'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createNodeHttpClient } from '../../../src/adapters/system/node-http-client.ts'
import type { HttpRequest } from '../../../src/ports/http-client.ts'
import { listenOnLoopback } from '../../support/listen.ts'

let port = 0
let connections = 0
const server = createServer((_, response) => response.writeHead(200).end('ok')).on('connection', () => {
  connections += 1
})

beforeAll(async () => {
  port = await listenOnLoopback(server)
})
beforeEach(() => {
  connections = 0
})
afterAll(() => server.close())

/** A name server: `addresses` of any name, the next list at the next look-up. */
function resolving(...lists: readonly (readonly string[])[]): typeof lookup {
  let looks = 0
  const resolve = (_: string, __: unknown, done: (error: Error | null, found: unknown) => void): void => {
    const list = lists[Math.min(looks, lists.length - 1)] ?? []
    looks += 1
    done(
      null,
      list.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )
  }
  return resolve as typeof lookup
}

function webhook(host: string, mustBePublic = true): HttpRequest {
  const url = `http://${host}:${port}/path-secret?query-secret`
  return { method: 'POST', url, body: '{}', timeoutMs: 5_000, maxBytes: 100, webhook: { mustBePublic } }
}

const refused = {
  kind: 'failure',
  cause: 'network',
  detail: expect.stringMatching(/^POST [\w.:[\]]+: ADDRESS_NOT_PUBLIC$/) as unknown,
}

test.each([
  ['127.0.0.1'],
  ['::1'],
  ['10.1.2.3'],
  ['100.64.0.1'],
  ['169.254.169.254'],
  ['fd00::1'],
  ['::ffff:127.0.0.1'],
  ['64:ff9b::7f00:1'],
  ['8.8.8.8', '127.0.0.1'],
  [],
])('T34: a name that resolves to %s is not connected to', async (...addresses) => {
  const send = createNodeHttpClient(resolving(addresses))

  expect(await send(webhook('hooks.localhost'))).toMatchObject(refused)
  expect(connections).toBe(0)
})

test('T34: each connection judges the address it uses: a name may resolve to another one each time', async () => {
  const send = createNodeHttpClient(resolving(['8.8.8.8', '10.0.0.1'], ['127.0.0.1']))

  // The positive control: nothing else keeps it from being reached.
  expect(await send(webhook('localhost', false))).toMatchObject({ kind: 'answer', status: 200 })
  expect(await send(webhook('hooks.localhost'))).toMatchObject(refused)
  expect(await send(webhook('hooks.localhost'))).toMatchObject(refused)
  expect(connections).toBe(1)
})

test('T34: no connection that was opened for something else is used', async () => {
  const send = createNodeHttpClient(resolving(['127.0.0.1']))
  const { webhook: _, ...upstream } = webhook('localhost')

  expect(await send(upstream)).toMatchObject({ status: 200 })
  expect(await send(webhook('localhost'))).toMatchObject(refused)
  expect(connections).toBe(1)
})

test('T34: an address in the URL is judged too, and what this machine calls its own', async () => {
  const send = createNodeHttpClient()

  for (const host of ['127.0.0.1', '[::ffff:127.0.0.1]', 'localhost'])
    expect(await send(webhook(host))).toMatchObject(refused)
  expect(connections).toBe(0)
})

test('T33: what went wrong names the host, and nothing else of the URL', async () => {
  const send = createNodeHttpClient(resolving(['127.0.0.1']))
  const { detail } = { detail: '', ...(await send({ ...webhook('localhost', false), maxBytes: 1 })) }

  expect(detail).toBe(`POST localhost:${port}: more than 1 bytes`)
})
