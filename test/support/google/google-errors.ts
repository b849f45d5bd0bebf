import { type JsonObject, jsonReply, Refusal, type Reply } from './reply.ts'

export type GoogleStatus = keyof typeof codes

const codes = {
  INVALID_ARGUMENT: 400,
  FAILED_PRECONDITION: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  ABORTED: 409,
  RESOURCE_EXHAUSTED: 429,
  INTERNAL: 500,
  UNAVAILABLE: 503,
} as const

/** The nested error of Google's JSON services, as against the flat one of OAuth (docs/google.md §3.1). */
export function googleError(
  status: GoogleStatus,
  message: string,
  details: readonly JsonObject[] = [],
): Reply {
  const code = codes[status]
  const more = details.length === 0 ? {} : { details }
  return jsonReply({ error: { code, message, status, ...more } }, code)
}

export function failWith(status: GoogleStatus, message: string, details: readonly JsonObject[] = []): never {
  throw new Refusal(googleError(status, message, details))
}

/** The 403 for a missing permission; the same whether the resource exists or not. */
export function denyPermission(permission: string): never {
  return failWith(
    'PERMISSION_DENIED',
    `Permission '${permission}' denied on resource (or it may not exist).`,
    [errorInfo('IAM_PERMISSION_DENIED', 'iam.googleapis.com', { permission })],
  )
}

export function errorInfo(reason: string, domain: string, metadata: JsonObject = {}): JsonObject {
  return { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason, domain, metadata }
}
