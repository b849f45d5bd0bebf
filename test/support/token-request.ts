import { isBrokerError } from '../../src/domain/broker-error.ts'
import type { ExchangeRequest } from '../../src/domain/exchange-request.ts'
import { parseTokenRequest } from '../../src/http/parse-token-request.ts'
import { tokenForm } from './http-layer.ts'

/** A form as it is, read as the token endpoint reads it. */
export function parseForm(text: string): ExchangeRequest {
  return parseTokenRequest({ contentType: 'application/x-www-form-urlencoded', text })
}

/** Why the well-formed request with these changes is refused, or `accepted`. */
export function refused(changes: Readonly<Record<string, string | undefined>>): string {
  return refusalOf(() => parseForm(tokenForm(changes)))
}

/** `CODE: REASON` of the planned failure that it throws, or `accepted`. */
export function refusalOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (!isBrokerError(error)) throw error
    return `${error.code}: ${error.reason}`
  }
  return 'accepted'
}
