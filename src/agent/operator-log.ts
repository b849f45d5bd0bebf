import type { TokenError } from '../client/token-error.ts'

/** `matter`: lines about the same one differ in numbers and ids only. By default the line itself. */
export type OperatorLog = (line: string, matter?: string) => void

/** A line for whoever runs the agent: what it is, and what to do. The same matter comes once a minute at most. */
export function createOperatorLog(
  write: (text: string) => void,
  now: () => number = () => performance.now(),
): OperatorLog {
  const lastAtMs = new Map<string, number>()
  return (line, matter = line) => {
    const at = now()
    if (at - (lastAtMs.get(matter) ?? -Infinity) < repeatMs) return
    if (lastAtMs.size >= linesMax) lastAtMs.clear()
    lastAtMs.set(matter, at)
    write(`downscope agent: ${line}\n`)
  }
}

const repeatMs = 60_000
const linesMax = 500

export function logFailure(log: OperatorLog, credential: string, failure: TokenError): void {
  const matter = failure.message.replaceAll(/\d+/g, '')
  log(`${credential}: ${failure.message}. ${whatToDo(failure)}`, `${credential} ${failure.code} ${matter}`)
}

function whatToDo({ code, error, status, requestId }: TokenError): string {
  const request = requestId === undefined ? '' : ` (request ${requestId})`
  switch (code) {
    case 'refused':
      if (error === 'invalid_request' || error === 'invalid_client')
        return `The broker does not accept the JWT of this workload: check its issuer, audience and lifetime${request}`
      return requestId === undefined
        ? 'Policy does not allow it'
        : `Policy does not allow it: downscope explain --request ${requestId}`
    case 'unavailable':
      return status === undefined
        ? 'Is the broker up, and --broker right? Tokens at hand are served as long as they last'
        : `The broker cannot serve this now; its log says why${request}`
    case 'proof':
      return 'Check what gives the JWT: --jwt-file, --jwt-command, --platform or --key'
    case 'configuration':
      return 'Check --broker and --broker-issuer'
  }
}
