import * as z from 'zod/mini'

import type { BlockedCaller, ByHand } from '../domain/blocks.ts'
import type { PartStatus, ServiceStatus } from '../lifecycle/service-status.ts'
import { formatTimestamp } from '../domain/time.ts'
import { timestamp } from './admin-documents.ts'

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

export function serviceDocument(status: ServiceStatus): z.input<typeof serviceSchema> {
  const { policy } = status
  return {
    version: status.version,
    time: formatTimestamp(status.now),
    issuer: status.issuer,
    ...stopDocument(status.stopped),
    blocked_callers: status.blockedCallers,
    store: part(status.store),
    key_ring: part(status.keyRing),
    policy: {
      ...part(policy),
      revision: policy.revision,
      origin: policy.origin,
      loaded_at: policy.loadedAt === undefined ? undefined : formatTimestamp(policy.loadedAt),
    },
    settings: { ...status.settings },
  }
}

export function stopDocument(stopped: ByHand | undefined): z.input<typeof stopSchema> {
  return {
    stopped: stopped === undefined ? undefined : { by: stopped.by, since: formatTimestamp(stopped.since) },
  }
}

export function blockedCallerDocument(caller: BlockedCaller): z.input<typeof blockedCallerSchema> {
  const { issuer, subject, by, since } = caller
  return { issuer, subject, by, since: formatTimestamp(since) }
}

function part({ ok, reason }: PartStatus): z.input<typeof partSchema> {
  return { status: ok ? 'ok' : 'fault', reason }
}
