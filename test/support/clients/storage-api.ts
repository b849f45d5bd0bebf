import { createServer, type IncomingMessage } from 'node:http'
import type { GoogleStandIn } from '../google/stand-in.ts'
import { reading, writing } from './client-world.ts'
import { serveOnLoopback, type LoopbackServer } from './loopback-server.ts'

export const bucket = 'acme-reports'
export const object = { name: 'today.txt', text: 'all is well' } as const

/**
 * So much of Cloud Storage's JSON API as reading one object takes. It asks Google what the bearer token carries:
 * 401 for a token that is not alive, 403 for one whose scopes do not cover the act, 501 for everything else.
 */
export async function startStorageApi(google: GoogleStandIn): Promise<StorageApi> {
  let lastToken = ''
  const server = await serveOnLoopback(
    createServer((request, response) => {
      lastToken = bearerOf(request)
      const { status, body } = answerTo(request, google)
      response.writeHead(status, {
        'content-type': typeof body === 'string' ? 'text/plain' : 'application/json',
      })
      response.end(typeof body === 'string' ? body : JSON.stringify(body))
    }),
  )
  return { ...server, lastToken: () => lastToken }
}

export interface StorageApi extends LoopbackServer {
  /** What the last request had in `Authorization: Bearer`; empty without it. */
  readonly lastToken: () => string
}

function bearerOf({ headers }: IncomingMessage): string {
  return /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1] ?? ''
}

interface StorageAnswer {
  readonly status: number
  readonly body: object | string
}

function answerTo(request: IncomingMessage, google: GoogleStandIn): StorageAnswer {
  const token = google.token(bearerOf(request))
  if (token === undefined || token.revoked || token.expiresAt * 1000 <= Date.now())
    return refusal(401, 'authError', 'Invalid Credentials')
  const isRead = request.method === 'GET'
  if (!token.scopes.some((scope) => scope === writing || (isRead && scope === reading)))
    return refusal(403, 'insufficientPermissions', 'Provided scope(s) are not authorized')

  const { pathname, searchParams } = new URL(request.url ?? '', 'http://storage.example')
  const path = pathname.replace(/^\/(?:download\/)?storage\/v1/, '')
  if (isRead && path === `/b/${bucket}/o`)
    return { status: 200, body: { kind: 'storage#objects', items: [metadata] } }
  if (!isRead || path !== `/b/${bucket}/o/${object.name}`) return refusal(501, 'notImplemented', 'not here')
  return { status: 200, body: searchParams.get('alt') === 'media' ? object.text : metadata }
}

const metadata = { kind: 'storage#object', bucket, name: object.name, size: String(object.text.length) }

function refusal(code: number, reason: string, message: string): StorageAnswer {
  const body = { error: { code, message, errors: [{ domain: 'global', reason, message }] } }
  return { status: code, body }
}
