import {
  Agent,
  createServer,
  request as connect,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http'
import { buffer } from 'node:stream/consumers'
import { serveOnLoopback, type LoopbackServer } from './loopback-server.ts'

/** One request as a client sent it. */
export interface HeardRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly form: URLSearchParams
}

/** The address that clients are given: it passes everything on to the broker unchanged and remembers what it heard. */
export interface RecordingProxy {
  readonly url: string
  readonly openTo: (broker: { readonly port: number }) => void
  /** From now on: the token requests, oldest first. */
  readonly listen: () => () => readonly HeardRequest[]
  readonly close: () => Promise<void>
}

export async function startRecordingProxy(): Promise<RecordingProxy> {
  const heard: HeardRequest[] = []
  const agent = new Agent({ keepAlive: true })
  let port: number | undefined
  const server: LoopbackServer = await serveOnLoopback(
    createServer((incoming, outgoing) => {
      void passOn(incoming).then(
        (answer) => {
          outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
          answer.pipe(outgoing)
        },
        () => outgoing.destroy(),
      )
    }),
  )

  async function passOn(incoming: IncomingMessage): Promise<IncomingMessage> {
    const body = await buffer(incoming)
    const { method = '', url: path = '', headers } = incoming
    heard.push({ method, path, headers, form: new URLSearchParams(body.toString()) })
    return new Promise((resolve, reject) => {
      connect({ host: '127.0.0.1', port, method, path, headers, agent }, resolve)
        .on('error', reject)
        .end(body)
    })
  }

  return {
    url: server.url,
    openTo: (broker) => {
      port = broker.port
    },
    listen: () => {
      const from = heard.length
      return () => heard.slice(from).filter(({ path }) => path === '/v1/token')
    },
    close: async () => {
      agent.destroy()
      await server.close()
    },
  }
}
