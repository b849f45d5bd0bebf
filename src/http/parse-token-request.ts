import { tokenTypes, type TokenType, type ExchangeRequest, type Proof } from '../domain/exchange-request.ts'
import { BrokerError, requestMalformed } from '../domain/broker-error.ts'
import { parseScope, type ScopeSet } from '../domain/scopes.ts'
import { Secret } from '../domain/secret.ts'
import { seconds, type Seconds } from '../domain/time.ts'
import { trimAsciiSpace } from '../domain/text.ts'
import { missing, parseForm, type Form, type FormMessage } from './parse-form.ts'
import * as z from 'zod/mini'
import type { AccessBoundary } from '../domain/access-boundary.ts'
import { isMembers, parseStrictJsonObject } from '../domain/json.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/**
 * RFC 8693 §3, and a name of our own for what is no token: `urn:ietf:params:oauth:token-type` is the IETF's to give.
 */
export const tokenTypeUrns: Readonly<Record<AskedType, string>> = {
  access_token: 'urn:ietf:params:oauth:token-type:access_token',
  id_token: 'urn:ietf:params:oauth:token-type:id_token',
  api_key: 'urn:downscope:params:oauth:token-type:api_key',
}

/** What is signed comes by other routes (`iam-routes.ts`). */
export type AskedType = Exclude<TokenType, 'signature'>

const askedTypes = tokenTypes.filter((tokenType) => tokenType !== 'signature')

/** `undefined` for a URN that means nothing here. */
function tokenTypeOf(urn: string): AskedType | undefined {
  return askedTypes.find((tokenType) => tokenTypeUrns[tokenType] === urn)
}

export const tokenExchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'
export const clientCredentialsGrant = 'client_credentials'

/**
 * One proof of identity and what it asks for, or a refusal: nothing that could change the meaning is skipped over.
 * Throws `request_malformed`, `grant_type_unsupported`, and `scope_refused` for a scope that is none (RFC 6749 §5.2).
 * Source: RFC 6749 §3.2 and §4.4, RFC 7521 §4.2, RFC 8693 §2.1, RFC 8707 §2.
 */
export function parseTokenRequest({ contentType, text }: FormMessage): ExchangeRequest {
  const form = parseForm({ contentType, text })
  const proof = parseProof(form)
  // Delegation chains are not supported, and a token that silently leaves the actor out is not what was asked for.
  if (form.has('actor_token') || form.has('actor_token_type'))
    throw requestMalformed('actor_token is not supported')

  const tokenType = parseTokenType(form)
  const resource = parseResource(form, tokenType)
  const subject = bounded(form, 'requested_subject', 320)
  const lifetime = parseLifetime(form)
  const boundary = parseOptions(form.get('options'))
  if (boundary !== undefined && tokenType !== 'access_token')
    throw requestMalformed('only an access token can have an access boundary')
  const scopes = parseScopes(form)
  if (scopes.length > 0 && tokenType === 'api_key') throw requestMalformed('an API key has no scope')
  return {
    proof,
    target: bounded(form, 'audience', 2_048) ?? missing('audience'),
    scopes,
    tokenType,
    ...omitUndefined({ resource, subject, lifetime, boundary }),
  }
}

/** Who asks, if no grant type says in which form they prove it. */
export function parseCallerProof(form: Form): Proof {
  const isSubjectToken = form.has('subject_token') || form.has('subject_token_type')
  return isSubjectToken ? parseSubjectToken(form, plainTypes) : parseClientAssertion(form)
}

function parseProof(form: Form): Proof {
  const grantType = form.get('grant_type') ?? missing('grant_type')
  switch (grantType) {
    case tokenExchangeGrant:
      return parseExchangedToken(form)
    case clientCredentialsGrant:
      if (!form.has('subject_token')) requireClientAssertion(form)
      return parseClientAssertion(form)
    default:
      throw new BrokerError('grant_type_unsupported', {
        reason: 'grant_type is neither token-exchange nor client_credentials',
      })
  }
}

/** Whether the issuer's entry takes access tokens at all is not known yet. */
function parseExchangedToken(form: Form): Proof {
  const proof = parseSubjectToken(form, [...plainTypes, tokenTypeUrns.access_token])
  switch (form.get('subject_token_type')) {
    case tokenTypeUrns.access_token:
      return { ...proof, accessToken: 'access_token' }
    case tokenTypeUrns.id_token:
      return proof
    default:
      return { ...proof, accessToken: 'marked' }
  }
}

const plainTypes = ['urn:ietf:params:oauth:token-type:jwt', tokenTypeUrns.id_token] as const

/** RFC 6749 §5.2: without client authentication that we know, whatever header came in its place. */
function requireClientAssertion(form: Form): void {
  if (trimAsciiSpace(form.get('client_assertion') ?? '') !== '') return
  throw new BrokerError('client_assertion_rejected', {
    reason: 'the request has no client assertion',
    publicDetail: 'client_assertion is missing: prove who you are with a signed JWT (RFC 7523)',
  })
}

function parseSubjectToken(form: Form, types: readonly string[]): Proof {
  if (form.has('client_assertion') || form.has('client_assertion_type'))
    throw requestMalformed('subject_token and client_assertion are two proofs of identity; send one')
  const type = form.get('subject_token_type') ?? missing('subject_token_type')
  if (!types.includes(type))
    throw requestMalformed('subject_token_type must be urn:ietf:params:oauth:token-type:jwt or :id_token')
  // client_id names an OAuth client; who the caller is, the subject token says.
  return { form: 'subject_token', assertion: parseJwt(form, 'subject_token') }
}

