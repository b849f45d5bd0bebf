import * as z from 'zod'

import { credentialName } from '../domain/credential.ts'
import { parsePublicJwk } from '../domain/public-jwk.ts'
import { quote } from '../domain/quote.ts'
import { isScopeToken } from '../domain/scopes.ts'
import { signingAlgorithms, type SigningAlgorithm } from '../domain/signing-algorithm.ts'
import { claimNameFault, patternFault } from './match-caller.ts'
import { nearMiss } from './near-miss.ts'

// What the document may look like, key by key (docs/policy.md). What its parts mean together is judged elsewhere.

/** An object of exactly these members. Its message for unknown ones has a line for each, in the order of `keys`. */
function exactly<Shape extends z.ZodRawShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> {
  const known = Object.keys(shape)
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => unknownKey(key, known)).join('\n')
        : undefined,
  })
}

function unknownKey(key: string, known: readonly string[]): string {
  const meant = nearMiss(key, known)
  const hint = meant === undefined ? `known here: ${known.join(', ')}` : `did you mean ${quote(meant)}?`
  return `unknown key ${quote(key)}; ${hint}`
}

/** Text for which `faultOf` finds nothing to say. */
function textWithout(faultOf: (text: string) => string | undefined): z.ZodString {
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

const jwk = z.unknown().transform((value, context) => {
  const judgement = parsePublicJwk(value)
  if (judgement.ok) return judgement.key
  context.addIssue(judgement.fault)
  return z.NEVER
})

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

export const issuerSchema = exactly({
  name: plainText,
  issuer: plainText,
  self_issued: z.boolean().default(false),
  keys: exactly({
    discovery: z.literal(true).optional(),
    jwks_uri: plainText.optional(),
    jwks: exactly({ keys: z.array(jwk).min(1) }).optional(),
  }),
  audiences: z.array(plainText).min(1).optional(),
  algorithms: z
    .array(algorithm)
    .min(1)
    .default([...defaultAlgorithms]),
  lifetime_seconds_max: z.int().min(1).max(dayInSeconds).default(defaultLifetimeSeconds),
  replay: z.enum(['once', 'allowed']).default('once'),
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
  claims: z
    .record(
      textWithout((name) => claimNameFault(name)),
      claimValue,
    )
    .default({}),
})

const callers = z.array(callerSchema).min(1)

const boundaryRule = exactly({
  availableResource: z.string(),
  availablePermissions: z.array(z.string()),
  availabilityCondition: exactly({
    expression: z.string(),
    title: z.string().optional(),
    description: z.string().optional(),
  }).optional(),
})

export const ruleSchema = exactly({
  name: plainText,
  callers,
  credential: textWithout((text) =>
    credentialName.test(text)
      ? undefined
      : 'must be 1 to 63 of a-z, 0-9, ".", "_" and "-", a letter or digit first',
  ),
  scopes: z.array(scope).default([]),
  excess_scopes: z.enum(['refuse', 'drop']).default('refuse'),
  lifetime_seconds_max: z.int().min(1).max(dayInSeconds).optional(),
  token_types: z
    .array(z.enum(['access_token', 'id_token']))
    .min(1)
    .default(['access_token']),
  id_token_audiences: z.array(plainText).default([]),
  subjects: z.array(pattern).default([]),
  boundary: z.array(boundaryRule).default([]),
})

export const adminSchema = exactly({ callers, role: z.enum(['viewer', 'operator', 'admin']) })

/** The outermost keys; what is in the lists is read entry by entry, so that one bad entry hides no fault of another. */
export const policySchema = exactly({
  version: z.literal(1),
  issuers: z.array(z.unknown()),
  rules: z.array(z.unknown()).optional(),
  admins: z.array(z.unknown()).optional(),
})

export type IssuerEntry = z.output<typeof issuerSchema>
export type RuleEntry = z.output<typeof ruleSchema>
export type CallerEntry = z.output<typeof callerSchema>
export type AdminEntry = z.output<typeof adminSchema>
