import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { serveOnLoopback, type LoopbackServer } from './clients/loopback-server.ts'

export interface FakeAnswer {
  readonly status: number
  readonly document: object
  readonly headers?: Readonly<Record<string, string>>
}

/** What a token endpoint answers, as a test says, and what it was asked. */
export interface FakeBroker extends LoopbackServer {
  /** Forms of the token requests, oldest first. */
  readonly asked: readonly URLSearchParams[]
  readonly introspected: readonly string[]
  answerWith: (form: URLSearchParams) => FakeAnswer | Promise<FakeAnswer>
  isActive: boolean
  /** What the metadata names; absent: 404. */
  issuer: string | undefined
}

/** Gives tokens of an hour that name what was asked for, until told otherwise. */
export async function startFakeBroker(): Promise<FakeBroker> {
  const asked: URLSearchParams[] = []
  const introspected: string[] = []
  let count = 0
  const server = await serveOnLoopback(
    createServer((request, response) => {
      const send = ({ status, document, headers = {} }: FakeAnswer): void => {
        response.writeHead(status, { 'content-type': 'application/json', ...headers })
        response.end(JSON.stringify(document))
      }
      void text(request).then(async (body) => {
        const form = new URLSearchParams(body)
        if (request.url === '/.well-known/oauth-authorization-server')
          return send(
            broker.issuer === undefined
              ? { status: 404, document: {} }
              : { status: 200, document: { issuer: broker.issuer } },
          )
        if (request.url === '/v1/introspect') {
          introspected.push(form.get('token') ?? '')
          return send({ status: 200, document: { active: broker.isActive } })
        }
        if (request.url !== '/v1/token') return send({ status: 501, document: {} })
        asked.push(form)
        return send(await broker.answerWith(form))
      })
    }),
  )
  const broker: FakeBroker = {
    ...server,
    asked,
    introspected,
    isActive: true,
    issuer: server.url,
    answerWith: (form) => {
      count += 1
      return token(`token-${count}`, { scope: form.get('scope') ?? 'all' })
    },
  }
  return broker
}

export function token(access_token: string, more: object = {}): FakeAnswer {
  return {
    status: 200,
    document: {
      access_token,
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      token_type: 'Bearer',
      expires_in: 3599,
      scope: 'all',
      ...more,
    },
  }
}

export function refusal(
  status: number,
  error: string,
  headers: Readonly<Record<string, string>> = {},
): FakeAnswer {
  return { status, document: { error, error_description: `because of ${error}` }, headers }
}

/** Looks like a JWT to whoever does not verify it. */
export function looksLikeJwt(claims: object = { sub: 'workload' }): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'ES256' })}.${part(claims)}.c2lnbmF0dXJl`
}
