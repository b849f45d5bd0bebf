import { jsonObject, textOf, type JsonObject } from './json.ts'
import type { TestCaller } from './callers.ts'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** Empty when the text is no JSON object. */
  readonly body: JsonObject
  readonly requestId: string
  /** `access_token`, or nothing. */
  readonly token: string
  readonly tookMs: number
}

export type Form = Readonly<Record<string, string>>

/** Longer than any promise of the broker, so that it is the assertion that fails. */
const timeoutMs = 30_000

export async function send(url: string, init: RequestInit): Promise<Answer> {
  const startedMs = performance.now()
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(timeoutMs), ...init })
  const text = await response.text()
  const body = jsonObject(text) ?? {}
  return {
    status: response.status,
    headers: response.headers,
    text,
    body,
    requestId: response.headers.get('x-request-id') ?? '',
    token: textOf(body, 'access_token'),
    tookMs: performance.now() - startedMs,
  }
}

/** Who is asked: anything with an address. */
export interface Place {
  readonly url: string
}

export function post(broker: Place, form: Form): Promise<Answer> {
  return send(`${broker.url}/v1/token`, { method: 'POST', body: new URLSearchParams(form) })
}

/** RFC 6749 §4.4 with RFC 7523. */
export async function assertionForm(caller: TestCaller, parameters: Form): Promise<Form> {
  return {
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: await caller.jwt(),
    ...parameters,
  }
}

/** RFC 8693. */
export async function exchangeForm(caller: TestCaller, parameters: Form): Promise<Form> {
  return {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: await caller.jwt(),
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    ...parameters,
  }
}

/** A token for the caller, in the form that suits its JWT. */
export async function askToken(broker: Place, caller: TestCaller, parameters: Form): Promise<Answer> {
  return post(broker, await exchangeForm(caller, parameters))
}

/** An act of administration. */
export async function administer(
  broker: Place,
  admin: TestCaller,
  { method, path, body }: { readonly method: string; readonly path: string; readonly body?: object },
): Promise<Answer> {
  const headers: Record<string, string> = { authorization: `Bearer ${await admin.jwt()}` }
  if (body !== undefined) headers['content-type'] = 'application/json'
  return send(`${broker.url}/v1/admin/${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}
