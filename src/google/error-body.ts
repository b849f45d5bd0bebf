import { isMembers, parseJsonObject, type Members } from '../domain/json.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** The error of Google's JSON services: https://cloud.google.com/apis/design/errors. */
export interface GoogleError {
  /** Such as `PERMISSION_DENIED`. */
  readonly status?: string
  /** In Google's words; a proxy's error may repeat what was sent, so it is quoted with care. */
  readonly message?: string
  /** google.rpc.ErrorInfo's name of the reason, such as `SERVICE_DISABLED`. */
  readonly reason?: string
  /** The permission that is missing, such as `iam.serviceAccounts.getAccessToken`. */
  readonly permission?: string
  /** The organisation policy that is violated, such as `constraints/iam.disableServiceAccountKeyCreation`. */
  readonly constraint?: string
}

/**
 * Reads `{"error":{"code","message","status","details":[…]}}`, or the array of one that a streaming method answers with;
 * `undefined` where there is none. Nothing in it is believed beyond its form.
 */
export function readGoogleError(body: string): GoogleError | undefined {
  const error = errorIn(body)
  if (error === undefined) return undefined
  const details: unknown = error['details']
  const infos: readonly Members[] = Array.isArray(details) ? details.filter((one) => isMembers(one)) : []
  const info = infos.find(({ reason }) => typeof reason === 'string')
  const metadata = info?.['metadata']
  return omitUndefined({
    status: stringOf(error['status']),
    message: stringOf(error['message']),
    reason: stringOf(info?.['reason']),
    permission: isMembers(metadata) ? matching(metadata['permission'], /^[A-Za-z.]{1,80}$/) : undefined,
    constraint: constraintIn(infos),
  })
}

function errorIn(body: string): Members | undefined {
  const elements: readonly unknown[] = body.trimStart().startsWith('[')
    ? parseArray(body)
    : [parseJsonObject(body)]
  for (const element of elements)
    if (isMembers(element) && isMembers(element['error'])) return element['error']
  return undefined
}

function parseArray(body: string): readonly unknown[] {
  try {
    const parsed: unknown = JSON.parse(body)
    return Array.isArray(parsed) ? parsed : []
  } catch {
    return []
  }
}

function constraintIn(infos: readonly Members[]): string | undefined {
  const violations = infos.flatMap(({ violations: some }): readonly unknown[] =>
    Array.isArray(some) ? some : [],
  )
  const types = violations.map((one) => (isMembers(one) ? one['type'] : undefined))
  return matching(
    types.find((type) => typeof type === 'string'),
    /^constraints\/[\w.]{1,80}$/,
  )
}

function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function matching(value: unknown, pattern: RegExp): string | undefined {
  return typeof value === 'string' && pattern.test(value) ? value : undefined
}
