import { BrokerError, type BrokerErrorCode } from '../domain/broker-error.ts'
import { parseRetryAfter, seconds, until, type EpochSeconds, type Seconds } from '../domain/time.ts'
import type { Secret } from '../domain/secret.ts'
import type { HttpAnswer, HttpFailure } from '../ports/http-client.ts'
import { isTransientStatus, type UpstreamReply } from './send-with-retry.ts'
import { isMembers, parseJsonObject } from '../domain/json.ts'

/** What to tell callers to wait when the upstream named no time itself. */
const retryAfterDefault = seconds(2)
/** Google's servers do not all know a new key at once (docs/google.md §1.3). */
const keySpreadsFor = seconds(60)
const retryAfterNewKey = seconds(5)

export interface UpstreamFailure {
  readonly error: BrokerError
  /** Whether the credential itself was refused, as against this one request. */
  readonly blamesCredential: boolean
}

export interface FailureContext {
  readonly now: EpochSeconds
  /** What we sent: never quoted back. */
  readonly secrets: readonly Secret[]
  /** Whether the request named a user to act for, who may be the one that is refused. */
  readonly actsForUser?: boolean
  /** When the credential version was added. */
  readonly versionCreatedAt?: EpochSeconds
  /** The upstream's own names for `invalid_grant`. */
  readonly invalidGrantErrors?: readonly string[]
}

/** Judges every reply of a token endpoint that is not a 200. The reason says what the upstream said, never a secret. */
export function judgeFailure(reply: UpstreamReply, context: FailureContext): UpstreamFailure {
  switch (reply.kind) {
    case 'not_sent':
      return spared(unavailable(reply.reason, reply.retryAfter))
    case 'failure':
      return spared(errorOfTransport(reply.failure))
    case 'answer':
      return judgeAnswer(reply.answer, context)
  }
}

function unavailable(reason: string, retryAfter: Seconds = retryAfterDefault): BrokerError {
  return new BrokerError('upstream_unavailable', { reason, retryAfter })
}

export function invalidResponse(reason: string): BrokerError {
  return new BrokerError('upstream_nonsense', { reason })
}

function errorOfTransport({ cause, detail }: HttpFailure): BrokerError {
  switch (cause) {
    case 'timeout':
    case 'network':
      return unavailable(`no answer from the upstream (${cause}): ${detail}`)
    case 'too_large':
    case 'redirect':
      return invalidResponse(`the upstream's answer is unusable (${cause}): ${detail}`)
  }
}

function judgeAnswer(answer: HttpAnswer, context: FailureContext): UpstreamFailure {
  const fault = readOAuthError(answer)
  const said = `the upstream answered ${answer.status}${fault === undefined ? '' : quoteFault(fault, context)}`
  if (isTransientStatus(answer.status) || (fault !== undefined && transientErrors.has(fault.error)))
    return spared(
      unavailable(said, parseRetryAfter(answer.header('retry-after'), context.now) ?? retryAfterDefault),
    )
  if (fault === undefined) return spared(invalidResponse(`${said} without an OAuth error`))
  if (fault.error === 'invalid_grant' || context.invalidGrantErrors?.includes(fault.error) === true)
    return judgeInvalidGrant(fault, said, context)
  const toDelegate = context.actsForUser === true ? delegationHint(fault) : undefined
  if (toDelegate !== undefined)
    return spared(new BrokerError('target_unavailable', { reason: `${said}: ${toDelegate}` }))
  if (clientRefused.has(fault.error)) return blamed(`${said}: the OAuth client is refused`)
  const configured = configurationFaults.get(fault.error)
  if (configured === undefined) return spared(invalidResponse(said))
  return spared(new BrokerError(configured.code, { reason: `${said}: ${configured.hint}` }))
}

function judgeInvalidGrant(fault: OAuthError, said: string, context: FailureContext): UpstreamFailure {
  const description = fault.description ?? ''
  // docs/google.md §1.3: the fourth member decides, whatever the text says.
  if (/^(?:invalid_rapt|rapt_required)$/.test(fault.subtype ?? ''))
    return blamed(
      `${said}: the Workspace session ended; exempt the app from session control or consent again`,
    )
  if (/^Invalid JWT Signature/i.test(description) && isNewVersion(context))
    return spared(
      unavailable(`${said}: the key is new and may not be known everywhere yet`, retryAfterNewKey),
    )
  if (/reasonable timeframe/i.test(description))
    return spared(unavailable(`${said}: the broker's clock is off, or the upstream's`))
  if (/audience check/i.test(description)) return spared(invalidResponse(said))
  const aboutUser = context.actsForUser === true && !accountFault.test(description)
  if (aboutUser)
    return spared(
      new BrokerError('target_unavailable', {
        reason: `${said}: ${delegationHint(fault) ?? 'about the user to act for'}`,
      }),
    )
  return blamed(said)
}

function isNewVersion({ versionCreatedAt, now }: FailureContext): boolean {
  return versionCreatedAt !== undefined && until(now, versionCreatedAt) < keySpreadsFor
}

function quoteFault(fault: OAuthError, { secrets }: FailureContext): string {
  const parts = [fault.error, fault.subtype, fault.description].filter((part) => part !== undefined)
  return ` ${quoteUpstream(parts.join(', '), secrets)}`
}

