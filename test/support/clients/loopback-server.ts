import type { Server } from 'node:http'
import { listenOnLoopback } from '../listen.ts'

export interface LoopbackServer {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  /** Breaks every connection and stops. */
  readonly close: () => Promise<void>
}

/** Makes a server listen on a free port of 127.0.0.1. */
export async function serveOnLoopback(server: Server): Promise<LoopbackServer> {
  const port = await listenOnLoopback(server)
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
