import { writeSync } from 'node:fs'

const newline = 0x0a
const retryMs = 5
/** How long the exit of the process may wait for its output to be read. */
const finishMs = 2000

/** The process's standard output, complete also when the process exits in the middle of a turn. */
export function createStdoutWriter(): LineWriter {
  // Looking at process.stdout makes a pipe non-blocking: a reader that stalls must not stop the process.
  process.stdout.on('error', () => {})
  const writer = createLineWriter(createFileSink(process.stdout.fd))
  process.once('exit', () => writer.writeNow())
  return writer
}

type WriteOctets = (fd: number, octets: Uint8Array, offset: number) => number

/**
 * A file descriptor as a sink. Not a stream: of what a stream has been given, nobody can tell at the exit of the
 * process what is still unwritten, and it is lost.
 */
export function createFileSink(fd: number, writeTo: WriteOctets = writeSync): LineSink {
  let write:
    | { readonly octets: Uint8Array; offset: number; readonly done: (error?: unknown) => void }
    | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  /** A full disk took a part of a line: what comes next begins a line of its own. */
  let isTorn = false

  const end = (error?: unknown): void => {
    const ended = write
    write = undefined
    clearTimeout(timer)
    if (ended !== undefined && ended.offset > 0) isTorn = ended.octets[ended.offset - 1] !== newline
    ended?.done(error)
  }

  /** Writes what is taken now; `false` when the rest has to wait. */
  const advance = (): boolean => {
    try {
      while (write !== undefined && write.offset < write.octets.length)
        write.offset += writeTo(fd, write.octets, write.offset)
      end()
      return true
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return false
      end(error)
      return true
    }
  }

  const retry = (): void => {
    if (!advance()) timer = setTimeout(retry, retryMs)
  }

  return {
    write: (text, done) => {
      write = { octets: Buffer.from(isTorn ? `\n${text}` : text), offset: 0, done }
      retry()
    },
    finish: () => {
      const deadline = performance.now() + finishMs
      const never = new Int32Array(new SharedArrayBuffer(4))
      while (!advance()) {
        if (performance.now() > deadline) return end(new Error('nobody reads the output'))
        Atomics.wait(never, 0, 0, retryMs)
      }
    },
  }
}

/** Where lines go; one write at a time. */
export interface LineSink {
  /** `done` is called once: when all of the text is written, or with the error that stopped it. */
  write(text: string, done: (error?: unknown) => void): void
  /** Brings the write that is under way to its end before it returns. */
  finish(): void
}

export interface LineWriter {
  /**
   * Resolves when the sink says that the line is written; rejects when it could not be, or when lines have waited for
   * 3 s, and then it may still be written. The line must hold no newline. The promise may be ignored.
   */
  write(line: string): Promise<void>
  /** Writes without waiting for the end of the turn; resolves when nothing is left, written or failed. */
  flush(): Promise<void>
  /** Writes all that is left before it returns: for the exit of a process, after which no callback comes. */
  writeNow(): void
}

interface Batch {
  text: string
  /** Its turn is over: it may be written. */
  isDue: boolean
  /** What its lines wait for. */
  readonly written: PromiseWithResolvers<void>
  /** Resolves when the sink is done with it, well or not. */
  readonly ended: PromiseWithResolvers<void>
}

/** What may wait for a sink that does not take it: then lines are refused, not hoarded (P24). */
const waitingCharsMax = 8 * 2 ** 20
/** How long a line may wait for such a sink: whoever needs it written answers within 10 s all the same (P20). */
const lateAfterMs = 3_000

/**
 * Lines in the order in which they came, by group commit: those of one event-loop turn share one write, and those
 * that come while a write is under way share the next.
 */
export function createLineWriter(sink: LineSink, lateMs = lateAfterMs): LineWriter {
  let waiting: Batch | undefined
  let underWay: Batch | undefined

  const send = (batch: Batch): void => {
    waiting = undefined
    underWay = batch
    const done = (error?: unknown): void => {
      if (error === undefined) batch.written.resolve()
      else batch.written.reject(error)
      batch.ended.resolve()
      underWay = undefined
      if (waiting?.isDue === true) send(waiting)
    }
    sink.write(batch.text, done)
  }

  const endTurn = (batch: Batch): void => {
    batch.isDue = true
    if (waiting === batch && underWay === undefined) send(batch)
  }

  const open = (): Batch => {
    const written = Promise.withResolvers<void>()
    const batch: Batch = { text: '', isDue: false, written, ended: Promise.withResolvers() }
    const late = setTimeout(() => written.reject(new Error('nobody takes the output')), lateMs)
    late.unref()
    written.promise.catch(ignore).finally(() => clearTimeout(late))
    setImmediate(endTurn, batch)
    return batch
  }

  return {
    write: (line) => {
      if (waiting !== undefined && waiting.text.length + line.length > waitingCharsMax) return refused()
      waiting ??= open()
      waiting.text += `${line}\n`
      return waiting.written.promise
    },
    flush: async () => {
      if (waiting !== undefined) endTurn(waiting)
      for (let batch = underWay ?? waiting; batch !== undefined; batch = underWay ?? waiting)
        await batch.ended.promise
    },
    writeNow: () => {
      if (waiting !== undefined) endTurn(waiting)
      // The end of one write begins the next.
      while (underWay !== undefined) sink.finish()
    },
  }
}

function refused(): Promise<void> {
  const refusal = Promise.reject(new Error('too much waits to be written'))
  refusal.catch(ignore)
  return refusal
}

function ignore(): void {}
