import { createSocket } from 'node:dgram'
import { lookup, promises as dns, Resolver } from 'node:dns'
import { createServer, get, type Server } from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import tls from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isLoopback } from './block-outbound.ts'
import { listenOnLoopback } from './listen.ts'

// 192.0.2.0/24 is TEST-NET-1 (RFC 5737): if the guard fails, nobody is called.
const outside = '192.0.2.1'

/** Everything here swallows its error: only the guard's own mark can fail the test. */
const waysOut: Readonly<Record<string, (host: string, port: number) => unknown>> = {
  fetch: (host, port) => fetch(`http://${host}:${port}/`).then((response) => response.text()),
  'node:http': (host, port) => settle(get({ host, port }).on('response', (response) => response.resume())),
  'node:https': (host, port) => settle(https.get({ host, port, rejectUnauthorized: false })),
  'node:http2': (host, port) => {
    const session = http2.connect(`http://${host}:${port}`)
    return settle(session).finally(() => session.destroy())
  },
  'net.connect': (host, port) => connectAndEnd(net.connect(port, host)),
  'new net.Socket().connect': (host, port) => connectAndEnd(new net.Socket().connect({ host, port })),
  'tls.connect': (host, port) => settle(tls.connect({ host, port, rejectUnauthorized: false })),
}

const waysToAskOrSend: Readonly<Record<string, (host: string) => unknown>> = {
  'dgram.send': (host) => {
    const socket = createSocket('udp4')
    return new Promise((resolve) => socket.send('x', 9, host, resolve)).finally(() => socket.close())
  },
  'dgram.connect': (host) => {
    const socket = createSocket('udp4')
    return new Promise<void>((resolve) => socket.connect(9, host, resolve)).finally(() => socket.close())
  },
  'dns.lookup': (host) => new Promise((resolve) => lookup(host, resolve)),
  'dns.promises.lookup': (host) => dns.lookup(host),
}

describe('an outbound attempt fails the test that made it, though the error was swallowed', () => {
  for (const [name, attempt] of Object.entries(waysOut)) {
    test.fails(name, () => swallow(() => attempt(outside, 80)))
  }
  for (const [name, attempt] of Object.entries(waysToAskOrSend)) {
    test.fails(name, () => swallow(() => attempt(outside)))
  }
  test.fails('a name instead of an address', () => swallow(() => fetch('http://metadata.example/')))
  test.fails('dns.Resolver', () =>
    swallow(() => new Promise((resolve) => new Resolver().resolve4('metadata.example', resolve))))
})

describe('the same on loopback passes', () => {
  let server: Server
  let port = 0

  beforeAll(async () => {
    server = createServer((_request, response) => response.end('here'))
    port = await listenOnLoopback(server)
  })
  afterAll(() => {
    server.closeAllConnections()
    server.close()
  })

  for (const [name, attempt] of Object.entries(waysOut)) {
    test(name, () => swallow(() => attempt('127.0.0.1', port)))
  }
  for (const [name, attempt] of Object.entries(waysToAskOrSend)) {
    test(name, () => swallow(() => attempt('127.0.0.1')))
  }
  test('bytes really arrive', async () => {
    const response = await fetch(`http://localhost:${port}/`)
    expect(await response.text()).toBe('here')
  })
})

describe('an attempt throws where it is made', () => {
  let caught: unknown

  test.fails('when code reaches out', async () => {
    caught = await fetch(`http://${outside}/`).catch((error: unknown) => error)
  })
  test('the code sees why', () => {
    expect(caught).toMatchObject({
      cause: { message: `a test may not leave this machine: connect to ${outside}` },
    })
  })
})

test.each([
  'localhost',
  'a.localhost',
  '127.0.0.1',
  '127.9.9.9',
  '::1',
  '[::1]',
  '::ffff:127.0.0.1',
  'LOCALHOST',
])('%s is this machine', (host) => expect(isLoopback(host)).toBe(true))

test.each([
  '127.0.0.1.example',
  'localhost.example',
  '0.0.0.0',
  '10.0.0.1',
  '::',
  '::ffff:10.0.0.1',
  '128.0.0.1',
])('%s is not this machine', (host) => expect(isLoopback(host)).toBe(false))

async function swallow(attempt: () => unknown): Promise<void> {
  try {
    await attempt()
  } catch {
    // What the code under test might do.
  }
}

/** Waits for any end of an emitter: an answer, an error, a close. */
async function settle(emitter: NodeJS.EventEmitter): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const event of ['response', 'connect', 'secureConnect', 'error', 'close']) {
      emitter.on(event, () => resolve())
    }
  })
}

async function connectAndEnd(socket: net.Socket): Promise<void> {
  await settle(socket)
  socket.destroy()
}
