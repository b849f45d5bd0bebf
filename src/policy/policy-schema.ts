import * as z from 'zod/mini'
import { credentialName } from '../domain/credential.ts'
import { tokenTypes } from '../domain/exchange-request.ts'
import { keyUses, parsePublicJwk, signingAlgorithms, type SigningAlgorithm } from '../domain/jwk.ts'
import { acceptedTokenKinds, adminRoles } from '../domain/policy.ts'
import { bucketPattern } from '../domain/signable.ts'
import { quote, closestMatch } from '../domain/text.ts'
import { isScopeToken } from '../domain/scopes.ts'
import { clientAuthentications } from '../domain/upstream.ts'
import { claimNameFault } from '../domain/caller.ts'
import { patternFault } from './match-caller.ts'
import { keptFaultsMax } from './policy-faults.ts'

// What the document may look like, key by key (docs/policy.md). What its parts mean together is judged elsewhere.

/** An object of exactly these members. Its message for unknown ones has a line for each, in the order of `keys`. */
function exactly<Shape extends z.core.$ZodShape>(shape: Shape): z.ZodMiniObject<Shape, z.core.$strict> {
  const known = Object.keys(shape)
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys
            .slice(0, keptFaultsMax)
            .map((key) => unknownKey(key, known))
            .join('\n')
        : undefined,
  })
}

function unknownKey(key: string, known: readonly string[]): string {
  const meant = closestMatch(key, known)
  const hint = meant === undefined ? `known here: ${known.join(', ')}` : `did you mean ${quote(meant)}?`
  return `unknown key ${quote(key)}; ${hint}`
}

/** Text for which `faultOf` finds nothing to say. */
function textWithout(faultOf: (text: string) => string | undefined): z.ZodMiniString {
  return z.string().check((context) => {
    const message = faultOf(context.value)
    if (message !== undefined) context.issues.push({ code: 'custom', input: '', message })
  })
}

const charactersMax = 2048

const plainText = textWithout((text) => {
  if (text === '' || text.length > charactersMax) return `must have 1 to ${charactersMax} characters`
  return text === text.trim() && !/\p{Cc}/v.test(text)
    ? undefined
    : 'must not begin or end with white space, nor contain control characters'
})

const pattern = plainText.check((context) => {
  const message = patternFault(context.value)
  if (message !== undefined) context.issues.push({ code: 'custom', input: '', message })
})

const scope = textWithout((text) =>
  isScopeToken(text) ? undefined : 'must be one scope: visible ASCII characters without space, " or \\',
)

const jwk = z.pipe(
  z.unknown(),
  z.transform((value, context) => {
    const judgement = parsePublicJwk(value)
    if (judgement.ok) return judgement.value
    context.issues.push({ code: 'custom', input: '', message: judgement.fault })
    return z.NEVER
  }),
)

const algorithm = z.enum(signingAlgorithms, {
  error: ({ input }) => {
    if (input === 'none') return '"none" is no signature'
    if (typeof input === 'string' && /^HS\d+$/.test(input))
      return `${quote(input)} is symmetric: whoever verifies could sign`
    return `must be one of ${signingAlgorithms.join(', ')}`
  },
})

// ES384 costs nine times an ES256 to verify, and is off until it is asked for.
const defaultAlgorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const satisfies readonly SigningAlgorithm[]
const defaultLifetimeSeconds = 300
const dayInSeconds = 86_400
const lifetimeSeconds = z.int().check(z.minimum(1), z.maximum(dayInSeconds))

export const issuerSchema = exactly({
  name: plainText,
  issuer: plainText,
  self_issued: z._default(z.boolean(), false),
  keys: exactly({
    discovery: z.optional(z.literal(true)),
    jwks_uri: z.optional(plainText),
    use: z.optional(z.enum(keyUses)),
    jwks: z.optional(exactly({ keys: z.array(jwk).check(z.minLength(1)) })),
  }),
  audiences: z.optional(z.array(plainText).check(z.minLength(1))),
  tolerated_audiences: z._default(z.array(plainText), []),
  accepts: z._default(z.array(z.enum(acceptedTokenKinds)), []),
  algorithms: z._default(z.array(algorithm).check(z.minLength(1)), [...defaultAlgorithms]),
  lifetime_seconds_max: z._default(lifetimeSeconds, defaultLifetimeSeconds),
  replay: z._default(z.enum(['once', 'allowed']), 'once'),
  trust_traceparent: z._default(z.boolean(), false),
})

const nameRule = 'must be 1 to 63 of a-z, 0-9, ".", "_" and "-", a letter or digit first'

/** Beside these every parameter may be added to a token request; these we send ourselves. */
const ownParameters = [
  'grant_type',
  'client_id',
  'client_secret',
  'client_assertion',
  'client_assertion_type',
  'refresh_token',
  'scope',
] as const

const extraParameter = textWithout((name) => {
  if (ownParameters.some((own) => own === name)) return `${quote(name)} is sent by the broker itself`
  return /^[a-zA-Z][\w.-]{0,63}$/.test(name) ? undefined : 'must be a parameter like audience or resource'
})

