import type { Background } from '../../src/ports/background.ts'
import type { Log, LogLevel } from '../../src/ports/log.ts'

export interface LogLine {
  readonly level: LogLevel
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** A log that keeps its lines for the test to read. */
export function createLogBook(): { readonly log: Log; readonly lines: readonly LogLine[] } {
  const lines: LogLine[] = []
  return { log: (level, message, fields = {}) => lines.push({ level, message, fields }), lines }
}

/** A background whose work the test can wait for. */
export function createAwaitableBackground(
  runsAfterAnswer = true,
): Background & { readonly started: () => number; readonly settled: () => Promise<void> } {
  const works: Promise<void>[] = []
  return {
    runsAfterAnswer,
    run: (work) => {
      works.push(work())
    },
    started: () => works.length,
    settled: async () => {
      await Promise.all(works)
    },
  }
}
