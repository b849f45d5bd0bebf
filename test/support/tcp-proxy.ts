import { connect, createServer, type Socket } from 'node:net'
import { listenOnLoopback } from './listen.ts'

export interface TcpProxy {
  /** `127.0.0.1:PORT` */
  readonly host: string
  /** From now on what the server says is lost, on the connections open now. */
  readonly swallowAnswers: () => void
  /** From now on what the client says is lost, on the connections open now. */
  readonly swallowRequests: () => void
  /** Breaks the connections open now; new ones work. */
  readonly cut: () => void
  readonly stop: () => Promise<void>
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
}

export interface TcpProxyOptions {
  /** How late everything comes that the server says. */
  readonly answersAfterMs?: number
  /** Is made for each connection, and shown what its client says. */
  readonly watch?: () => (octets: Buffer) => void
}

/** Stands between a client and a loopback server, and loses or delays what it is told to. */
export async function startTcpProxy(
  target: string,
  { answersAfterMs, watch = () => () => {} }: TcpProxyOptions = {},
): Promise<TcpProxy> {
  const [host, targetPort] = target.split(':')
  const pairs = new Set<Pair>()
  const listener = createServer({ noDelay: true }, (client) => {
    const server = connect({ host: host ?? '', port: Number(targetPort), noDelay: true })
    const pair = { client, server }
    pairs.add(pair)
    client.on('error', () => {}).once('close', () => server.destroy())
    server.on('error', () => {}).once('close', () => client.destroy())
    client.once('close', () => pairs.delete(pair))
    const show = watch()
    client.on('data', (chunk: Buffer) => {
      show(chunk)
      server.write(chunk)
    })
    server.on('data', (chunk) => {
      if (answersAfterMs === undefined) client.write(chunk)
      else setTimeout(() => client.write(chunk), answersAfterMs)
    })
  })
  const port = await listenOnLoopback(listener)

  const cut = (): void => {
    for (const { client } of pairs) client.destroy()
  }
  const swallow = (side: keyof Pair): void => {
    for (const pair of pairs) pair[side].removeAllListeners('data').resume()
  }
  return {
    host: `127.0.0.1:${port}`,
    swallowAnswers: () => swallow('server'),
    swallowRequests: () => swallow('client'),
    cut,
    stop: async () => {
      cut()
      await new Promise((resolve) => listener.close(resolve))
    },
  }
}
