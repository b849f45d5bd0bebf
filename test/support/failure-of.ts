import { isBrokerError, type BrokerError } from '../../src/domain/broker-error.ts'

/** The planned failure that a promise ends with; anything else fails the test. */
export async function failureOf(promise: Promise<unknown>): Promise<BrokerError> {
  try {
    await promise
  } catch (error) {
    if (isBrokerError(error)) return error
    throw error
  }
  throw new Error('it did not fail')
}