function spared(error: BrokerError): UpstreamFailure {
  return { error, blamesCredential: false }
}

function blamed(reason: string): UpstreamFailure {
  return { error: new BrokerError('target_unavailable', { reason }), blamesCredential: true }
}

/** Texts about the service account, not about the user it acts for. */
const accountFault =
  /JWT Signature|No valid verifier|Robot is disabled|The account has been deleted|grant: account not found/i

const transientErrors: ReadonlySet<string> = new Set([
  'internal_failure',
  'server_error',
  'temporarily_unavailable',
  'RESOURCE_EXHAUSTED',
  'UNAVAILABLE',
  'INTERNAL',
  'DEADLINE_EXCEEDED',
])

const clientRefused: ReadonlySet<string> = new Set(['invalid_client', 'deleted_client', 'disabled_client'])

interface ConfigurationFault {
  readonly code: BrokerErrorCode
  readonly hint: string
}

const notAllowed: ConfigurationFault = {
  code: 'target_unavailable',
  hint: 'the client may not have this: another client got the token, or access policies upstream forbid it',
}
const administrator: ConfigurationFault = {
  code: 'target_unavailable',
  hint: 'an administrator upstream has to allow this app or API',
}

/** Not the credential's fault, and no retry helps: something has to be changed upstream. */
const configurationFaults: ReadonlyMap<string, ConfigurationFault> = new Map([
  ['invalid_scope', { code: 'scope_refused', hint: 'a scope is unknown, or was not consented literally' }],
  ['unauthorized_client', notAllowed],
  ['access_denied', notAllowed],
  [
    'invalid_request',
    { code: 'target_unavailable', hint: 'the user to act for, or the boundary, is not accepted' },
  ],
  ['invalid_target', { code: 'target_unavailable', hint: 'the target is not accepted' }],
  ['org_internal', administrator],
  ['admin_policy_enforced', administrator],
  ['access_not_configured', administrator],
  ['PERMISSION_DENIED', administrator],
])

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
    ...(typeof description === 'string' && { description }),
    ...(typeof subtype === 'string' && { subtype }),
  }
}

const inTheConsole =
  'in the Admin console, Security, API controls, Domain-wide delegation, the numeric client id of the account needs'

interface Hint {
  readonly error: string
  readonly says: RegExp
  readonly todo: string
}

/** In Google's own words (docs/google.md §1.3); the first that fits. */
const hints: readonly Hint[] = [
  {
    error: 'unauthorized_client',
    says: /(?:)/,
    todo: `nothing of this is delegated to the account: ${inTheConsole} exactly these scopes; that takes up to a day`,
  },
  {
    error: 'access_denied',
    says: /restricted/i,
    todo: 'context-aware access keeps the user or the app out: an administrator has to change the access level',
  },
  {
    error: 'access_denied',
    says: /(?:)/,
    todo: `at least one of these scopes is not delegated to the account: ${inTheConsole} every one of them, word for word`,
  },
  {
    error: 'invalid_grant',
    says: /^(?:Not a valid email|Invalid email or User ID)/i,
    todo: 'the user to act for does not exist, is suspended, or is in a domain that delegates nothing',
  },
  {
    error: 'invalid_grant',
    says: /^Account has been deleted/i,
    todo: 'the user to act for was deleted or suspended',
  },
  {
    error: 'invalid_request',
    says: /\b(?:sub|prn)\b/,
    todo: "requested_subject must be a user's e-mail address",
  },
]

/** What has to be configured before the service account can act for a user; `undefined` for any other failure. */
function delegationHint({ error, description = '' }: OAuthError): string | undefined {
  return hints.find((hint) => hint.error === error && hint.says.test(description))?.todo
}

const quotedMax = 200
const cut = '[cut]'
/** Any run of 20 such characters may be a piece of a token … */
const tokenLike = /https:\/\/www\.googleapis\.com\/auth\/[\w.-]+|[A-Za-z0-9_+/=-]{20,}/g
/** … but for Google's scopes and for OAuth's error names. */
const harmless =
  /^(?:https:\/\/www\.googleapis\.com\/auth\/[a-z]{1,20}(?:[._-][a-z]{1,20}){0,5}|[a-z]{1,16}(?:_[a-z]{1,16}){1,4})$/

/**
 * An upstream's own words as they may stand in a log: printable ASCII, at most 200 characters, without any of
 * `secrets` (what we sent) and without anything that looks like a token.
 */
export function quoteUpstream(text: string, secrets: readonly Secret[]): string {
  // Short words would be cut out of every sentence, and are no secret.
  const sent = secrets.map((secret) => secret.reveal()).filter((secret) => secret.length >= 4)
  const withoutSent = sent.reduce((rest, secret) => rest.replaceAll(secret, cut), text)
  const withoutTokens = withoutSent.replace(tokenLike, (run) => (harmless.test(run) ? run : cut))
  const printable = withoutTokens.replace(/[^\x20-\x7E]+/g, ' ').trim()
  return printable.length > quotedMax ? `${printable.slice(0, quotedMax - 3)}...` : printable
}
