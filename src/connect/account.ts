import { fault, type Result } from '../domain/result.ts'
import type { Account } from '../domain/credential.ts'
import { claimsOf, isMembers, parseJsonObject, type Members } from '../domain/json.ts'
import type { AccountEndpoint, Upstream } from '../domain/upstream.ts'
import type { ConnectDeps } from './connect-deps.ts'
import type { RedeemedCode } from '../oauth/redeem-code.ts'

export interface WhoseGrant {
  readonly upstream: Upstream
  readonly tokens: RedeemedCode
  /** The client that the ID token has to be for. */
  readonly clientId: string
  readonly nonce: string
}

const skewSeconds = 60
const timeoutMs = 5_000
const answerBytesMax = 64 * 1024

/**
 * Whose account a grant is of: by the ID token, which comes straight from the token endpoint (OpenID Connect Core
 * §3.1.3.7), or by the upstream's own endpoint. An e-mail address names it only where it is verified (T15).
 */
export async function judgeAccount(
  deps: ConnectDeps,
  whose: WhoseGrant,
): Promise<Result<Account | undefined>> {
  const { consent, name } = whose.upstream
  if (consent?.account !== undefined) return askAccount(deps, consent.account, whose)
  const { idToken } = whose.tokens
  if (idToken === undefined) return { ok: true, value: undefined }
  const claims = claimsOf(idToken)
  const wrong = claims === undefined ? 'is no JWT' : faultOf(claims, whose, deps.clock.now())
  if (claims === undefined || wrong !== undefined) return fault(`the ID token of ${name} ${wrong ?? ''}`)
  const subjectClaims = consent?.subjectClaims ?? ['sub']
  const parts = subjectClaims.map((claim) => claims[claim])
  if (!parts.every((part) => typeof part === 'string' && part !== ''))
    return fault(`the ID token of ${name} lacks ${subjectClaims.join(' or ')}`)
  const subject = parts.join('/')
  const { email } = claims
  const isVerified = claims['email_verified'] === true && typeof email === 'string' && email !== ''
  return {
    ok: true,
    value: { issuer: String(claims['iss']), subject, name: isVerified ? email : subject },
  }
}

function faultOf(
  { iss, aud, azp, exp, nonce }: Members,
  { upstream, clientId, nonce: expected }: WhoseGrant,
  now: number,
): string | undefined {
  const issuers = upstream.name === 'google' ? [upstream.issuer, 'accounts.google.com'] : [upstream.issuer]
  if (typeof iss !== 'string' || !issuers.includes(iss)) return 'is of another issuer'
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  if (!audiences.includes(clientId) || (audiences.length > 1 && azp !== clientId))
    return 'is for another client'
  if (typeof exp !== 'number' || exp + skewSeconds <= now) return 'has expired'
  return nonce === expected ? undefined : 'belongs to another consent'
}

async function askAccount(
  { http, log }: ConnectDeps,
  { url, method, subject: subjectAt, name: nameAt }: AccountEndpoint,
  { tokens, upstream }: WhoseGrant,
): Promise<Result<Account | undefined>> {
  const headers = {
    authorization: `Bearer ${tokens.accessToken.reveal()}`,
    accept: 'application/json',
    'user-agent': 'downscope',
  }
  const result = await http({ method, url, headers, timeoutMs, maxBytes: answerBytesMax })
  const silent = `${upstream.name} did not say whose account it is`
  if (result.kind === 'failure' || result.status !== 200) {
    const why = result.kind === 'failure' ? result.cause : `status ${result.status}`
    log('warn', 'an upstream does not say who consented', { upstream: upstream.name, why })
    return fault(`${silent} (${why})`)
  }
  const members = parseJsonObject(result.body)
  const [subject, name] = [textAt(members, subjectAt), textAt(members, nameAt)]
  if (subject === undefined) return fault(silent)
  return { ok: true, value: { issuer: upstream.name, subject, name: name ?? subject } }
}

/** What a JSON Pointer of a preset leads to, as text. */
function textAt(members: unknown, pointer: string): string | undefined {
  let found: unknown = members
  for (const step of pointer.split('/').slice(1)) found = isMembers(found) ? found[step] : undefined
  if (typeof found === 'number') return String(found)
  return typeof found === 'string' && found !== '' ? found : undefined
}
