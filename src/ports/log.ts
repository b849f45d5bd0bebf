export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** One line of JSON each. Fields never hold secrets; a `Secret` in them prints as `[secret]`. */
export type Log = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => void
