import { BrokerError } from '../../domain/broker-error.ts'

/** A canonical status as gRPC numbers and REST names it, https://cloud.google.com/apis/design/errors. */
export type Status = keyof typeof meanings

const meanings = {
  CANCELLED: 'the call was cancelled',
  UNKNOWN: 'the connection failed in the middle of a write',
  INVALID_ARGUMENT: 'it calls our request invalid',
  DEADLINE_EXCEEDED: 'it did not answer in time',
  NOT_FOUND: 'the project or database does not exist',
  ALREADY_EXISTS: 'the document is there already',
  PERMISSION_DENIED: 'our identity lacks permission',
  RESOURCE_EXHAUSTED: 'a quota is exhausted',
  FAILED_PRECONDITION: 'the database is not in a state to do this',
  ABORTED: 'too many writers on one document',
  OUT_OF_RANGE: 'it calls our request out of range',
  UNIMPLEMENTED: 'it does not know this method',
  INTERNAL: 'it failed inside',
  UNAVAILABLE: 'it cannot be reached',
  DATA_LOSS: 'it lost data',
  UNAUTHENTICATED: 'it does not accept our credentials',
} as const

const byNumber: readonly Status[] = [
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
]

/** The status of gRPC code 1 to 16, https://grpc.io/docs/guides/status-codes. */
export function statusOfNumber(code: unknown): Status | undefined {
  return typeof code === 'number' ? byNumber[code - 1] : undefined
}

/** The status of that name, as REST says it. */
export function statusOfName(name: unknown): Status | undefined {
  return byNumber.find((status) => status === name)
}

/** After these a write may have been done, or may not. */
export function leavesOutcomeUnknown(status: Status | undefined): boolean {
  return (
    status !== undefined &&
    ['CANCELLED', 'UNKNOWN', 'DEADLINE_EXCEEDED', 'INTERNAL', 'UNAVAILABLE'].includes(status)
  )
}

/** Whether a refusal is about the database, and so no failed condition of one document, whatever its status. */
export function blamesDatabase(message: string): boolean {
  return /\bdatabase \S+ does not exist\b|\bDatastore Mode\b/i.test(message)
}

/** `store_unavailable` with the reason an operator can act on. */
export function firestoreError(status: Status | undefined, cause: unknown): BrokerError {
  const meaning = status === undefined ? 'the client could not be used' : meanings[status]
  const words = [status, detailOf(cause, status)].filter((word) => word !== undefined)
  const detail = words.length === 0 ? '' : ` (${words.join(': ')})`
  return new BrokerError('store_unavailable', { reason: `Firestore: ${meaning}${detail}`, cause })
}

/** The server's own sentence, of which the beginning says enough. */
function detailOf(cause: unknown, status: Status | undefined): string | undefined {
  if (!(cause instanceof Error)) return undefined
  const text = 'details' in cause && typeof cause.details === 'string' ? cause.details : cause.message
  return text.split('\n')[0]?.replace(`${status}: `, '').slice(0, 200).trim()
}
