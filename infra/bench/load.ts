import { connect } from 'node:net'
import { readAnswer } from './read-answer.ts'

export interface LoadOptions {
  readonly port: number
  readonly connections: number
  readonly durationMs: number
  /** The bytes of the next request; `undefined` when there are no more, which ends the window early. */
  readonly next: () => Uint8Array | undefined
  /** Read when all connections are open and nothing was sent, and again when the last answer is here. */
  readonly meter: () => number | undefined
}

export interface LoadResult {
  /** Complete answers with status 200 and a token. */
  readonly answered: number
  readonly elapsedMs: number
  /** The meter's second reading less its first. */
  readonly metered: number | undefined
  readonly faultCount: number
  /** The first few, each with what was answered. */
  readonly faults: readonly string[]
  /** One answer's body. */
  readonly sample: string
}

/** A connection that is silent for this long is a fault. */
const silenceMsMax = 10_000
const faultsShownMax = 5
const readBytes = 65_536

/**
 * Keeps every connection busy with one request at a time (no pipelining) until the time is over, then waits for the
 * answers under way. Looks at status, length and the presence of a token, and at nothing else: it must stay lighter
 * than any server. Never rejects for what the server does.
 */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const { connections, durationMs, meter } = options
  const tally: Tally = { answered: 0, faultCount: 0, faults: [], sample: '', lastAt: 0, deadline: 0 }
  const clients = await Promise.all(Array.from({ length: connections }, () => openClient(options, tally)))
  const before = meter()
  const startedAt = performance.now()
  tally.deadline = startedAt + durationMs
  await Promise.all(clients.map((run) => run()))
  const after = meter()
  return {
    answered: tally.answered,
    elapsedMs: tally.lastAt - startedAt,
    metered: before === undefined || after === undefined ? undefined : after - before,
    faultCount: tally.faultCount,
    faults: tally.faults,
    sample: tally.sample,
  }
}

interface Tally {
  answered: number
  faultCount: number
  readonly faults: string[]
  sample: string
  lastAt: number
  deadline: number
}

/** Resolves once connected, with what sends request after request and resolves after the last answer. */
function openClient({ port, next }: LoadOptions, tally: Tally): Promise<() => Promise<void>> {
  const { promise: opened, resolve: open } = Promise.withResolvers<() => Promise<void>>()
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  let text = ''
  let isAwaiting = false

  const fault = (sentence: string): void => {
    isAwaiting = false
    tally.faultCount += 1
    if (tally.faults.length < faultsShownMax) tally.faults.push(sentence)
    socket.destroy()
  }
  const send = (): void => {
    const bytes = performance.now() < tally.deadline ? next() : undefined
    isAwaiting = bytes !== undefined
    if (bytes === undefined) socket.destroy()
    else socket.write(bytes)
  }
  const receive = (length: number, bytes: Uint8Array): boolean => {
    text += Buffer.from(bytes.buffer, bytes.byteOffset, length).toString('latin1')
    const answer = readAnswer(text)
    if (answer.kind === 'partial') return true
    if (answer.kind !== 'token') {
      fault(`${answer.kind}: ${text.slice(0, 600)}`)
      return true
    }
    text = ''
    tally.answered += 1
    if (tally.sample === '') tally.sample = answer.body
    tally.lastAt = performance.now()
    send()
    return true
  }

  const socket = connect({
    host: '127.0.0.1',
    port,
    noDelay: true,
    // One buffer per connection: nothing is allocated for a read.
    onread: { buffer: new Uint8Array(readBytes), callback: receive },
  })
  const start = (): Promise<void> => {
    if (socket.destroyed) end()
    else send()
    return ended
  }
  socket.setTimeout(silenceMsMax, () => fault(`no answer within ${silenceMsMax} ms`))
  socket.once('connect', () => open(start))
  socket.on('error', (error) => fault(`connection: ${error.message}`))
  socket.once('close', () => {
    if (isAwaiting) fault('the connection was closed without an answer')
    open(start)
    end()
  })
  return opened
}
