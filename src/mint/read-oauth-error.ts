import { isMembers, parseJsonObject } from '../domain/json-object.ts'
import type { HttpAnswer } from '../ports/http-client.ts'

/** RFC 6749 §5.2, with Google's fourth member. */
export interface OAuthError {
  readonly error: string
  readonly description?: string
  readonly subtype?: string
}

/**
 * The error of an answer, flat as OAuth has it, or nested as Google's JSON services have it (then `error` is the
 * status' name); `undefined` when there is none.
 */
export function readOAuthError({ body }: HttpAnswer): OAuthError | undefined {
  const members = parseJsonObject(body)
  if (members === undefined) return undefined
  const { error, error_description: description, error_subtype: subtype } = members
  if (typeof error === 'string') return oauthError(error, description, subtype)
  return isMembers(error) ? oauthError(error['status'], error['message']) : undefined
}

function oauthError(error: unknown, description: unknown, subtype?: unknown): OAuthError | undefined {
  if (typeof error !== 'string' || !/^[\x21\x23-\x5B\x5D-\x7E]{1,64}$/.test(error)) return undefined
  return {
    error,
    ...(typeof description === 'string' ? { description } : {}),
    ...(typeof subtype === 'string' ? { subtype } : {}),
  }
}
