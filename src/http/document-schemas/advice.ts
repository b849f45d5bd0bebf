import * as z from 'zod/mini'

import { credentialKinds, credentialStates } from '../../domain/credential.ts'
import { tokenTypes } from '../../domain/exchange-request.ts'
import { ruleMembers } from '../../domain/policy-suggestion.ts'

const texts = z.array(z.string())

const failedSchema = z.object({ condition: z.string(), wanted: z.string(), found: z.string() })

/** `refused_then`: of a request id, what was decided at the time; the rest is what would be decided now. */
export const explanationSchema = z.object({
  outcome: z.enum(['granted', 'refused']),
  error: z.optional(z.string()),
  reason: z.optional(z.string()),
  condition: z.optional(z.string()),
  caller: z.object({ issuer: z.string(), issuer_name: z.optional(z.string()), subject: z.string() }),
  credential: z.optional(
    z.object({
      name: z.string(),
      kind: z.optional(z.enum(credentialKinds)),
      state: z.optional(z.enum(credentialStates)),
      version: z.optional(z.string()),
    }),
  ),
  rules: z.array(
    z.object({
      rule: z.string(),
      outcome: z.enum(['decides', 'does_not_match', 'not_reached']),
      failed: z.array(failedSchema),
    }),
  ),
  token: z.optional(
    z.object({
      token_type: z.enum(tokenTypes),
      scopes: texts,
      audience: z.optional(z.string()),
      subject: z.optional(z.string()),
      access_boundary_rules: z.optional(z.array(z.unknown())),
      lifetime_seconds_max: z.optional(z.number()),
      upstream: z.string(),
    }),
  ),
  narrowest_scopes: z.optional(texts),
  hints: texts,
  refused_then: z.optional(
    z.object({ at: z.string(), error: z.string(), reason: z.string(), condition: z.optional(z.string()) }),
  ),
})

export const suggestionSchema = z.object({
  days: z.number(),
  observed_since: z.optional(z.string()),
  rules: z.array(
    z.object({
      rule: z.string(),
      credential: z.string(),
      advice: z.enum(['keep', 'narrow', 'remove']),
      last_used: z.optional(z.string()),
      changes: z.array(z.object({ member: z.enum(ruleMembers), now: texts, enough: texts })),
      notes: texts,
    }),
  ),
  unused_credentials: texts,
})

export type ExplanationDocument = z.input<typeof explanationSchema>
export type SuggestionDocument = z.input<typeof suggestionSchema>