function parseClientAssertion(form: Form): Proof {
  if (form.has('subject_token') || form.has('subject_token_type'))
    throw requestMalformed('subject_token and client_assertion are two proofs of identity; send one')
  const type = form.get('client_assertion_type') ?? missing('client_assertion_type')
  if (type !== 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
    throw requestMalformed(
      'client_assertion_type must be urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    )
  const clientId = bounded(form, 'client_id', 1_024)
  const assertion = parseJwt(form, 'client_assertion')
  return { form: 'client_assertion', assertion, ...omitUndefined({ clientId }) }
}

/** Node's and Python's clients send a file's last newline along. */
function parseJwt(form: Form, name: 'subject_token' | 'client_assertion'): Secret {
  const jwt = trimAsciiSpace(form.get(name) ?? '')
  return jwt === '' ? missing(name) : new Secret(jwt)
}

function parseTokenType(form: Form): TokenType {
  const asked = form.get('requested_token_type')
  const tokenType = asked === undefined ? 'access_token' : tokenTypeOf(asked)
  if (tokenType === undefined)
    throw requestMalformed(`requested_token_type must be one of ${Object.values(tokenTypeUrns).join(', ')}`)
  return tokenType
}

function parseScopes(form: Form): ScopeSet {
  const scopes = parseScope(bounded(form, 'scope', 8_192) ?? '')
  if (scopes === undefined)
    throw new BrokerError('scope_refused', {
      reason: 'scope has a character outside RFC 6749 section 3.3',
      publicDetail: 'scope has a character outside RFC 6749 section 3.3',
    })
  return scopes
}

/** RFC 8707 §2: an absolute URI without a fragment. An access token cannot be held to one, so there it is refused. */
function parseResource(form: Form, tokenType: TokenType): string | undefined {
  const resource = bounded(form, 'resource', 2_048)
  if (resource === undefined) return undefined
  if (tokenType !== 'id_token')
    throw requestMalformed('resource is for an ID token; audience names the credential')
  if (!/^[a-z][a-z0-9+.-]*:[!$-;=?-[\]_a-z~]+$/i.test(resource) || !URL.canParse(resource))
    throw requestMalformed('resource must be an absolute URI without a fragment')
  return resource
}

function parseLifetime(form: Form): Seconds | undefined {
  const lifetime = form.get('requested_lifetime')
  if (lifetime === undefined) return undefined
  if (!/^[1-9]\d{0,8}$/.test(lifetime))
    throw requestMalformed('requested_lifetime must be a whole number of seconds')
  return seconds(Number(lifetime))
}

function bounded(form: Form, name: string, charactersMax: number): string | undefined {
  const value = form.get(name)
  if (value !== undefined && value.length > charactersMax)
    throw requestMalformed(`${name} is longer than ${charactersMax} characters`)
  return value
}

/**
 * The boundary in Google's `options` parameter, or nothing where it has none. Members beside it that cannot widen a token
 * are ignored, as Google's clients send some; within it, and where its name is almost right, nothing is skipped over,
 * because then the token would be wider than was asked for. Throws `request_malformed`.
 */
export function parseOptions(text: string | undefined): AccessBoundary | undefined {
  return text === undefined ? undefined : parseAccessBoundary(parseJson(text))
}

/** Likewise, of what the JSON means. */
export function parseAccessBoundary(options: unknown): AccessBoundary | undefined {
  const parsed = optionsDocument.safeParse(options)
  const almost = isMembers(options) ? Object.keys(options).find(isAlmostBoundary) : undefined
  if (almost !== undefined) throw requestMalformed('options has an unknown member')
  if (parsed.success) return parsed.data.accessBoundary?.accessBoundaryRules
  const [issue] = parsed.error.issues
  const place = issue?.path.join('.') ?? ''
  const fault =
    issue?.code === 'unrecognized_keys' ? 'has an unknown member' : 'is missing or of a wrong form'
  throw requestMalformed(`options${place === '' ? '' : `.${place}`} ${fault}`)
}

// Limits as in Google's documentation of Credential Access Boundaries: ten rules, conditions of 2,048 characters.
const boundaryCharactersMax = 2_048

const boundaryRule = z.strictObject({
  availableResource: textOf(1, boundaryCharactersMax),
  availablePermissions: z
    .array(z.string().check(z.regex(/^inRole:\S+$/), z.maxLength(200)))
    .check(z.minLength(1), z.maxLength(100)),
  availabilityCondition: z.exactOptional(
    z.strictObject({
      expression: textOf(1, boundaryCharactersMax),
      title: z.exactOptional(textOf(0, 200)),
      description: z.exactOptional(textOf(0, boundaryCharactersMax)),
    }),
  ),
})

// Beside it: `userProject` of workforce pools, `bindCertFingerprint` of google-auth for Python 2.52 and newer.
const optionsDocument = z.object({
  accessBoundary: z.optional(
    // None at all would allow nothing, or, misread, everything.
    z.strictObject({ accessBoundaryRules: z.array(boundaryRule).check(z.minLength(1), z.maxLength(10)) }),
  ),
})

function isAlmostBoundary(name: string): boolean {
  return name !== 'accessBoundary' && name.replaceAll(/[^A-Za-z]/g, '').toLowerCase() === 'accessboundary'
}

function textOf(charactersMin: number, charactersMax: number): z.ZodMiniString {
  return z.string().check(z.minLength(charactersMin), z.maxLength(charactersMax))
}

/** Python's client percent-encodes the JSON once more before the form encoding does. */
function parseJson(text: string): unknown {
  const judged = parseStrictJsonObject(text.startsWith('%') ? percentDecoded(text) : text)
  if (!judged.ok) throw requestMalformed(`options ${judged.fault}`)
  return judged.value
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
