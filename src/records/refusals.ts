import * as z from 'zod/mini'
import type { AccessBoundaryRule } from '../domain/access-boundary.ts'
import { brokerErrorCodes } from '../domain/broker-error.ts'
import { tokenTypes } from '../domain/exchange-request.ts'
import type { Refusal } from '../domain/explanation.ts'
import { later, seconds } from '../domain/time.ts'
import type { Document, DocumentStore, Stored } from '../ports/document-store.ts'
import { instant, malformed } from './stored-fields.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** Refusals of known callers, so that each can be explained by its request id. May throw `store_unavailable`. */
export interface Refusals {
  keep(refusal: Refusal): Promise<void>
  find(requestId: string): Promise<Refusal | undefined>
}

/** Callers ask about a refusal within days; their claims are not kept longer. */
const keptFor = seconds(7 * 86_400)

export function createRefusals({ store }: { readonly store: DocumentStore }): Refusals {
  return {
    keep: async (refusal) => {
      await store.put(keyOf(refusal.requestId), documentOf(refusal), {
        expiresAt: later(refusal.at, keptFor),
      })
    },
    find: async (requestId) => {
      if (!requestIdPattern.test(requestId)) return undefined
      const stored = await store.get(keyOf(requestId))
      return stored === undefined ? undefined : parseRefusal(stored)
    },
  }
}

const requestIdPattern = /^[0-9a-f-]{1,64}$/

function keyOf(requestId: string): string {
  return `refusals/${requestId}`
}

function documentOf({ requestId, at, error, reason, condition, question }: Refusal): Document {
  return {
    schema: 1,
    request_id: requestId,
    at,
    error,
    reason,
    ...omitUndefined({ condition }),
    issuer: question.issuer,
    claims: question.claims,
    target: question.target,
    scopes: question.scopes,
    token_type: question.tokenType,
    ...omitUndefined({
      resource: question.resource,
      subject: question.subject,
      lifetime_seconds: question.lifetime,
    }),
    ...(question.boundary === undefined ? {} : { boundary: question.boundary.map(boundaryRuleOf) }),
  }
}

function boundaryRuleOf({
  availableResource,
  availablePermissions,
  availabilityCondition,
}: AccessBoundaryRule) {
  return {
    availableResource,
    availablePermissions,
    ...(availabilityCondition === undefined ? {} : { availabilityCondition: { ...availabilityCondition } }),
  }
}

/** Throws `store_unavailable` naming what is wrong with the document. */
function parseRefusal({ key, value }: Stored): Refusal {
  const parsed = refusalDocument.safeParse(value)
  if (!parsed.success) throw malformed(key, parsed.error)
  const { data } = parsed
  const { resource, subject, lifetime_seconds: lifetime, boundary, condition } = data
  return {
    requestId: data.request_id,
    at: data.at,
    error: data.error,
    reason: data.reason,
    ...omitUndefined({ condition }),
    question: {
      issuer: data.issuer,
      claims: data.claims,
      target: data.target,
      scopes: data.scopes,
      tokenType: data.token_type,
      ...omitUndefined({ resource, subject }),
      ...(lifetime === undefined ? {} : { lifetime: seconds(lifetime) }),
      ...omitUndefined({ boundary }),
    },
  }
}

const boundaryRule = z.object({
  availableResource: z.string(),
  availablePermissions: z.array(z.string()),
  availabilityCondition: z.exactOptional(
    z.object({
      expression: z.string(),
      title: z.exactOptional(z.string()),
      description: z.exactOptional(z.string()),
    }),
  ),
})

const refusalDocument = z.object({
  schema: z.literal(1),
  request_id: z.string(),
  at: instant,
  error: z.enum([...brokerErrorCodes, 'bug']),
  reason: z.string(),
  condition: z.optional(z.string()),
  issuer: z.string(),
  claims: z.record(z.string(), z.json()),
  target: z.string(),
  scopes: z.array(z.string()),
  token_type: z.enum(tokenTypes),
  resource: z.optional(z.string()),
  subject: z.optional(z.string()),
  lifetime_seconds: z.optional(z.number()),
  boundary: z.optional(z.array(boundaryRule)),
})
