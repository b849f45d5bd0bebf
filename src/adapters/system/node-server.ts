import { readFileSync } from 'node:fs'
import { createServer, IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { getRequestListener } from '@hono/node-server'

/** A caller sends a few kilobytes; who takes longer keeps a connection from others. */
const requestTimeoutMs = 10_000
/** Node looks every 30 s by default who is too slow, and that long a slow sender would have. */
const checkIntervalMs = 1_000
/** Longer than load balancers keep an idle connection (Google: 600 s), so that it is never us who hang up. */
const keepAliveTimeoutMs = 620_000
/** An answer of which nothing was taken for that long, or for twice as long, is for nobody. */
const unreadTimeoutMs = 5_000
/** Requests of one connection without an answer that was taken; hardly any client sends a second one. */
const pipelinedMax = 8
/** As many as Cloud Run lets in at once, twice; each takes some 20 KB. */
const connectionsMax = 2_000
/** The rest is for the store, for upstreams and for what Node itself opens. */
const shareOfDescriptors = 3 / 4
/** Of one body, which has 64 KiB, after authentication 1 MB at most. */
const chunksMax = 512
/** What is still taken of a body that was refused, so that its sender reads the answer. */
const refusedBytesMax = 2 ** 20

/**
 * An HTTP/1.1 server whose memory is bounded, whatever its clients do: so many connections and no more, of which the
 * one that has been idle longest is closed for a new one; few requests a connection before their answers are taken;
 * and an end to whoever sends or reads too slowly.
 */
export function createNodeServer(
  serve: (request: Request) => Response | Promise<Response>,
  max = Math.min(connectionsMax, Math.floor(descriptorsMax() * shareOfDescriptors)),
): Server {
  const listen = getRequestListener(serve)
  const places = createPlaces(max)
  const server = createServer({ connectionsCheckingInterval: checkIntervalMs }, (incoming, outgoing) => {
    if (!places.beginRequest(incoming.socket, outgoing)) return
    boundChunks(incoming)
    endUnread(incoming, outgoing)
    void listen(incoming, outgoing)
  })
  server.on('connection', places.add)
  server.maxConnections = max
  server.requestTimeout = requestTimeoutMs
  server.headersTimeout = requestTimeoutMs
  server.keepAliveTimeout = keepAliveTimeoutMs
  return server
}

interface Places {
  readonly add: (socket: Socket) => void
  /** False when the connection is ended instead, because it has too many requests already. */
  readonly beginRequest: (socket: Socket, outgoing: ServerResponse) => boolean
}

function createPlaces(max: number): Places {
  /** Without a request, the longest idle first: also who has begun to send one and goes on slowly. */
  const idle = new Set<Socket>()
  const pending = new Map<Socket, number>()
  let requests = 0

  return {
    add: (socket) => {
      idle.add(socket)
      socket.once('close', () => {
        idle.delete(socket)
        // Of answers that wait behind another one nobody hears when their connection ends.
        requests -= pending.get(socket) ?? 0
        pending.delete(socket)
      })
      // One place stays free, for Node itself turns away who comes when all are taken.
      const [longestIdle] = idle
      if (idle.size + pending.size >= max) longestIdle?.destroy()
    },
    beginRequest: (socket, outgoing) => {
      const before = pending.get(socket) ?? 0
      const isTooMany = before >= pipelinedMax || (before > 0 && requests >= max)
      if (isTooMany || socket.destroyed) {
        socket.destroy()
        return false
      }
      idle.delete(socket)
      requests += 1
      pending.set(socket, before + 1)
      outgoing.on('close', () => {
        const left = pending.get(socket)
        if (left === undefined) return
        requests -= 1
        if (left > 1) return void pending.set(socket, left - 1)
        pending.delete(socket)
        if (!socket.destroyed) idle.add(socket)
      })
      return true
    },
  }
}

const chunksTaken = Symbol('chunksTaken')

interface BoundedMessage extends IncomingMessage {
  [chunksTaken]?: number
}

/** Ends who sends a body crumb by crumb: each crumb costs a call into JavaScript, however small it is. */
function boundChunks(incoming: IncomingMessage): void {
  // One function for all: another one for each message costs a cached hit 2 % of its time.
  incoming.push = pushBounded
}

function pushBounded(this: BoundedMessage, chunk: unknown, encoding?: BufferEncoding): boolean {
  this[chunksTaken] = (this[chunksTaken] ?? 0) + 1
  if (this[chunksTaken] <= chunksMax) return IncomingMessage.prototype.push.call(this, chunk, encoding)
  this.socket.destroy()
  return false
}

/** Node itself waits for ever for an answer to be read, and for the rest of a body that was refused. */
function endUnread(incoming: IncomingMessage, outgoing: ServerResponse): void {
  const { socket } = incoming
  outgoing.on('prefinish', () => {
    // When all of it is read Node sets the time-out anew, to that of idle connections.
    socket.setTimeout(unreadTimeoutMs)
    if (incoming.complete) return
    let left = refusedBytesMax
    // Before `finish`: then Node begins to discard, unseen, what nobody reads.
    incoming.on('data', ({ length }: Uint8Array) => {
      left -= length
      if (left < 0) socket.destroy()
    })
  })
}

/** How many files and sockets this process may open. */
function descriptorsMax(): number {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return soft === undefined ? Infinity : Number(soft)
  } catch {
    // Not on Linux.
    return 1_024
  }
}
