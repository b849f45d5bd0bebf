import type { Clock } from '../../ports/clock.ts'
import type { Log, LogLevel } from '../../ports/log.ts'
import { printable } from './printable.ts'

const severities = { debug: 'DEBUG', info: 'INFO', warn: 'WARNING', error: 'ERROR' } as const
const ranks = { debug: 0, info: 1, warn: 2, error: 3 } as const

// The entry's own members; a field of such a name gets an underscore.
const reserved: ReadonlySet<string> = new Set(['severity', 'time', 'message'])

/**
 * One line of JSON a message, with Cloud Logging's names. Throws only if `write` does. Secrets do not print, and of
 * errors that are not ours only name, code and, at `error`, the stack's frames: their messages may quote what somebody
 * sent.
 */
export function createJsonLog(deps: {
  readonly level: LogLevel
  /** What it returns is not looked at: a line that cannot be logged stops nobody. */
  readonly write: (line: string) => unknown
  readonly clock: Pick<Clock, 'now'>
}): Log {
  const least = ranks[deps.level]
  return (level, message, fields = {}) => {
    if (ranks[level] < least) return
    const time = new Date(deps.clock.now() * 1000).toISOString()
    const entry = { severity: severities[level], time, message }
    deps.write(JSON.stringify({ ...entry, ...printableFields(fields, level) }))
  }
}

function printableFields(fields: Readonly<Record<string, unknown>>, level: LogLevel): object {
  const withStack = level === 'error'
  try {
    return Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [
        reserved.has(name) ? `${name}_` : name,
        printable(value, { withStack }),
      ]),
    )
  } catch {
    // A getter or proxy that throws.
    return { fields: '[unprintable]' }
  }
}
