import * as z from 'zod/mini'

import { plain } from './table.ts'

const byHand = z.object({ by: z.string(), since: z.string() })
const part = z.object({ status: z.string(), reason: z.optional(z.string()) })

const serviceAnswer = z.object({
  version: z.string(),
  time: z.string(),
  issuer: z.string(),
  stopped: z.optional(byHand),
  blocked_callers: z.number(),
  store: part,
  key_ring: part,
  policy: z.object({
    status: z.string(),
    reason: z.optional(z.string()),
    revision: z.optional(z.string()),
    origin: z.optional(z.string()),
    loaded_at: z.optional(z.string()),
  }),
  settings: z.record(z.string(), z.string()),
})

export type ServiceAnswer = z.infer<typeof serviceAnswer>

export function parseService(document: unknown): ServiceAnswer {
  return serviceAnswer.parse(document)
}

export function stopWords({ stopped }: Pick<ServiceAnswer, 'stopped'>): string {
  return stopped === undefined ? 'nobody gets a token' : plain(`by ${stopped.by}, ${stopped.since}`)
}

const stopAnswer = z.pick(serviceAnswer, { stopped: true })

export function parseStop(document: unknown): z.infer<typeof stopAnswer> {
  return stopAnswer.parse(document)
}
