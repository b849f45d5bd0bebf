import { createHash } from 'node:crypto'
import { isTokenError, TokenError } from '../client/token-error.ts'
import type { Token, TokenSource } from '../client/token-source.ts'
import type { Account, MetadataPlace, MetadataRequest } from './metadata.ts'

export interface Answer {
  readonly status: number
  readonly type: string
  readonly text: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface AnswerDeps {
  readonly place: MetadataPlace
  readonly sourceOf: (account: Account) => TokenSource
  readonly now: () => number
}

const json = 'application/json'
const retryAfterSecondsMin = 1

/** Answers what was asked, in the form and with the status that Google's client libraries understand (WIRE §4). */
export async function answerMetadata(request: MetadataRequest, deps: AnswerDeps): Promise<Answer> {
  try {
    return await answer(request, deps)
  } catch (error) {
    return failureAnswer(request, isTokenError(error) ? error : undefined)
  }
}

async function answer(request: MetadataRequest, deps: AnswerDeps): Promise<Answer> {
  const { place, sourceOf, now } = deps
  switch (request.kind) {
    case 'text':
      return value(request.text)
    case 'health':
      return { status: 200, type: json, text: '{"status":"ok"}' }
    case 'missing':
      return { status: 404, type: 'text/plain', text: 'Not Found\n' }
    case 'malformed':
      return { status: 400, type: 'text/plain', text: `${request.reason}\n` }
    case 'scopes':
      return value((await grantedScopes(request.account, deps)).map((scope) => `${scope}\n`).join(''))
    case 'account':
      return { status: 200, type: json, text: JSON.stringify(await describe(request.account, deps)) }
    case 'accounts': {
      const described = await Promise.all(
        place.accounts.map(async (account) => {
          const member = await describe(account, deps)
          return account.alias === 'default'
            ? [
                ['default', member],
                [account.email, member],
              ]
            : [[account.email, member]]
        }),
      )
      return { status: 200, type: json, text: JSON.stringify(Object.fromEntries(described.flat())) }
    }
    case 'token': {
      const token = await sourceOf(request.account).getToken({ scopes: request.scopes })
      return { status: 200, type: json, text: JSON.stringify(tokenDocument(token, now())) }
    }
    case 'plain token': {
      const token = await sourceOf(request.account).getToken({ scopes: request.scopes })
      const document = { ...tokenDocument(token, now()), scope: token.scopes.join(' ') }
      return { status: 200, type: json, text: JSON.stringify(document) }
    }
    case 'identity': {
      const { token } = await sourceOf(request.account).getIdToken(request.audience)
      return { status: 200, type: 'application/text', text: token }
    }
  }
}

function tokenDocument({ token, expiresAt }: Token, now: number): object {
  return {
    access_token: token,
    expires_in: Math.max(1, Math.floor((expiresAt - now) / 1000)),
    token_type: 'Bearer',
  }
}

/** `scopes` is what Python asks for when its user asks for nothing. */
async function describe(account: Account, deps: AnswerDeps): Promise<object> {
  return { aliases: [account.alias], email: account.email, scopes: await grantedScopes(account, deps) }
}

/** What policy grants without a scope; none where it grants nothing, so that the token's refusal is what is shown. */
async function grantedScopes(account: Account, { sourceOf }: AnswerDeps): Promise<readonly string[]> {
  try {
    return (await sourceOf(account).getToken()).scopes
  } catch (error) {
    if (isTokenError(error) && error.code === 'refused') return []
    throw error
  }
}

function value(text: string): Answer {
  const etag = createHash('sha256').update(text).digest('hex').slice(0, 16)
  return { status: 200, type: 'application/text', text, headers: { etag } }
}

/**
 * 503 is asked again by every library, and 403 by none. An ID token that policy forbids is missing: gcloud asks for one
 * with each token, and crashes on 403.
 */
function failureAnswer(request: MetadataRequest, failure: TokenError | undefined): Answer {
  const { code, message } = failure ?? new TokenError('unavailable', 'a bug in the agent: its log says more')
  const isLater = code === 'unavailable' || code === 'proof'
  const forbidden = request.kind === 'identity' ? 404 : 403
  const status = isLater ? 503 : forbidden
  const wait = Math.max(retryAfterSecondsMin, Math.ceil((failure?.retryAfterMs ?? 0) / 1000))
  const headers: Record<string, string> = isLater ? { 'retry-after': String(wait) } : {}
  if (request.kind !== 'plain token')
    return { status, type: 'text/plain', text: `downscope agent: ${message}\n`, headers }
  const document = { error: failure?.error ?? 'temporarily_unavailable', error_description: message }
  return { status, type: json, text: JSON.stringify(document), headers }
}
