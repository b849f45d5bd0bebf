import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { type Behaviour, isProcessed } from './behaviour.ts'
import { googleError } from './google-errors.ts'
import { amend, lie } from './lies.ts'
import { refusal } from './refusals.ts'
import { htmlReply, jsonReply, type Reply } from './reply.ts'
import type { World } from './world.ts'

export type Delivery = {
  readonly behaviour: Behaviour
  /** Does Google's work; called once, and only when the behaviour lets the request through. */
  readonly answer: () => Promise<Reply>
  readonly response: ServerResponse
  readonly world: World
}

const BEFORE_RESET_MS = 10
const OVERSIZE_BYTES = 8 * 1024 * 1024

/** Answers as scripted; resolves when the answer is out or the connection is gone. */
export async function deliver(delivery: Delivery): Promise<void> {
  const { behaviour, answer } = delivery
  const reply = isProcessed(behaviour) ? await answer() : undefined
  await perform(behaviour, reply, delivery)
}

async function perform(behaviour: Behaviour, reply: Reply | undefined, delivery: Delivery): Promise<void> {
  const { response, world } = delivery
  switch (behaviour.do) {
    case 'slow':
      await delayUntilClosed(behaviour.delayMs, response)
      return perform(behaviour.afterwards ?? { do: 'honest' }, reply, delivery)
    case 'hang':
      return closed(response)
    case 'reset':
      return reset(response, reply)
    case 'oversize':
      return oversize(response, behaviour.bytes ?? OVERSIZE_BYTES)
    case 'truncate':
      return send(response, truncated(required(reply)))
    case 'lie':
      return send(response, lie(required(reply), behaviour.as, world))
    case 'amend':
      return send(response, amend(required(reply), behaviour.members))
    case 'honest':
      return send(response, required(reply))
    default:
      return send(response, canned(behaviour))
  }
}

type Canned = Extract<
  Behaviour,
  { do: 'answer' | 'refuse' | 'google_error' | 'unavailable' | 'html' | 'redirect' }
>

function canned(behaviour: Canned): Reply {
  if (behaviour.do === 'refuse') return refusal(behaviour.as, behaviour.description)
  if (behaviour.do === 'google_error') return googleError(behaviour.status, behaviour.message)
  if (behaviour.do === 'unavailable') return unavailable(behaviour.status, behaviour.retryAfter)
  if (behaviour.do === 'html') return htmlReply(behaviour.status ?? 502, 'Server Error')
  if (behaviour.do === 'redirect') {
    return { status: behaviour.status ?? 307, headers: { location: behaviour.to }, body: '' }
  }
  const { status, body, headers = {} } = behaviour
  const type = typeof body === 'string' ? 'text/plain' : 'application/json; charset=utf-8'
  return { status, body, headers: { 'content-type': type, ...headers } }
}

function unavailable(status: 429 | 503, retryAfter: number | string | undefined): Reply {
  const error = status === 429 ? 'rate_limit_exceeded' : 'temporarily_unavailable'
  const reply = jsonReply({ error, error_description: 'Backend Error' }, status)
  if (retryAfter === undefined) return reply
  return { ...reply, headers: { ...reply.headers, 'retry-after': String(retryAfter) } }
}

function send(response: ServerResponse, reply: Reply): Promise<void> {
  if (response.destroyed) return Promise.resolve()
  const body = serialize(reply)
  const done = closedOrFinished(response)
  response.writeHead(reply.status, { ...reply.headers, 'content-length': Buffer.byteLength(body) })
  response.end(body)
  return done
}

async function reset(response: ServerResponse, reply: Reply | undefined): Promise<void> {
  if (reply) {
    const body = serialize(reply)
    const length = Buffer.byteLength(body)
    response.writeHead(reply.status, { ...reply.headers, 'content-length': length })
    await new Promise((sent) => response.write(body.slice(0, body.length / 2), sent))
    // A reset overtakes what the client has not read yet.
    await delay(BEFORE_RESET_MS)
  }
  response.socket?.resetAndDestroy()
}

async function oversize(response: ServerResponse, bytes: number): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' })
  // Rejects when the client leaves first, which is what most clients should do.
  await pipeline(Readable.from(hugeToken(bytes)), response).catch(() => undefined)
}

function* hugeToken(bytes: number): Generator<string> {
  const chunk = 'a'.repeat(64 * 1024)
  yield '{"token_type":"Bearer","expires_in":3599,"access_token":"'
  for (let sent = 0; sent < bytes; sent += chunk.length) yield chunk
  yield '"}'
}

function truncated(reply: Reply): Reply {
  const body = serialize(reply)
  return { ...reply, body: body.slice(0, Math.floor(body.length / 2)) }
}

function serialize({ body }: Reply): string {
  return typeof body === 'string' ? body : JSON.stringify(body)
}

function required(reply: Reply | undefined): Reply {
  if (!reply) throw new Error('a behaviour that needs the answer was not processed')
  return reply
}

function closed(response: ServerResponse): Promise<void> {
  if (response.destroyed) return Promise.resolve()
  return new Promise((resolve) => response.once('close', () => resolve()))
}

function closedOrFinished(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    response.once('close', () => resolve())
    response.once('finish', () => resolve())
  })
}

async function delayUntilClosed(delayMs: number, response: ServerResponse): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  await delay(delayMs, undefined, { signal: gone.signal }).catch(() => undefined)
}
