import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { readMetadataRequest, type Account, type MetadataPlace, type MetadataRequest } from './metadata.ts'
import type { IsOwnPeer } from './peer-user.ts'
import { createHash } from 'node:crypto'
import { isTokenError, TokenError } from '../client/token-error.ts'
import type { Token, TokenSource } from '../client/token-source.ts'

interface ServerDeps extends AnswerDeps {
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

/** A request as it came, before anybody looks at what it asks for. */
interface ArrivedRequest {
  readonly method: string
  /** As it stands in the request line. */
  readonly target: string
  readonly httpVersion: string
  /** Names and values in turn, as `rawHeaders` of Node. */
  readonly rawHeaders: readonly string[]
}

type Judgement =
  | { readonly ok: true; readonly path: string; readonly query: URLSearchParams }
  | { readonly ok: false; readonly status: 400 | 403; readonly reason: string }

/** Headers of whoever passes on what somebody else asked; no client of a metadata server sends one. */
const forwardingHeader = /^(?:forwarded|via|x-forwarded(?:-.+)?|x-real-ip)$/

/**
 * Keeps out pages of a browser (DNS rebinding, cross-site requests), proxies that were talked into a request (SSRF),
 * and whatever two readers could understand in two ways. Enforces, in order: HTTP/1.1, GET or HEAD, no body, one known
 * Host, nothing forwarded, no browser, `Metadata-Flavor: Google`, a canonical path (DESIGN §3.6, promise P33).
 */
function judgeRequest(request: ArrivedRequest, hosts: ReadonlySet<string>): Judgement {
  const { method, target, httpVersion } = request
  const headers = headersOf(request.rawHeaders)
  if (httpVersion !== '1.1') return bad(`HTTP/${httpVersion} is not spoken here`)
  if (method !== 'GET' && method !== 'HEAD') return bad('only GET and HEAD are answered')
  if (headers.has('transfer-encoding') || (headers.get('content-length') ?? '0') !== '0')
    return bad('a body is not expected')
  const host = headers.get('host')
  if (host === undefined || !hosts.has(host.toLowerCase())) return forbidden('the Host is not this agent')
  for (const name of headers.keys())
    if (forwardingHeader.test(name)) return forbidden(`${name} is not accepted: nothing is forwarded here`)
  if (headers.has('origin')) return forbidden('a browser has no business here: Origin')
  if ((headers.get('sec-fetch-site') ?? 'none') !== 'none')
    return forbidden('a browser has no business here: Sec-Fetch-Site')
  if (headers.get('metadata-flavor') !== 'Google') return forbidden('Missing Metadata-Flavor:Google header.')
  const [path = '', ...rest] = target.split('?')
  if (!isCanonical(path)) return bad('the path is not canonical')
  return { ok: true, path, query: new URLSearchParams(rest.join('?')) }
}

/** By name in lower case; one that is repeated has both values, as no single value looks. */
function headersOf(raw: readonly string[]): ReadonlyMap<string, string> {
  const headers = new Map<string, string>()
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = (raw[index] ?? '').toLowerCase()
    const before = headers.get(name)
    headers.set(name, before === undefined ? (raw[index + 1] ?? '') : `${before}, ${raw[index + 1]}`)
  }
  return headers
}

/** No empty or dotted segment, nothing encoded, nothing that another reader could take for a separator. */
function isCanonical(path: string): boolean {
  if (!/^\/[\w.@/-]*$/.test(path)) return false
  return !path.includes('//') && !path.split('/').some((segment) => /^\.+$/.test(segment))
}

function bad(reason: string): Judgement {
  return { ok: false, status: 400, reason }
}

function forbidden(reason: string): Judgement {
  return { ok: false, status: 403, reason }
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly text: string
  readonly headers?: Readonly<Record<string, string>>
}

interface AnswerDeps {
  readonly place: MetadataPlace
  readonly sourceOf: (account: Account) => TokenSource
  readonly now: () => number
}

const json = 'application/json'
const retryAfterSecondsMin = 1

