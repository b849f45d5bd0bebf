import * as z from 'zod/mini'

import { timestamp } from './timestamp.ts'

/** `stale`: a newer document is broken and the last good one stays in force. */
export const policySchema = z.object({
  revision: z.string(),
  origin: z.string(),
  status: z.enum(['current', 'stale']),
  fault: z.optional(z.string()),
  /** Of that document, where it could be read: the `ETag` is its, and who applies another replaces it. */
  latest_revision: z.optional(z.string()),
  loaded_at: timestamp,
  document: z.string(),
})

const warnings = z.array(z.object({ line: z.int(), column: z.int(), path: z.string(), text: z.string() }))

export const appliedPolicySchema = z.object({ revision: z.string(), warnings })

export const validPolicySchema = z.object({ valid: z.literal(true), warnings })

export type PolicyDocument = z.input<typeof policySchema>
export type AppliedPolicyDocument = z.input<typeof appliedPolicySchema>
export type ValidPolicyDocument = z.input<typeof validPolicySchema>
