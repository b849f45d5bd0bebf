import * as z from 'zod/mini'
import { requestMalformed } from '../domain/broker-error.ts'
import type { Caller } from '../domain/caller.ts'
import { tokenTypes, type TokenWanted } from '../domain/exchange-request.ts'
import { parseScope, scopeSet, type ScopeSet } from '../domain/scopes.ts'
import { seconds } from '../domain/time.ts'
import type { Explainable, ExplainedRequest } from '../advice/record-use.ts'
import type { AdminRole, PolicySuggestion } from '../domain/policy.ts'
import { adminRoute, served, type ServedRoute } from './admin-route.ts'
import { explanationDocument, suggestionDocument } from './admin-documents.ts'
import type { ExplanationDocument, SuggestionDocument } from './document-schemas.ts'
import { parseAccessBoundary } from './parse-token-request.ts'
import { shows, eitherBody, jsonBody } from './route-schemas.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

const daysMax = 120
const daysDefault = 30
const shortText = z.string().check(z.minLength(1), z.maxLength(2_048))

/** Who asks and what for; `scope` is one text, as callers send it, or a list. */
const explainQuestion = z.strictObject({
  issuer: shortText,
  claims: z.record(z.string(), z.json()),
  credential: shortText,
  scope: z.exactOptional(z.union([z.string(), z.array(z.string())])),
  token_type: z.exactOptional(z.enum(tokenTypes)),
  resource: z.exactOptional(shortText),
  requested_subject: z.exactOptional(shortText),
  requested_lifetime: z.exactOptional(z.number()),
  options: z.exactOptional(z.looseObject({})),
})

const explainBody = eitherBody('request_id', [z.strictObject({ request_id: shortText }), explainQuestion])

const suggestBody = z.strictObject({
  days: z._default(z.number().check(z.int(), z.minimum(1), z.maximum(daysMax)), daysDefault),
})

/** Nothing is changed, and no upstream is asked. T23: what a request had is for auditors, what policy says for viewers. */
export const adviceRoutes = {
  explainPolicy: adminRoute({
    at: 'POST /v1/admin/policy:explain',
    summary: 'Why a caller would get, or not get, what it asks for; or why a request was refused',
    needs: 'any',
    action: 'policy.explain',
    body: explainBody,
    answer: shows<ExplanationDocument>(),
  }),
  suggestPolicy: adminRoute({
    at: 'POST /v1/admin/policy:suggest',
    summary: 'What the policy could lose and still have served every request of the last days',
    needs: 'viewer',
    action: 'policy.suggest',
    body: jsonBody(suggestBody),
    answer: shows<SuggestionDocument>(),
  }),
} as const

export interface AdviceRoutesDeps {
  readonly explain: (asked: Explainable) => Promise<ExplainedRequest>
  /** Throws `admin_forbidden`. */
  readonly authorizeAdmin: (caller: Caller, needed: AdminRole) => Promise<unknown>
  readonly suggest: (days: number) => Promise<PolicySuggestion>
}

export function serveAdvice({ explain, suggest, authorizeAdmin }: AdviceRoutesDeps): readonly ServedRoute[] {
  return [
    served(adviceRoutes.explainPolicy, async ({ body, caller }) => {
      await authorizeAdmin(caller, 'request_id' in body ? 'auditor' : 'viewer')
      return { document: explanationDocument(await explain(explainable(body))) }
    }),
    served(adviceRoutes.suggestPolicy, async ({ body }) => ({
      document: suggestionDocument(await suggest(body.days)),
    })),
  ]
}

function explainable(body: ReturnType<typeof explainBody.parse>): Explainable {
  if ('request_id' in body) return { requestId: body.request_id }
  const { issuer, claims, credential: target, ...asked } = body
  return { question: { issuer, claims, ...tokenWanted(target, asked) } }
}

function tokenWanted(
  target: string,
  asked: Omit<z.output<typeof explainQuestion>, 'credential' | 'issuer' | 'claims'>,
): TokenWanted {
  const { resource, requested_subject: subject, requested_lifetime: lifetime, options } = asked
  const boundary = options === undefined ? undefined : parseAccessBoundary(options)
  return {
    target,
    scopes: scopesOf(asked.scope),
    tokenType: asked.token_type ?? 'access_token',
    ...omitUndefined({ resource, subject }),
    ...(lifetime !== undefined && { lifetime: seconds(lifetime) }),
    ...omitUndefined({ boundary }),
  }
}

function scopesOf(scope: string | readonly string[] | undefined): ScopeSet {
  if (typeof scope === 'object') return scopeSet(scope)
  const scopes = parseScope(scope ?? '')
  if (scopes === undefined) throw requestMalformed('scope has a character outside RFC 6749 section 3.3')
  return scopes
}
