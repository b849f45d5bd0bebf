import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import type { CallRecorder } from './calls.ts'
import { deliver } from './deliver.ts'
import { describeCall } from './describe-call.ts'
import { htmlReply, notImplemented, Refusal, type Received, type Reply } from './reply.ts'
import { type EndpointName, type Route, routes } from './routes.ts'
import type { PlayedScript } from './script.ts'
import type { World } from './world.ts'
import { listenOnLoopback } from '../listen.ts'

export type Google = {
  readonly world: World
  readonly calls: CallRecorder
  readonly scripts: Readonly<Record<EndpointName, PlayedScript>>
}

export type ListeningServer = {
  readonly port: number
  /** Breaks every connection and refuses new ones. */
  readonly close: () => Promise<void>
}

/** Serves Google on 127.0.0.1; port 0 takes a free one. */
export async function listen(google: Google, port: number): Promise<ListeningServer> {
  const server = createServer((request, response) => {
    serve(google, request, response).catch((fault: unknown) => response.destroy(asError(fault)))
  })
  return { port: await listenOnLoopback(server, port), close: () => close(server) }
}

async function serve(google: Google, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { world, calls, scripts } = google
  const arrived = await receive(request)
  const candidates = routes.filter((route) => route.path.test(arrived.path))
  const route = candidates.find((one) => one.method === arrived.method)
  const received = { ...arrived, names: namesIn(candidates[0], arrived.path) }
  const call = calls.begin(describeCall(world, route ?? candidates[0], received))
  const answer = () => answerWith(world, route, received)
  const behaviour = route ? scripts[route.endpoint].take(call) : ({ do: 'honest' } as const)
  const unanswered = () => notFound(received, candidates.length > 0)
  await deliver({
    behaviour,
    response,
    world,
    answer: route ? answer : () => Promise.resolve(unanswered()),
  })
  call.end(response.headersSent ? response.statusCode : undefined)
}

async function answerWith(world: World, route: Route | undefined, received: Received): Promise<Reply> {
  try {
    return (await route?.answer(world, received)) ?? notFound(received, false)
  } catch (fault) {
    if (fault instanceof Refusal) return fault.reply
    const bug = `a bug in the Google stand-in: ${asError(fault).stack}`
    return { status: 500, headers: { 'content-type': 'text/plain' }, body: bug }
  }
}

function notFound(received: Received, isKnownPath: boolean): Reply {
  if (isKnownPath) return htmlReply(404, 'Not Found')
  return notImplemented(`${received.method} ${received.path}`)
}

async function receive(request: IncomingMessage): Promise<Received> {
  const url = new URL(request.url ?? '/', 'http://127.0.0.1')
  return {
    method: request.method ?? '',
    path: url.pathname,
    names: {},
    query: url.searchParams,
    contentType: request.headers['content-type'] ?? '',
    authorization: request.headers.authorization,
    headers: request.headers,
    body: await text(request),
  }
}

function namesIn(route: Route | undefined, path: string): Readonly<Record<string, string>> {
  const groups = Object.entries(route?.path.exec(path)?.groups ?? {})
  return Object.fromEntries(groups.map(([name, value]) => [name, decoded(value)]))
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

function asError(fault: unknown): Error {
  return fault instanceof Error ? fault : new Error(String(fault))
}
