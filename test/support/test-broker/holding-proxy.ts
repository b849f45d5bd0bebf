import { connect, createServer, type Socket } from 'node:net'
import { listenOnLoopback } from '../listen.ts'

/** Stands between a client and a loopback server, and can keep what the client says for later. */
export interface HoldingProxy {
  /** `127.0.0.1:PORT` */
  readonly host: string
  /** From now on what clients say stays here, in order. */
  readonly hold: () => void
  /** Says it all, late. */
  readonly release: () => void
  /** New connections go there. */
  readonly redirect: (target: string) => void
  readonly stop: () => Promise<void>
}

export async function startHoldingProxy(target: string): Promise<HoldingProxy> {
  let address = target
  const sockets = new Set<Socket>()
  let isHolding = false
  let held: (() => void)[] = []
  const listener = createServer({ noDelay: true }, (client) => {
    const [host = '', port] = address.split(':')
    const server = connect({ host, port: Number(port), noDelay: true })
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(one)
      one.on('error', () => {}).once('close', () => (isHolding ? undefined : other.destroy()))
    }
    server.pipe(client)
    client.on('data', (octets) => {
      if (isHolding) held.push(() => server.write(octets))
      else server.write(octets)
    })
  })
  return {
    host: `127.0.0.1:${await listenOnLoopback(listener)}`,
    hold: () => {
      isHolding = true
    },
    release: () => {
      isHolding = false
      for (const say of held) say()
      held = []
    },
    redirect: (other) => {
      address = other
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => listener.close(resolve))
    },
  }
}
