import { createServer } from 'node:net'
import { listenOnLoopback } from './listen.ts'

/** A loopback port nobody listened on a moment ago. Prefer port 0 where the server can say what it got. */
export async function freePort(): Promise<number> {
  const server = createServer()
  const port = await listenOnLoopback(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}
