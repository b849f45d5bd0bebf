import { BrokerError } from '../../domain/broker-error.ts'

/** Primary result codes, https://www.sqlite.org/rescode.html: the low octet of every extended one. */
const reasons: Readonly<Record<number, string>> = {
  5: 'another process kept the database locked',
  6: 'another process kept the database locked',
  8: 'the file or its folder is read-only',
  10: 'the disk answered with an input/output error',
  11: 'the file is corrupt',
  13: 'the disk is full',
  14: 'the file cannot be opened',
  26: 'the file is not an SQLite database',
}

/** Whatever the driver or the file system threw, as `store_unavailable` with the reason an operator can act on. */
export function sqliteError(path: string, cause: unknown): BrokerError {
  if (cause instanceof BrokerError) return cause
  return new BrokerError('store_unavailable', { reason: `SQLite store ${path}: ${reasonOf(cause)}`, cause })
}

/** Whether it failed because another process holds a lock: nothing was done, and it may be tried again. */
export function isLocked(error: unknown): boolean {
  return error instanceof BrokerError && resultCode(error.cause) === 5
}

function reasonOf(error: unknown): string {
  const code = resultCode(error)
  if (code !== undefined) return reasons[code] ?? `SQLite answered with result code ${code}`
  if (!(error instanceof Error) || !('code' in error)) return 'the driver failed'
  if (error.code === 'ERR_INVALID_STATE') return 'it is closed'
  return `the file cannot be opened (${String(error.code)})`
}

function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number')
    return undefined
  return error.errcode & 0xff
}
