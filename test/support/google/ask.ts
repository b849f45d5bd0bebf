import { createPrivateKey } from 'node:crypto'
import { type JWTPayload, SignJWT } from 'jose'
import type { AuthorizedUserFile } from './refresh-grants.ts'
import { isObject, type JsonObject } from './reply.ts'
import type { ServiceAccountFile } from './service-accounts.ts'
import type { GoogleStandIn } from './stand-in.ts'

/** How the stand-in's own tests ask it: plain fetch, nothing of the broker. */
export type Answer = {
  readonly status: number
  readonly headers: Headers
  readonly body: JsonObject
  readonly text: string
}

export const AUD = 'https://oauth2.googleapis.com/token'
export const READ = 'https://www.googleapis.com/auth/devstorage.read_only'
export const DRIVE = 'https://www.googleapis.com/auth/drive'

export async function postForm(url: string, form: Readonly<Record<string, string>>): Promise<Answer> {
  return answerOf(await fetch(url, { method: 'POST', body: new URLSearchParams(form) }))
}

export async function callJson(
  url: string,
  { method = 'POST', body, bearer }: { method?: string; body?: unknown; bearer?: string | undefined } = {},
): Promise<Answer> {
  const headers: Record<string, string> = {}
  if (bearer !== undefined) headers['authorization'] = `Bearer ${bearer}`
  if (body !== undefined) headers['content-type'] = 'application/json'
  const sent = body === undefined ? {} : { body: JSON.stringify(body) }
  return answerOf(await fetch(url, { method, headers, ...sent }))
}

export async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: parse(text), text }
}

export function refresh(
  google: GoogleStandIn,
  file: AuthorizedUserFile,
  more: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return postForm(google.endpoints.GOOGLE_OAUTH_TOKEN_URL, {
    grant_type: 'refresh_token',
    client_id: file.client_id,
    client_secret: file.client_secret,
    refresh_token: file.refresh_token,
    ...more,
  })
}

/** Sends an assertion signed with the file's key; a claim given as undefined is left out. */
export async function assert(
  google: GoogleStandIn,
  file: ServiceAccountFile,
  claims: JWTPayload = {},
  header: { readonly kid?: string | undefined; readonly now?: number } = {},
): Promise<Answer> {
  const { now = Math.floor(Date.now() / 1000) } = header
  const kid = 'kid' in header ? header.kid : file.private_key_id
  const iat = now - 10
  const payload = { iss: file.client_email, scope: READ, aud: AUD, iat, exp: iat + 3600, ...claims }
  const assertion = await new SignJWT(payload)
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', ...(kid === undefined ? {} : { kid }) })
    .sign(createPrivateKey(file.private_key))
  return postAssertion(google, assertion)
}

export function postAssertion(google: GoogleStandIn, assertion: string): Promise<Answer> {
  const grant = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
  return postForm(google.endpoints.GOOGLE_OAUTH_TOKEN_URL, { grant_type: grant, assertion })
}

/** The access token of an answer that must have one. */
export function accessToken(answer: Answer): string {
  const value = answer.body['access_token'] ?? answer.body['accessToken']
  if (typeof value !== 'string') throw new Error(`no access token in ${answer.text}`)
  return value
}

function parse(text: string): JsonObject {
  try {
    const parsed: unknown = JSON.parse(text)
    return isObject(parsed) ? parsed : {}
  } catch {
    return {}
  }
}
