import * as z from 'zod/mini'
import { brokerErrorCodes } from '../domain/broker-error.ts'
import { tokenTypes } from '../domain/exchange-request.ts'
import type { ExplainQuestion, Refusal } from '../domain/explanation.ts'
import { isMembers } from '../domain/json.ts'
import { later, seconds, type Seconds } from '../domain/time.ts'
import type { DocumentStore } from '../ports/document-store.ts'
import { documentOf, instant, readDocument, texts, writeDocument } from './stored-fields.ts'
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
      const { question, ...facts } = refusal
      await store.put(keyOf(refusal.requestId), writeDocument(storedRefusal, { ...facts, ...question }), {
        expiresAt: later(refusal.at, keptFor),
      })
    },
    find: async (requestId) => {
      if (!requestIdPattern.test(requestId)) return undefined
      const stored = await store.get(keyOf(requestId))
      if (stored === undefined) return undefined
      const {
        requestId: id,
        at,
        error,
        reason,
        condition,
        action,
        ...question
      } = readDocument(storedRefusal, stored)
      return { requestId: id, at, error, reason, ...omitUndefined({ condition, action }), question }
    },
  }
}

const requestIdPattern = /^[0-9a-f-]{1,64}$/

function keyOf(requestId: string): string {
  return `refusals/${requestId}`
}

/** A refusal as its document has it: the question's members beside the others. */
type StoredRefusal = Omit<Refusal, 'question'> & ExplainQuestion

export const storedRefusal = documentOf<StoredRefusal>(
  {
    requestId: z.string(),
    at: instant,
    error: z.enum([...brokerErrorCodes, 'bug']),
    reason: z.string(),
    condition: z.exactOptional(z.string()),
    action: z.exactOptional(z.custom<NonNullable<Refusal['action']>>((action) => typeof action === 'string')),
    issuer: z.string(),
    // JSON in the request and in the store: only that it is an object is looked at.
    claims: z.custom<ExplainQuestion['claims']>(isMembers),
    target: z.string(),
    scopes: texts,
    tokenType: z.enum(tokenTypes),
    resource: z.exactOptional(z.string()),
    subject: z.exactOptional(z.string()),
    lifetime: z.exactOptional(z.codec(z.number(), z.custom<Seconds>(), { decode: seconds, encode: Number })),
    boundary: z.exactOptional(
      z.array(
        // As Google writes it, and the caller did.
        z.object({
          availableResource: z.string(),
          availablePermissions: z.array(z.string()),
          availabilityCondition: z.exactOptional(
            z.object({
              expression: z.string(),
              title: z.exactOptional(z.string()),
              description: z.exactOptional(z.string()),
            }),
          ),
        }),
      ),
    ),
  },
  { lifetime: 'lifetime_seconds' },
)
