import { isMembers, parseJsonObject, type Members } from '../../domain/json-object.ts'
import { quoteUpstream } from '../../domain/quote-upstream.ts'
import type { HttpAnswer, HttpResult } from '../../ports/http-client.ts'

export type IamResult<T> = { readonly ok: true; readonly value: T } | IamFailure

export interface IamFailure {
  readonly ok: false
  /**
   * `gone`: there is no such key, or no such account. `forbidden`: an organisation policy is against it. `refused`: it was not done, for
   * another reason. `unknown`: it may have been done.
   */
  readonly kind: 'gone' | 'forbidden' | 'refused' | 'unknown'
  /** For people; never a secret. */
  readonly reason: string
}

/** A 200 that is not what was asked for; what was asked may have been done. */
export const unreadable: IamFailure = {
  ok: false,
  kind: 'unknown',
  reason: 'the IAM API gave an answer that cannot be read',
}

/** The members of a 200, or what a failure means and what may be done about it. */
export function judgeIamAnswer(result: HttpResult): IamResult<Members> {
  if (result.kind === 'failure')
    return fail('unknown', `no answer from the IAM API (${result.cause}): ${result.detail}`)
  if (result.status === 200) {
    const members = parseJsonObject(result.body)
    return members === undefined ? unreadable : { ok: true, value: members }
  }
  return judgeError(result)
}

function judgeError(answer: HttpAnswer): IamFailure {
  const error = errorIn(answer)
  const said = `the IAM API answered ${answer.status}${error === undefined ? '' : ` ${error.text}`}`
  if (answer.status >= 500) return fail('unknown', said)
  if (answer.status === 404) return fail('gone', `${said}: is the service account deleted?`)
  if (error?.constraint !== undefined) return fail('forbidden', `${said} (${error.constraint})`)
  return fail('refused', `${said}${hints.get(answer.status) ?? ''}`)
}

const hints: ReadonlyMap<number, string> = new Map([
  [401, ": the credential's own token is not accepted"],
  [
    403,
    ': whoever rotates needs roles/iam.serviceAccountKeyAdmin on the service account, and the IAM API enabled',
  ],
  [429, ': too many requests'],
])

interface IamError {
  /** As it may stand in a log. */
  readonly text: string
  /** The organisation policy that is violated. */
  readonly constraint?: string
}

/** Google's nested error: `{"error":{"code":400,"message":"…","status":"…","details":[…]}}`. */
function errorIn({ body }: HttpAnswer): IamError | undefined {
  const error = parseJsonObject(body)?.['error']
  if (!isMembers(error)) return undefined
  const { status, message, details } = error
  const parts = [status, message].filter((part) => typeof part === 'string')
  const text = quoteUpstream(parts.join(', '), [])
  const constraint =
    constraintIn(details) ?? (/key \w+ is not allowed/i.test(text) ? 'organisation policy' : undefined)
  return { text, ...(constraint === undefined ? {} : { constraint }) }
}

function constraintIn(details: unknown): string | undefined {
  const violations = (Array.isArray(details) ? details : [])
    .filter((detail) => isMembers(detail))
    .flatMap(({ violations: some }) => (Array.isArray(some) ? some.filter((one) => isMembers(one)) : []))
  const type = violations.map((violation) => violation['type']).find((one) => typeof one === 'string')
  return type !== undefined && /^constraints\/[\w.]{1,80}$/.test(type) ? type : undefined
}

function fail(kind: IamFailure['kind'], reason: string): IamFailure {
  return { ok: false, kind, reason }
}
