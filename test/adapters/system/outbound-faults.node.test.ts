import { createServer, type Server, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, test } from 'vitest'
import { createHttpClient } from '../../../src/adapters/system/fetch-http-client.ts'
import { createNodeHttpClient } from '../../../src/adapters/system/node-http-client.ts'
import type { HttpClient, HttpResult } from '../../../src/ports/http-client.ts'
import { listenOnLoopback } from '../../support/listen.ts'

const deadlineMs = 400
const head = 'HTTP/1.1 200 OK\r\n'
const body = 'Content-Length: 2\r\n\r\nok'

const faults: Readonly<Record<string, (socket: Socket) => void>> = {
  'an upgrade that nobody asked for': (socket) =>
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
  '101 without an upgrade': (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'),
  'a closed connection': (socket) => socket.destroy(),
  'a reset': (socket) => socket.resetAndDestroy(),
  'a half-closed connection': (socket) => socket.end(),
  'a half-closed connection within the head': (socket) => socket.end(`${head}Content-Le`),
  'a half-closed connection within the body': (socket) => socket.end(`${head}Content-Length: 9\r\n\r\nok`),
  'a half-closed connection within a chunk': (socket) =>
    socket.end(`${head}Transfer-Encoding: chunked\r\n\r\n9\r\nok`),
  'a storm of 1xx': (socket) => {
    const storm = setInterval(() => socket.write('HTTP/1.1 102 Processing\r\n\r\n'.repeat(100)), 5)
    socket.once('close', () => clearInterval(storm))
  },
  'a byte now and then': (socket) => {
    socket.write(`${head}Content-Length: 10000\r\n\r\n`)
    const drip = setInterval(() => socket.write('a'), 20)
    socket.once('close', () => clearInterval(drip))
  },
  silence: () => {},
  'a head and then silence': (socket) => socket.write(`${head}\r\n`),
  'what is no HTTP': (socket) => socket.write('\0\0\0hello'),
}

let server: Server | undefined
afterEach(() => void server?.close())

async function originOf(fault: (socket: Socket) => void): Promise<string> {
  server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    socket.once('data', () => fault(socket))
  })
  return `http://127.0.0.1:${await listenOnLoopback(server)}`
}

const post = (http: HttpClient, url: string, timeoutMs = deadlineMs): Promise<HttpResult> =>
  http({ method: 'POST', url, body: 'a=b', timeoutMs, maxBytes: 20_000 })

describe.each([
  ['fetch', createHttpClient()],
  ['node:http', createNodeHttpClient()],
])('the HTTP client by %s fails within its deadline, and never waits on, after', (_, http) => {
  test.each(Object.entries(faults))('%s', async (_name, fault) => {
    const result = await post(http, `${await originOf(fault)}/token`)

    const cause: unknown = expect.stringMatching(/^(?:network|timeout)$/)
    expect(result).toMatchObject({ kind: 'failure', cause })
    // The request went out: whoever sent it may not assume that nothing was done.
    expect(result).not.toHaveProperty('isUnsent')
  })

  test('and not after early hints and an answer (positive control)', async () => {
    const origin = await originOf((socket) => socket.write(`HTTP/1.1 103 Early Hints\r\n\r\n${head}${body}`))

    expect(await post(http, origin)).toMatchObject({ kind: 'answer', status: 200, body: 'ok' })
  })

  test('an answer that came while this process was paused is taken, though the deadline has passed', async () => {
    const upstream = new Worker(answersWhileWePause, { eval: true })
    const port = await new Promise<number>((resolve) => upstream.once('message', resolve))
    const gotIt = new Promise((resolve) => upstream.once('message', resolve))
    const asked = post(http, `http://127.0.0.1:${port}/token`, 300)
    await gotIt
    // Nothing runs meanwhile, as under SIGSTOP: the timer is due long before anybody looks at the socket.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500)

    expect(await asked).toMatchObject({ kind: 'answer', status: 200, body: 'ok' })
    await upstream.terminate()
  })
})

const answersWhileWePause = `
  const { createServer } = require('node:net')
  const { parentPort } = require('node:worker_threads')
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      parentPort.postMessage('asked')
      setTimeout(() => socket.write(${JSON.stringify(head + body)}), 200)
    })
  })
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
`

describe('what was never sent is known to be', () => {
  test('where nobody listens', async () => {
    const origin = await originOf(() => {})
    await new Promise((resolve) => server?.close(resolve))

    expect(await post(createNodeHttpClient(), origin)).toMatchObject({ kind: 'failure', isUnsent: true })
  })

  test('where TLS does not come about', async () => {
    const origin = await originOf((socket) => socket.write('no TLS'))

    expect(await post(createNodeHttpClient(), origin.replace('http:', 'https:'))).toMatchObject({
      kind: 'failure',
      isUnsent: true,
    })
  })
})