/** Those that guard the consent are made anew for each, and no policy sets them. */
const consentParameter = textWithout((name) => {
  const isOurs =
    /^(?:client_id|redirect_uri|response_type|response_mode|scope|state|nonce|code_challenge|request)/.test(
      name,
    )
  if (isOurs) return `${quote(name)} is set by the broker itself`
  return /^[a-zA-Z][\w.-]{0,63}$/.test(name) ? undefined : 'must be a parameter like access_type or prompt'
})

const pointer = textWithout((text) =>
  /^(?:\/[\w.-]+)+$/.test(text) ? undefined : 'must be a JSON Pointer like /id',
)

const word = textWithout((text) =>
  /^[\w.-]{1,64}$/.test(text) ? undefined : 'must be one word of letters, digits, ".", "_" and "-"',
)

export const upstreamSchema = exactly({
  name: textWithout((text) => {
    if (text === 'google') return '"google" is built in'
    return credentialName.test(text) ? undefined : nameRule
  }),
  issuer: z.optional(plainText),
  discovery: z.optional(z.literal(true)),
  token_endpoint: z.optional(plainText),
  revocation_endpoint: z.optional(plainText),
  introspection_endpoint: z.optional(plainText),
  jwks_uri: z.optional(plainText),
  client_auth: z.enum(clientAuthentications),
  client_assertion_audience: z.optional(z.enum(['issuer', 'token_endpoint'])),
  scope_separator: z._default(z.enum([' ', ',']), ' '),
  scope_in_refresh: z._default(z.enum(['send', 'omit']), 'send'),
  token_type: z._default(word, 'Bearer'),
  lifetime_seconds_default: z.optional(lifetimeSeconds),
  expires_in_text: z._default(z.boolean(), false),
  refresh_token_rotates: z._default(z.boolean(), true),
  errors_with_status_200: z._default(z.boolean(), false),
  invalid_grant_errors: z._default(z.array(word), []),
  accepts_roles: z._default(z.boolean(), false),
  extra_parameters: z._default(z.record(extraParameter, plainText), {}),
  authorization_endpoint: z.optional(plainText),
  authorization_parameters: z._default(z.record(consentParameter, plainText), {}),
  consent_scopes: z.optional(z.array(scope)),
  subject_claims: z.optional(z.array(plainText).check(z.minLength(1))),
  account_endpoint: z.optional(
    exactly({
      url: plainText,
      method: z._default(z.enum(['GET', 'POST']), 'GET'),
      subject: pointer,
      name: pointer,
    }),
  ),
})

const claimValue = z.union(
  [
    pattern,
    // Beyond 2^53 two different numbers of a token would read as the same one.
    z.number().check((context) => {
      if (Number.isInteger(context.value) && !Number.isSafeInteger(context.value))
        context.issues.push({ code: 'custom', input: '', message: 'is too large to be compared exactly' })
    }),
    z.boolean(),
    z.null(),
  ],
  { error: 'must be text, a number, true, false or null' },
)

const callerSchema = exactly({
  issuer: plainText,
  subject: pattern,
  claims: z._default(z.record(textWithout(claimNameFault), claimValue), {}),
})

const callers = z.array(callerSchema).check(z.minLength(1))

const boundaryRule = exactly({
  availableResource: z.string(),
  availablePermissions: z.array(z.string()),
  availabilityCondition: z.optional(
    exactly({
      expression: z.string(),
      title: z.optional(z.string()),
      description: z.optional(z.string()),
    }),
  ),
})

const bucket = textWithout((text) =>
  text === '*' || bucketPattern.test(text) ? undefined : 'must be the name of one bucket, or "*" for all',
)

export const ruleSchema = exactly({
  name: plainText,
  callers,
  credential: textWithout((text) => (credentialName.test(text) ? undefined : nameRule)),
  scopes: z._default(z.array(scope), []),
  excess_scopes: z._default(z.enum(['refuse', 'drop']), 'refuse'),
  implied_scopes: z._default(z.boolean(), true),
  lifetime_seconds_max: z.optional(lifetimeSeconds),
  token_types: z._default(z.array(z.enum(tokenTypes)).check(z.minLength(1)), ['access_token']),
  id_token_audiences: z._default(z.array(plainText), []),
  signature: z.optional(
    exactly({
      storage_buckets: z._default(z.array(bucket), []),
      jwt_audiences: z._default(z.array(plainText), []),
    }),
  ),
  subjects: z._default(z.array(pattern), []),
  boundary: z._default(z.array(boundaryRule), []),
})

export const adminSchema = exactly({ callers, role: z.enum(adminRoles) })

/** The outermost keys; what is in the lists is read entry by entry, so that one bad entry hides no fault of another. */
export const policyDocumentSchema = exactly({
  version: z.literal(1),
  issuers: z.array(z.unknown()),
  upstreams: z.optional(z.array(z.unknown())),
  rules: z.optional(z.array(z.unknown())),
  admins: z.optional(z.array(z.unknown())),
})

export type IssuerEntry = z.output<typeof issuerSchema>
export type UpstreamEntry = z.output<typeof upstreamSchema>
export type RuleEntry = z.output<typeof ruleSchema>
export type AdminEntry = z.output<typeof adminSchema>
