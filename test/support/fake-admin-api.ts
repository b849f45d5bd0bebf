import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { claimsOf } from '../../src/domain/json.ts'
import { jsonMembers } from './json-members.ts'
import { listenOnLoopback } from './listen.ts'

/** One answer to one request; the next one to the same line is the next in the list, and the last stays. */
export interface FakeAnswer {
  readonly status?: number
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
}

export interface FakeAdminApi {
  readonly url: string
  /** What was asked so far: `POST /v1/admin/service:stop`. */
  readonly asked: readonly string[]
  readonly bodies: readonly unknown[]
  /** Whom the JWT of each was made out to. */
  readonly audiences: readonly unknown[]
  /** The `If-Match` of each. */
  readonly preconditions: readonly unknown[]
  readonly close: () => Promise<void>
}

/**
 * The admin API where a real broker cannot be made to answer so: it refuses what a broker refuses (no bearer token,
 * JSON that is none), and answers 501 to what it was not told.
 */
export async function startFakeAdminApi(
  answers: Readonly<Record<string, readonly FakeAnswer[]>>,
): Promise<FakeAdminApi> {
  const asked: string[] = []
  const bodies: unknown[] = []
  const audiences: unknown[] = []
  const preconditions: unknown[] = []
  const server = createServer((request, response) => {
    void answer(request, response)
  })
  const url = `http://127.0.0.1:${await listenOnLoopback(server)}`

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    for await (const chunk of request) text += String(chunk)
    const line = `${request.method} ${request.url}`
    if (request.url === '/.well-known/oauth-authorization-server') {
      send(response, { body: { issuer: url } })
      return
    }
    const { authorization = '' } = request.headers
    if (!/^Bearer eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(authorization)) {
      send(response, { status: 401, body: problem(401, 'admin_unauthenticated', 'a bearer token is needed') })
      return
    }
    asked.push(line)
    audiences.push(claimsOf(authorization.slice('Bearer '.length))?.['aud'])
    preconditions.push(request.headers['if-match'])
    bodies.push(text === '' ? undefined : jsonMembers(text))
    const known = answers[line]
    const count = asked.filter((other) => other === line).length
    send(
      response,
      known?.[Math.min(count, known.length) - 1] ?? { status: 501, body: problem(501, 'unknown', line) },
    )
  }

  return {
    url,
    asked,
    bodies,
    audiences,
    preconditions,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

/** RFC 9457. */
export function problem(status: number, code: string, detail: string): object {
  return { type: 'about:blank', title: 'Problem', status, code, detail }
}

function send(response: ServerResponse, { status = 200, body, headers = {} }: FakeAnswer): void {
  const type = status < 400 ? 'application/json' : 'application/problem+json'
  response.writeHead(status, {
    'content-type': type,
    'x-request-id': 'request-1',
    connection: 'close',
    ...headers,
  })
  response.end(body === undefined ? undefined : JSON.stringify(body))
}
