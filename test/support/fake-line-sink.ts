import { setImmediate as nextTurn } from 'node:timers/promises'
import type { LineSink } from '../../src/adapters/system/stdout.ts'

export interface FakeLineSink extends LineSink {
  /** The texts handed over, a write each. */
  readonly writes: readonly string[]
  linesOf(write: number): readonly string[]
  /** Says that the write under way is done, or failed. */
  end(error?: Error): void
}

/** A sink that writes nothing until it is told to, and refuses a second write while one is under way. */
export function createFakeSink(): FakeLineSink {
  const writes: string[] = []
  let underWay: ((error?: unknown) => void) | undefined
  const end = (error?: Error): void => {
    const done = underWay
    if (done === undefined) throw new Error('no write is under way')
    underWay = undefined
    done(error)
  }
  return {
    writes,
    linesOf: (write) => (writes[write] ?? '').split('\n').slice(0, -1),
    end,
    write: (text, done) => {
      if (underWay !== undefined) throw new Error('a write is under way')
      writes.push(text)
      underWay = done
    },
    finish: () => end(),
  }
}

/** Lets the event loop go round, with everything that was due. */
export async function turn(): Promise<void> {
  await nextTurn()
  await nextTurn()
}