/** Answers what was asked, in the form and with the status that Google's client libraries understand (WIRE §4). */
async function answerMetadata(request: MetadataRequest, deps: AnswerDeps): Promise<Answer> {
  try {
    return await answer(request, deps)
  } catch (error) {
    return failureAnswer(request, isTokenError(error) ? error : undefined)
  }
}

async function answer(request: MetadataRequest, deps: AnswerDeps): Promise<Answer> {
  const { place, sourceOf, now } = deps
  switch (request.kind) {
    case 'text':
      return value(request.text)
    case 'health':
      return { status: 200, type: json, text: '{"status":"ok"}' }
    case 'missing':
      return { status: 404, type: 'text/plain', text: 'Not Found\n' }
    case 'malformed':
      return { status: 400, type: 'text/plain', text: `${request.reason}\n` }
    case 'scopes':
      return value((await grantedScopes(request.account, deps)).map((scope) => `${scope}\n`).join(''))
    case 'account':
      return { status: 200, type: json, text: JSON.stringify(await describe(request.account, deps)) }
    case 'accounts': {
      const described = await Promise.all(
        place.accounts.map(async (account) => {
          const member = await describe(account, deps)
          return account.alias === 'default'
            ? [
                ['default', member],
                [account.email, member],
              ]
            : [[account.email, member]]
        }),
      )
      return { status: 200, type: json, text: JSON.stringify(Object.fromEntries(described.flat())) }
    }
    case 'token': {
      const token = await sourceOf(request.account).getToken({ scopes: request.scopes })
      return { status: 200, type: json, text: JSON.stringify(tokenDocument(token, now())) }
    }
    case 'plain token': {
      const token = await sourceOf(request.account).getToken({ scopes: request.scopes })
      const document = { ...tokenDocument(token, now()), scope: token.scopes.join(' ') }
      return { status: 200, type: json, text: JSON.stringify(document) }
    }
    case 'identity': {
      const { token } = await sourceOf(request.account).getIdToken(request.audience)
      return { status: 200, type: 'application/text', text: token }
    }
  }
}

function tokenDocument({ token, expiresAt }: Token, now: number): object {
  return {
    access_token: token,
    expires_in: Math.max(1, Math.floor((expiresAt - now) / 1000)),
    token_type: 'Bearer',
  }
}

/** `scopes` is what Python asks for when its user asks for nothing. */
async function describe(account: Account, deps: AnswerDeps): Promise<object> {
  return { aliases: [account.alias], email: account.email, scopes: await grantedScopes(account, deps) }
}

/** What policy grants without a scope; none where it grants nothing, so that the token's refusal is what is shown. */
async function grantedScopes(account: Account, { sourceOf }: AnswerDeps): Promise<readonly string[]> {
  try {
    return (await sourceOf(account).getToken()).scopes
  } catch (error) {
    if (isTokenError(error) && error.code === 'refused') return []
    throw error
  }
}

function value(text: string): Answer {
  const etag = createHash('sha256').update(text).digest('hex').slice(0, 16)
  return { status: 200, type: 'application/text', text, headers: { etag } }
}

/**
 * 503 is asked again by every library, and 403 by none. An ID token that policy forbids is missing: gcloud asks for one
 * with each token, and crashes on 403.
 */
function failureAnswer(request: MetadataRequest, failure: TokenError | undefined): Answer {
  const { code, message } = failure ?? new TokenError('unavailable', 'a bug in the agent: its log says more')
  const isLater = code === 'unavailable' || code === 'proof'
  const forbidden = request.kind === 'identity' ? 404 : 403
  const status = isLater ? 503 : forbidden
  const wait = Math.max(retryAfterSecondsMin, Math.ceil((failure?.retryAfterMs ?? 0) / 1000))
  const headers: Record<string, string> = isLater ? { 'retry-after': String(wait) } : {}
  if (request.kind !== 'plain token')
    return { status, type: 'text/plain', text: `downscope agent: ${message}\n`, headers }
  const document = { error: failure?.error ?? 'temporarily_unavailable', error_description: message }
  return { status, type: json, text: JSON.stringify(document), headers }
}
