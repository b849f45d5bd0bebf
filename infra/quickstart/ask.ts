import { readFileSync } from 'node:fs'

/** One request for a token: what the caller heard, and what the operator reads about it. */
export interface Asked {
  readonly status: number
  readonly answer: Readonly<Record<string, unknown>>
  readonly requestId: string
  readonly durationMs: number
  /** The record of the decision in the broker's log. */
  readonly audit: Readonly<Record<string, unknown>>
}

/** Asks for a token and looks the decision up by its request id. Throws when there is no record of it. */
export async function askForToken(
  brokerUrl: string,
  form: Readonly<Record<string, string>>,
  logFile: string,
): Promise<Asked> {
  const startedMs = performance.now()
  const response = await fetch(`${brokerUrl}/v1/token`, { method: 'POST', body: new URLSearchParams(form) })
  const answer = members(await response.json())
  const durationMs = performance.now() - startedMs
  const requestId = response.headers.get('x-request-id') ?? ''
  return { status: response.status, answer, requestId, durationMs, audit: findAudit(logFile, requestId) }
}

export function exchangeForm(
  subjectToken: string,
  credential: string,
  scope: string,
): Record<string, string> {
  return {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    subject_token: subjectToken,
    audience: credential,
    scope,
  }
}

export function assertionForm(assertion: string, credential: string, scope: string): Record<string, string> {
  return {
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion,
    audience: credential,
    scope,
  }
}

/** It was written before the answer left, so it is there. */
function findAudit(logFile: string, requestId: string): Readonly<Record<string, unknown>> {
  for (const line of readFileSync(logFile, 'utf8').split('\n')) {
    if (requestId === '' || !line.includes(requestId)) continue
    const { audit } = members(JSON.parse(line))
    if (audit !== undefined) return members(audit)
  }
  throw new Error(`the broker's log has no audit record of request ${requestId}`)
}

function members(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null)
    throw new Error('the broker did not answer with a JSON object')
  return Object.fromEntries(Object.entries(value))
}
