import { existsSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { createNodeServer } from '../../src/adapters/system/node-server.ts'
import { listenOnLoopback } from '../support/listen.ts'
import { noteMeasure } from '../support/measures.ts'
import { send } from '../support/test-broker/ask.ts'
import { createTestWorld } from '../support/test-broker/test-world.ts'
import { until } from '../support/test-broker/until.ts'

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: broker\r\n\r\n`
const sockets: Socket[] = []

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
})

async function open(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port }).on('error', () => undefined)
  sockets.push(socket)
  await new Promise((resolve) => socket.once('connect', resolve))
  return socket
}

const isOpen = (socket: Socket): boolean => !socket.destroyed && socket.readyState === 'open'

test(
  'P24: pipelined requests whose answers nobody reads end their connections, and cost the process no memory',
  { timeout: 180_000 },
  async ({ onTestFinished }) => {
    const world = await createTestWorld()
    onTestFinished(() => world.close())
    // 571 KB of them took 600 MB; with this heap the process died after 286 KB.
    const broker = await world.yard.start({ ...world.settings([]), NODE_OPTIONS: '--max-old-space-size=64' })
    // What a first request costs is compiling.
    for (let times = 0; times < 20; times += 1) await send(`${broker.url}/openapi.json`, {})
    for (let attacker = 0; attacker < 8; attacker += 1) {
      const socket = await open(broker.port)
      socket.pause().write(get('/openapi.json').repeat(10_000))
      const ended = new Promise((resolve) => socket.once('close', resolve))
      socket.resume()
      await ended
    }

    expect(await send(`${broker.url}/healthz`, {})).toMatchObject({ status: 200 })
    expect(await send(`${broker.url}/openapi.json`, {})).toMatchObject({ status: 200 })
  },
)

test.skipIf(!existsSync('/proc/self/schedstat'))(
  'a body in 65,000 chunks costs at most 10 ms of CPU, as any request of a stranger does',
  { timeout: 180_000 },
  async ({ onTestFinished }) => {
    const world = await createTestWorld()
    onTestFinished(() => world.close())
    const broker = await world.yard.start(world.settings([]))
    const head =
      'POST /v1/token HTTP/1.1\r\nHost: broker\r\nContent-Type: application/x-www-form-urlencoded\r\n'
    const end = 'Connection: close\r\n\r\n'
    const bodies: Readonly<Record<string, string>> = {
      crumbs: `${head}Transfer-Encoding: chunked\r\n${end}${'1\r\na\r\n'.repeat(65_000)}0\r\n\r\n`,
      'small chunks': `${head}Transfer-Encoding: chunked\r\n${end}${`10\r\n${'a'.repeat(16)}\r\n`.repeat(4_000)}0\r\n\r\n`,
      'one that is too large': `${head}Content-Length: 2000000\r\n${end}${'a'.repeat(2_000_000)}`,
    }
    for (const [name, body] of Object.entries(bodies)) {
      let least = Infinity
      // The least of some: a busy machine makes one dearer than another, by caches that others use up.
      for (let times = 0; times < 40 && (times < 5 || least >= 10); times += 1) {
        const before = cpuMsOf(broker.pid)
        await exchange(broker.port, body)
        least = Math.min(least, cpuMsOf(broker.pid) - before)
      }
      noteMeasure('most CPU of one unauthenticated request, its connection included', least, 'ms')
      expect({ name, isCheap: least < 10 }).toEqual({ name, isCheap: true })
    }
  },
)

test('a few pipelined requests are answered in their order, as often as they come (positive control)', async ({
  onTestFinished,
}) => {
  const { port, close } = await serve(async (request) => new Response(new URL(request.url).pathname), 6)
  onTestFinished(close)
  const socket = await open(port)
  let text = ''
  socket.on('data', (chunk) => (text += String(chunk)))
  for (let times = 0; times < 3; times += 1) {
    text = ''
    socket.write(['/a', '/b', '/c', '/d'].map(get).join(''))
    await until('all are answered', () => text.endsWith('/d'))

    expect(text.match(/\/[a-d]$|\/[a-d](?=HTTP)/g)).toEqual(['/a', '/b', '/c', '/d'])
  }
})

test('an answer that nobody takes ends its connection', { timeout: 180_000 }, async ({ onTestFinished }) => {
  const { port, close, connections } = await serve(() => new Response(new Uint8Array(64 * 2 ** 20)))
  onTestFinished(close)
  const socket = await open(port)
  socket.pause().write(get('/'))
  await until('it is served', async () => (await connections()) === 1)
  await until('the server has ended it', async () => (await connections()) === 0, { ms: 40_000 })

  // Positive control: one that is taken slowly is taken whole.
  const slow = await open(port)
  let bytes = 0
  slow.on('data', (chunk: Uint8Array) => {
    bytes += chunk.length
    slow.pause()
    setTimeout(() => slow.resume(), 2)
  })
  slow.write(get('/'))
  await until('all of it is taken', () => bytes > 64 * 2 ** 20, { ms: 40_000 })
})

test('with few descriptors left the connection that is idle longest is closed, and no other', async ({
  onTestFinished,
}) => {
  const places = 12
  const { port, close } = await serve(async () => {
    await pause(300)
    return new Response('ok')
  }, places)
  onTestFinished(close)
  const busy = await open(port)
  let answer = ''
  busy.on('data', (chunk) => (answer += String(chunk)))
  busy.write(get('/'))
  const idle: Socket[] = []
  for (let n = 0; n < 40; n += 1) idle.push(await open(port))
  await until('the first are gone', () => idle.filter(isOpen).length < places)

  expect(idle.slice(0, 20).some(isOpen)).toBe(false)
  expect(idle.slice(-5).every(isOpen)).toBe(true)
  expect(await send(`http://127.0.0.1:${port}/`, {})).toMatchObject({ status: 200 })
  await until('the busy one is answered', () => answer.endsWith('ok'))
})

/** Of its first thread, which serves. */
function cpuMsOf(pid: number): number {
  const [nanoseconds] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')
  return Number(nanoseconds) / 1e6
}

/** Sends that and waits until the broker has hung up. */
async function exchange(port: number, request: string): Promise<void> {
  const socket = await open(port)
  socket.resume().write(request)
  await new Promise((resolve) => socket.once('close', resolve))
}

test('of a body that was refused no more than 1 MiB is read, however much comes', async ({
  onTestFinished,
}) => {
  let length = 0
  const { port, close } = await serve(() => new Response('too long', { status: 413 }))
  onTestFinished(close)
  const socket = await open(port)
  socket.resume()
  const ended = new Promise((resolve) => socket.once('close', resolve))
  const piece = Buffer.alloc(65_536)
  socket.write(`POST / HTTP/1.1\r\nHost: broker\r\nContent-Length: ${2 ** 40}\r\n\r\n`)
  const send = (): void => {
    while (!socket.destroyed && socket.write(piece)) length += piece.length
  }
  socket.on('drain', send)
  send()
  await ended

  // What the system holds of it on both sides counts too.
  expect(length).toBeLessThan(24 * 2 ** 20)
  expect(length).toBeGreaterThan(2 ** 20)
})

async function serve(handle: (request: Request) => Response | Promise<Response>, places?: number) {
  const server = createNodeServer(handle, places)
  const port = await listenOnLoopback(server)
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  const connections = (): Promise<number> =>
    new Promise((resolve) => server.getConnections((_, count) => resolve(count)))
  return { port, close, connections }
}
