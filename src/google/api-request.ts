import { isMembers, parseJson, type Members } from '../domain/json.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import type { Secret } from '../domain/secret.ts'
import type { HttpRequest, HttpClient, HttpResult } from '../ports/http-client.ts'
import { retryWithin } from '../domain/retry.ts'
import type { Clock } from '../ports/clock.ts'

/** A request before anybody said how long it may take. */
export type RequestParts = Pick<HttpRequest, 'method' | 'url' | 'headers' | 'body'>

export interface JsonCall {
  readonly url: string
  readonly token: Secret
  /** Default `POST`. */
  readonly method?: HttpRequest['method']
  readonly json?: unknown
}

/** A request to one of Google's JSON services. */
export function jsonRequest({ url, token, method = 'POST', json }: JsonCall): RequestParts {
  const headers = { authorization: `Bearer ${token.reveal()}`, accept: 'application/json' }
  if (json === undefined) return { method, url, headers }
  return {
    method,
    url,
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(json),
  }
}

/** A form for Google's token endpoint or STS. */
export function formRequest(url: string, form: Readonly<Record<string, string>>): RequestParts {
  const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' }
  return { method: 'POST', url, headers, body: new URLSearchParams(form).toString() }
}

/**
 * A token of the broker's own towards Google. Settles within two seconds; throws `store_unavailable`. `refused`: the
 * one that was answered with 401; the same again means that there is no other.
 */
export type AccessToken = (refused?: Secret) => Promise<Secret>

/** A token for the attempts of one call: `replace` says whether there is another, which then takes its place. */
export async function holdToken(
  accessToken: AccessToken,
): Promise<{ readonly current: () => Secret; readonly replace: () => Promise<boolean> }> {
  let token = await accessToken()
  return {
    current: () => token,
    replace: async () => {
      const next = await accessToken(token)
      const isOther = next.reveal() !== token.reveal()
      token = next
      return isOther
    },
  }
}

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

/** In brackets after a space, or nothing; without anything that may be a piece of a token: a proxy may repeat it. */
export function quoteError({ error, error_description: description }: Members): string {
  const words = [error, description].filter((word) => typeof word === 'string').join(': ')
  const harmless = words.replace(/[\w+/=.-]{24,}/g, '[cut]').replace(/[^\x20-\x7E]+/g, ' ')
  return harmless === '' ? '' : ` (${harmless.slice(0, 160)})`
}

/** The same of the error in the body of one of Google's JSON services. */
export function quoteGoogleError(body: string): string {
  const { status, message } = readGoogleError(body) ?? {}
  return quoteError({ error: status, error_description: message })
}

function errorIn(body: string): Members | undefined {
  const parsed = parseJson(body)
  const elements: readonly unknown[] = Array.isArray(parsed) ? parsed : [parsed]
  for (const element of elements)
    if (isMembers(element) && isMembers(element['error'])) return element['error']
  return undefined
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

export interface SendBrieflyDeps {
  readonly http: HttpClient
  readonly clock: Clock
}

/** `again`: whether what came is no answer yet; default, after passing trouble. It may change the next request. */
export type SendBriefly = (
  request: () => RequestParts,
  again?: (result: HttpResult) => boolean | Promise<boolean>,
) => Promise<HttpResult>

/** For all requests of one question together: what else a mint needs, such as opening a record, stands on them. */
const budgetMs = 2000
const bounds = { attemptMs: 1000, attemptMsMin: 50, retriesMax: 1 }
const answerBytesMax = 64 * 1024

/**
 * How the broker asks Google something for itself: within two seconds, which begin now for all that is sent with it,
 * and once more at once where that may help, so every request may come twice. Never rejects but for `again`.
 */
export function createSendBriefly({ http, clock }: SendBrieflyDeps): SendBriefly {
  const deadlineMs = clock.steadyMs() + budgetMs
  return async (request, again = isPassing) => {
    const waitMs = async (result: HttpResult) => ((await again(result)) ? 0 : undefined)
    const result = await retryWithin({ ...bounds, clock, deadlineMs, waitMs }, (timeoutMs) =>
      http({ ...request(), timeoutMs, maxBytes: answerBytesMax }),
    )
    if (result !== undefined) return result
    const { method, url } = request()
    const { origin, pathname } = new URL(url)
    const detail = `${method} ${origin}${pathname}: what came before took all of ${budgetMs} ms`
    return { kind: 'failure', cause: 'timeout', detail }
  }
}

function isPassing(result: HttpResult): boolean {
  if (result.kind === 'failure') return result.cause === 'network' || result.cause === 'timeout'
  return result.status >= 500
}
