import type { ChildProcess } from 'node:child_process'
import { isObject, jsonObject, type JsonObject } from './json.ts'
import { until } from './until.ts'

/** What a broker said so far. */
export interface BrokerOutput {
  /** Every byte of it. */
  readonly stdout: () => string
  readonly stderr: () => string
  /** The lines of its standard output; a line that is no JSON object is `{ unparsed: LINE }`. */
  readonly lines: () => readonly JsonObject[]
  /** The audit records, in the order in which they were written. */
  readonly audits: () => readonly JsonObject[]
  /** The audit records with that request id, which were written before now. */
  readonly auditsOf: (requestId: string) => readonly JsonObject[]
  /** The one audit record of that request, once the pipe has delivered it. */
  readonly auditOf: (requestId: string) => Promise<JsonObject>
}

export function collectOutput(child: ChildProcess): BrokerOutput {
  const said: { stdout: Buffer[]; stderr: Buffer[] } = { stdout: [], stderr: [] }
  child.stdout?.on('data', (chunk: Buffer) => said.stdout.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => said.stderr.push(chunk))
  const stdout = (): string => Buffer.concat(said.stdout).toString()

  // A run writes thousands of lines and is asked again and again: none is parsed twice.
  const parsed: JsonObject[] = []
  let parsedChars = 0
  const lines = (): readonly JsonObject[] => {
    const text = stdout()
    const end = text.lastIndexOf('\n') + 1
    if (end > parsedChars) {
      for (const line of text.slice(parsedChars, end - 1).split('\n'))
        parsed.push(jsonObject(line) ?? { unparsed: line })
      parsedChars = end
    }
    return parsed
  }
  const audits = (): readonly JsonObject[] => lines().flatMap(({ audit }) => (isObject(audit) ? [audit] : []))
  const auditsOf = (requestId: string): readonly JsonObject[] =>
    audits().filter((audit) => audit['request_id'] === requestId)

  return {
    stdout,
    stderr: () => Buffer.concat(said.stderr).toString(),
    lines,
    audits,
    auditsOf,
    auditOf: async (requestId) => {
      const found = await until(`an audit record of request ${requestId}`, () => {
        const records = auditsOf(requestId)
        return records.length > 0 && records
      })
      const [only, ...more] = found
      if (only === undefined || more.length > 0) throw new Error(`${found.length} records of ${requestId}`)
      return only
    },
  }
}
