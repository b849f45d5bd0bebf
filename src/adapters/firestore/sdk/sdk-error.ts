import { isBrokerError, type BrokerError } from '../../../domain/broker-error.ts'
import { firestoreError, statusOfName, statusOfNumber, type Status } from '../status.ts'
import { maskedStatusName } from './without-resend.ts'

/** The canonical status of what the SDK threw; `undefined` when it is not an answer of the server. */
export function sdkStatus(error: unknown): Status | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  const masked = 'details' in error ? statusOfName(maskedStatusName(error.details)) : undefined
  return masked ?? statusOfNumber(error.code)
}

export function sdkError(error: unknown): BrokerError {
  return isBrokerError(error) ? error : firestoreError(sdkStatus(error), error)
}
