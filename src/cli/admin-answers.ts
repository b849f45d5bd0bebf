import * as z from 'zod/mini'
import { isMembers } from '../domain/json.ts'
import type { AdminClient } from './admin-client.ts'

// What the admin API answers, as far as the command line shows it. Members that a newer broker adds are ignored.

export const versionAnswer = z.object({
  id: z.string(),
  state: z.string(),
  identity: z.string(),
  key_id: z.optional(z.string()),
  created_at: z.string(),
  changed_at: z.string(),
  expires_at: z.optional(z.string()),
  removal: z.optional(z.object({ due_at: z.string() })),
})

const rotationAnswer = z.object({
  method: z.string(),
  step: z.string(),
  since: z.string(),
  next_try_at: z.string(),
  failures: z.number(),
  reason: z.optional(z.string()),
  former: z.string(),
})

export type RotationAnswer = z.infer<typeof rotationAnswer>

const healthSpan = { status: z.string(), since: z.string(), reason: z.optional(z.string()) }

export const credentialAnswer = z.object({
  name: z.string(),
  kind: z.string(),
  upstream: z.string(),
  state: z.string(),
  version: z.string(),
  identity: z.string(),
  source: z.optional(z.string()),
  key_id: z.optional(z.string()),
  scopes: z.optional(z.array(z.string())),
  health: z.object({ ...healthSpan, history: z.optional(z.array(z.object(healthSpan))) }),
  created_at: z.string(),
  updated_at: z.string(),
  versions: z.array(versionAnswer),
  expires_at: z.optional(z.string()),
  rotation: z.optional(rotationAnswer),
  rotate_after_days: z.optional(z.number()),
  boundary_source: z.optional(z.string()),
  bounded_locally: z.optional(z.boolean()),
  accept_unproved: z.optional(z.boolean()),
  intermediary_refused_at: z.optional(z.string()),
  also_enrolled_as: z.optional(z.array(z.string())),
})

export type VersionAnswer = z.infer<typeof versionAnswer>
export type CredentialAnswer = z.infer<typeof credentialAnswer>

const credentialPageAnswer = z.object({
  credentials: z.array(credentialAnswer),
  next_after: z.optional(z.string()),
})

export const policyAnswer = z.object({
  revision: z.string(),
  origin: z.string(),
  status: z.enum(['current', 'stale']),
  latest_revision: z.optional(z.string()),
  fault: z.optional(z.string()),
  loaded_at: z.string(),
  document: z.string(),
})

export type PolicyAnswer = z.infer<typeof policyAnswer>

/** An answer without a body, or one that is shown to nobody. */
export const anyAnswer = z.unknown()

/** All that are enrolled, page by page; `documents` are they as they came. */
export async function allCredentials(client: AdminClient): Promise<{
  readonly credentials: readonly CredentialAnswer[]
  readonly documents: readonly unknown[]
}> {
  const credentials: CredentialAnswer[] = []
  const documents: unknown[] = []
  let after: string | undefined
  do {
    const query: string = after === undefined ? '' : `&after=${encodeURIComponent(after)}`
    const { value, document } = await client.ask({
      method: 'GET',
      path: `credentials?limit=500${query}`,
      answer: credentialPageAnswer,
    })
    credentials.push(...value.credentials)
    documents.push(...documentsIn(document))
    after = value.next_after
  } while (after !== undefined)
  return { credentials, documents }
}

function documentsIn(page: unknown): readonly unknown[] {
  const list = isMembers(page) ? page['credentials'] : undefined
  return Array.isArray(list) ? list : []
}
