import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { answerMetadata, type Answer, type AnswerDeps } from './answers.ts'
import { judgeRequest } from './judge-request.ts'
import { readMetadataRequest } from './metadata.ts'
import type { IsOwnPeer } from './peer-user.ts'

export interface ServerDeps extends AnswerDeps {
  /** Of the Host header, in lower case; filled in once the port is known. */
  readonly hosts: ReadonlySet<string>
  /** Absent: whoever reaches the socket may ask. */
  readonly isOwnPeer?: IsOwnPeer | undefined
  readonly log: (line: string) => void
}

/** What the real one says of itself (WIRE §4.3). Tokens are never kept by anybody on the way. */
const commonHeaders = {
  'Metadata-Flavor': 'Google',
  Server: 'Metadata Server for VM',
  'X-XSS-Protection': '0',
  'X-Frame-Options': 'SAMEORIGIN',
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-store',
} as const

const connectionsMax = 1_024

/** The metadata server, which knows no HTTP/1.0, no request of more than 8 KiB and nobody who takes more than 5 s to ask. */
export function createAgentServer(deps: ServerDeps): Server {
  const own = new WeakMap<Socket, Promise<boolean | undefined>>()
  const server = createServer(
    {
      maxHeaderSize: 8_192,
      headersTimeout: 5_000,
      requestTimeout: 5_000,
      connectionsCheckingInterval: 1_000,
      keepAliveTimeout: 30_000,
    },
    (request, response) => {
      void respond(request, response)
    },
  )
  server.maxConnections = connectionsMax
  server.on('connection', (socket: Socket) => {
    if (deps.isOwnPeer !== undefined) own.set(socket, deps.isOwnPeer(socket))
  })
  // Nothing is continued and nothing upgraded here.
  server.on('checkContinue', (_request, response: ServerResponse) => {
    response.writeHead(400, { connection: 'close' }).end()
  })
  return server

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url: target = '', httpVersion, rawHeaders, socket } = request
    try {
      const judged = judgeRequest({ method, target, httpVersion, rawHeaders }, deps.hosts)
      if (!judged.ok) {
        refuse(response, judged.status, judged.reason)
        return
      }
      if ((await own.get(socket)) === false) {
        refuse(response, 403, 'another user of this machine is served only with --any-user')
        return
      }
      const answer = await answerMetadata(readMetadataRequest(judged.path, judged.query, deps.place), deps)
      send(response, answer, method === 'HEAD')
    } catch (error) {
      deps.log(`a bug in the agent: ${error instanceof Error ? (error.stack ?? error.message) : 'unknown'}`)
      response.destroy()
    }
  }

  /** Without the flavour: who was refused learns nothing of what listens here, and the connection ends. */
  function refuse(response: ServerResponse, status: number, reason: string): void {
    deps.log(`refused a request: ${reason}`)
    const text = `${reason}\n`
    response.writeHead(status, {
      'content-type': 'text/plain',
      'cache-control': 'no-store',
      connection: 'close',
    })
    response.end(text)
  }
}

function send(response: ServerResponse, { status, type, text, headers }: Answer, isHead: boolean): void {
  response.writeHead(status, {
    ...commonHeaders,
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(text),
    ...headers,
  })
  response.end(isHead ? undefined : text)
}
