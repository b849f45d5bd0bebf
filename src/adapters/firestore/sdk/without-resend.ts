import { statusOfNumber } from '../status.ts'

/** The parts of grpc-js' CallProperties and interceptors that matter here. */
export interface GrpcCall {
  readonly methodDefinition: { readonly path: string }
  readonly callOptions: Readonly<Record<string, unknown>>
}

interface CallStatus {
  readonly code: number
  readonly details: string
}

interface CallListener {
  readonly onReceiveStatus: (status: CallStatus) => void
}

interface InterceptedCall {
  start(metadata: unknown, listener: CallListener): void
}

type NextCall = (options: unknown) => InterceptedCall

/** The one status that the SDK never answers by sending again. */
const unknownCode = 2
/** Certainly not done: the SDK may send the commit again within its deadline. */
const retriedCommits: readonly unknown[] = ['ABORTED', 'RESOURCE_EXHAUSTED']

/**
 * A call whose failure the SDK does not answer by sending it again: a commit may have been done, and repetitions of a
 * read outlive the deadline and end as an unhandled rejection when the client is terminated meanwhile. The true
 * status stands before the details.
 */
export function withoutResend(call: GrpcCall): GrpcCall {
  const isCommit = call.methodDefinition.path.endsWith('/Commit')
  const mask = (status: CallStatus): CallStatus => {
    const name = statusOfNumber(status.code)
    if (name === undefined || !mayBeResent(name) || (isCommit && retriedCommits.includes(name))) return status
    return { ...status, code: unknownCode, details: `${name}: ${status.details}` }
  }
  const interceptor = (options: unknown, next: NextCall): InterceptedCall => {
    const inner = next(options)
    const start = inner.start.bind(inner)
    inner.start = (metadata, listener) =>
      start(metadata, { ...listener, onReceiveStatus: (status) => listener.onReceiveStatus(mask(status)) })
    return inner
  }
  return { ...call, callOptions: { ...call.callOptions, interceptors: [interceptor] } }
}

/** All that any method of the SDK repeats. */
function mayBeResent(name: string): boolean {
  return ['ABORTED', 'DEADLINE_EXCEEDED', 'INTERNAL', 'RESOURCE_EXHAUSTED', 'UNAVAILABLE'].includes(name)
}

/** The status that `withoutResend` put before the details. */
export function maskedStatusName(details: unknown): string | undefined {
  return typeof details === 'string' ? /^([A-Z_]+): /.exec(details)?.[1] : undefined
}
