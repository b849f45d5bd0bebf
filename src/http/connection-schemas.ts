import * as z from 'zod/mini'
import { connectionStates } from '../domain/connection.ts'
import { timestamp } from './document-schemas.ts'

/** `url` is for whoever is to consent, `nonce` for whoever started it; neither is told again. */
export const startedConnectionSchema = z.object({
  id: z.string(),
  url: z.string(),
  nonce: z.string(),
  expires_at: timestamp,
})

/** `scopes` are those that came, once somebody consented; `reason` says why it was rejected. */
export const connectionSchema = z.object({
  id: z.string(),
  name: z.string(),
  upstream: z.string(),
  state: z.enum(connectionStates),
  account: z.optional(z.string()),
  scopes: z.optional(z.array(z.string())),
  asked_scopes: z.array(z.string()),
  expected_account: z.optional(z.string()),
  reason: z.optional(z.string()),
  created_at: timestamp,
  expires_at: timestamp,
})

/** Who asks, and what policy lets them do. */
export const whoamiSchema = z.object({ issuer: z.string(), subject: z.string(), role: z.string() })

export type WhoamiDocument = z.input<typeof whoamiSchema>
export type StartedConnectionDocument = z.input<typeof startedConnectionSchema>
export type ConnectionDocument = z.input<typeof connectionSchema>
