import * as z from 'zod/mini'

import { timestamp } from './timestamp.ts'

const partSchema = z.object({ status: z.enum(['ok', 'fault']), reason: z.optional(z.string()) })
const byHandSchema = z.object({ by: z.string(), since: timestamp })

/** `stopped` is there as long as the service is. */
export const stopSchema = z.object({ stopped: z.optional(byHandSchema) })

export const serviceSchema = z.object({
  version: z.string(),
  time: timestamp,
  issuer: z.string(),
  stopped: z.optional(byHandSchema),
  blocked_callers: z.int(),
  store: partSchema,
  key_ring: partSchema,
  policy: z.object({
    ...partSchema.shape,
    revision: z.optional(z.string()),
    origin: z.optional(z.string()),
    loaded_at: z.optional(timestamp),
  }),
  settings: z.record(z.string(), z.string()),
})

export const blockedCallerSchema = z.object({
  issuer: z.string(),
  subject: z.string(),
  by: z.string(),
  since: timestamp,
})

export const blockedCallersSchema = z.object({ callers: z.array(blockedCallerSchema) })

export type StopDocument = z.input<typeof stopSchema>
export type ServiceDocument = z.input<typeof serviceSchema>
export type BlockedCallerDocument = z.input<typeof blockedCallerSchema>
export type BlockedCallersDocument = z.input<typeof blockedCallersSchema>
