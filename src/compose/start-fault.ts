import { isConfigurationFault } from '../config/configuration-fault.ts'
import { isBrokerError } from '../domain/broker-error.ts'

/** Why the broker cannot start, in words for whoever starts it; `undefined` when it is a bug of ours. */
export function startFault(error: unknown): string | undefined {
  if (isBrokerError(error)) return error.reason
  if (isConfigurationFault(error) || isListenFault(error)) return error.message
  return undefined
}

function isListenFault(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error && error.syscall === 'listen'
}
