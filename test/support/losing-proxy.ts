import { createServer, type IncomingMessage } from 'node:http'
import { listenOnLoopback } from './listen.ts'

export interface LosingProxy {
  /** `127.0.0.1:PORT` */
  readonly host: string
  /** From now on this part of every commit is lost, and its connection breaks; other calls pass. */
  readonly lose: (part: 'request' | 'answer') => void
  /** How often a commit was lost. */
  readonly lost: () => number
  /** Called when a commit has been done and before its connection breaks. */
  readonly beforeBreaking: (work: () => Promise<unknown>) => void
  readonly stop: () => Promise<void>
}

/** Stands between a REST client and Firestore, and loses commits, on old connections and on new ones. */
export async function startLosingProxy(target: string): Promise<LosingProxy> {
  let losing: 'request' | 'answer' | undefined
  let lost = 0
  let work: () => Promise<unknown> = async () => {}
  const server = createServer((request, response) => {
    void (async () => {
      const { url = '/' } = request
      const body = await readAll(request)
      const isLost = losing !== undefined && url.endsWith(':commit')
      if (isLost) lost += 1
      if (isLost && losing === 'request') return void request.socket.destroy()
      const answer = await fetch(`http://${target}${url}`, { method: request.method ?? 'POST', body })
      const text = await answer.text()
      if (!isLost) return void response.writeHead(answer.status).end(text)
      await work()
      request.socket.destroy()
    })()
  })
  const port = await listenOnLoopback(server)
  return {
    host: `127.0.0.1:${port}`,
    lose: (part) => (losing = part),
    lost: () => lost,
    beforeBreaking: (next) => (work = next),
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function readAll(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) if (Buffer.isBuffer(chunk)) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
