import { writeSync } from 'node:fs'

import { createLineWriter, type LineSink, type LineWriter } from './line-writer.ts'

const newline = 0x0a
const retryMs = 5
/** How long the end of a process may wait for whoever reads its output. */
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
