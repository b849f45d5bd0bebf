import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { listenOnLoopback } from './listen.ts'

type Members = Readonly<Record<string, unknown>>

export interface ScriptedServer {
  readonly issuer: string
  /** What the token endpoint answers from now on, beside what every answer has. */
  reply(members: Members): void
  /** What it answers to the next requests, one each. */
  replies(...members: readonly Members[]): void
  /** What the introspection endpoint answers from now on. */
  introspects(members: Members): void
  /** The forms that came to that path. */
  requests(path: string): readonly Readonly<Record<string, string>>[]
  keysStatus: number
  /** So many requests to the token endpoint are cut off without an answer. */
  drops: number
  /** Refuses every refresh with this OAuth error. */
  refuse: string | undefined
  /** Answers the token endpoint with a login page and status 200. */
  html: boolean
  close(): Promise<void>
}

/** An authorization server on this machine that says what it is told to say; another path answers 501. */
export async function startScriptedServer(keys: readonly unknown[]): Promise<ScriptedServer> {
  const forms: { readonly path: string; readonly form: Readonly<Record<string, string>> }[] = []
  let replied: Members = {}
  let next: Members[] = []
  let introspected: Members = { active: false }

  const server = createServer((request, response) => void answer(request, response))
  const port = await listenOnLoopback(server)
  const issuer = `http://127.0.0.1:${port}`
  const metadata = {
    issuer,
    token_endpoint: `${issuer}/token`,
    introspection_endpoint: `${issuer}/introspect`,
    jwks_uri: `${issuer}/keys`,
  }
  const script: ScriptedServer = {
    issuer,
    reply: (members) => {
      replied = members
    },
    replies: (...members) => {
      next = [...members]
    },
    introspects: (members) => {
      introspected = members
    },
    requests: (path) => forms.filter((one) => one.path === path).map(({ form }) => form),
    keysStatus: 200,
    drops: 0,
    refuse: undefined,
    html: false,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return script

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const path = request.url ?? ''
    forms.push({ path, form: Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString())) })
    if (path === '/token') token(request, response)
    else if (path === '/introspect') json(response, 200, introspected)
    else if (path === '/keys') json(response, script.keysStatus, { keys })
    else if (path === '/.well-known/oauth-authorization-server') json(response, 200, metadata)
    else json(response, 501, { error: 'no such path' })
  }

  function token(request: IncomingMessage, response: ServerResponse): void {
    if (script.drops > 0) {
      script.drops -= 1
      request.socket.destroy()
      return
    }
    if (script.refuse !== undefined) {
      json(response, 400, { error: script.refuse })
      return
    }
    if (script.html) {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html><form>Sign in</form></html>')
      return
    }
    json(response, 200, {
      access_token: 'opaque-and-long-enough',
      token_type: 'Bearer',
      expires_in: 300,
      ...(next.shift() ?? replied),
    })
  }
}

function json(response: ServerResponse, status: number, members: Members): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(members))
}
