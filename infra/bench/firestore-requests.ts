import { startTcpProxy } from '../../test/support/tcp-proxy.ts'
import { startBroker, type BrokerWorld } from './broker.ts'
import { runLoad } from './load.ts'
import { connectionCounts, createBatches } from './rounds.ts'

/** How many requests to Firestore one token cost, at one number of connections. */
export interface RequestsPerToken {
  readonly name: string
  readonly connections: number
  readonly requestsPerToken: number
}

// Each in a project of its own: nobody has enrolled there.
const stores = [
  ['new JWT, replay: once, SDK', 'firestore://bench-sdk'],
  ['new JWT, replay: once, REST', 'firestore+rest://bench-rest'],
] as const
const windowMs = 1000
/** More than any broker here answers. */
const requestsMax = 8_000

/** Untimed, and apart from the rounds: what counts stands between the broker and the emulator, and would slow both. */
export async function countFirestoreRequests(
  world: BrokerWorld,
  emulatorHost: string,
): Promise<readonly RequestsPerToken[]> {
  const counts: RequestsPerToken[] = []
  let requests = 0
  const proxy = await startTcpProxy(emulatorHost, {
    watch: () => {
      const count = createRequestCounter()
      return (octets) => {
        requests += count(octets)
      }
    },
  })
  try {
    for (const [name, store] of stores) {
      const broker = await startBroker({ ...world, emulatorHost: proxy.host }, { name, store })
      try {
        for (const connections of connectionCounts) {
          const load = { port: broker.port, connections, next: createBatches(world, requestsMax).new() }
          await runLoad({ ...load, durationMs: windowMs / 2, meter: () => undefined })
          const {
            answered,
            metered = 0,
            faults,
          } = await runLoad({
            ...load,
            durationMs: windowMs,
            meter: () => requests,
          })
          if (answered === 0 || faults.length > 0) throw new Error(`${name}: ${faults.join('\n')}`)
          counts.push({ name, connections, requestsPerToken: metered / answered })
        }
      } finally {
        await broker.stop()
      }
    }
  } finally {
    await proxy.stop()
  }
  return counts
}

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const frameHeaderBytes = 9
const headersFrame = 1
const requestLineEnd = ' HTTP/1.1\r\n'

/**
 * Counts the requests in what a client sends on one connection, however it is cut: frames that open a stream (RFC 9113
 * §4.1; gRPC's clients send no trailers), or the ends of request lines.
 */
export function createRequestCounter(): (octets: Buffer) => number {
  let rest = Buffer.alloc(0)
  let isHttp2: boolean | undefined
  return (octets) => {
    rest = Buffer.concat([rest, octets])
    if (isHttp2 === undefined) {
      if (rest.length < preface.length) return 0
      isHttp2 = rest.toString('latin1', 0, preface.length) === preface
      if (isHttp2) rest = rest.subarray(preface.length)
    }
    let count = 0
    if (!isHttp2) {
      for (let at = rest.indexOf(requestLineEnd); at !== -1; at = rest.indexOf(requestLineEnd)) {
        rest = rest.subarray(at + requestLineEnd.length)
        count += 1
      }
      rest = rest.subarray(Math.max(0, rest.length - requestLineEnd.length + 1))
      return count
    }
    while (rest.length >= frameHeaderBytes) {
      const end = frameHeaderBytes + rest.readUIntBE(0, 3)
      if (rest.length < end) break
      if (rest[3] === headersFrame) count += 1
      rest = rest.subarray(end)
    }
    return count
  }
}
