import { connect, createServer, type Socket } from 'node:net'
import { listenOnLoopback } from './listen.ts'

/** What a peer does on the level of TCP instead of answering. */
export type TcpFault = keyof typeof faults

export interface FaultProxy {
  /** `127.0.0.1:PORT` */
  readonly host: string
  readonly port: number
  /** From now on, on old connections and on new ones; without one everything passes. Old ones break at the change. */
  readonly fail: (fault?: TcpFault) => void
  /** How often somebody met the fault. */
  readonly met: () => number
  /** How many clients are connected now. */
  readonly connections: () => number
  readonly stop: () => Promise<void>
}

const everyMs = (socket: Socket, ms: number, say: () => void): void => {
  const timer = setInterval(say, ms)
  socket.once('close', () => clearInterval(timer))
}
const answer = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'

/** Each is done when the client has said something, but for the last, which waits for nothing. */
const faults = {
  '101 Switching Protocols': (socket: Socket) =>
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
  'a storm of 1xx': (socket: Socket) =>
    everyMs(socket, 20, () => socket.write('HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n'.repeat(50))),
  silence: () => undefined,
  'half-close': (socket: Socket) => socket.end(),
  'half-close within the body': (socket: Socket) =>
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n{"a'),
  reset: (socket: Socket) => socket.resetAndDestroy(),
  'one byte a second': (socket: Socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n')
    everyMs(socket, 1_000, () => socket.write(' '))
  },
  'a head without an end': (socket: Socket) => {
    socket.write('HTTP/1.1 200 OK\r\n')
    everyMs(socket, 100, () => socket.write(`X-More: ${'a'.repeat(100)}\r\n`))
  },
  'what is no HTTP': (socket: Socket) => socket.write(Buffer.from('\u0000\u0000hello\r\n\r\n')),
  'answers to nobody': (socket: Socket) => socket.write(answer.repeat(3)),
} as const

export const tcpFaults = Object.keys(faults) as readonly TcpFault[]

/** Stands between a client and a loopback server, and can stop being one on the level of TCP. */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const [host = '', targetPort] = target.split(':')
  const clients = new Set<Socket>()
  let failing: TcpFault | undefined
  let met = 0
  const listener = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
    clients.add(client)
    client.on('error', () => {}).once('close', () => clients.delete(client))
    if (failing === undefined) return pass(client, connect({ host, port: Number(targetPort), noDelay: true }))
    const fault = failing
    const play = (): void => {
      met += 1
      faults[fault](client)
    }
    if (fault === 'answers to nobody') play()
    else client.once('data', play)
    client.resume()
    // Who gives up is let go.
    client.once('end', () => client.end())
    return undefined
  })
  const port = await listenOnLoopback(listener)
  const cut = (): void => {
    for (const client of clients) client.destroy()
  }
  return {
    host: `127.0.0.1:${port}`,
    port,
    fail: (fault) => {
      failing = fault
      met = 0
      cut()
    },
    met: () => met,
    connections: () => clients.size,
    stop: async () => {
      cut()
      await new Promise((resolve) => listener.close(resolve))
    },
  }
}

function pass(client: Socket, server: Socket): void {
  client.once('close', () => server.destroy())
  server.on('error', () => client.destroy()).once('close', () => client.destroy())
  client.pipe(server).pipe(client)
}
