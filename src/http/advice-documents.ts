import type { Explanation } from '../domain/explanation.ts'
import type { ExplainedRequest } from '../lifecycle/explain-request.ts'
import type { PolicySuggestion } from '../domain/policy-suggestion.ts'
import { formatTimestamp } from '../domain/time.ts'
import type { ExplanationDocument, SuggestionDocument } from './document-schemas/advice.ts'

// What `policy:explain` and `policy:suggest` show.

export function explanationDocument({ explanation, refused }: ExplainedRequest): ExplanationDocument {
  const { caller, credential, rules, narrowestScopes: narrowest, hints } = explanation
  return {
    outcome: explanation.outcome,
    error: explanation.error,
    reason: explanation.reason,
    condition: explanation.condition,
    caller: { issuer: caller.issuer, issuer_name: caller.issuerName, subject: caller.subject },
    credential,
    rules: rules.map(({ rule, outcome, failed }) => ({ rule, outcome, failed: [...failed] })),
    token: tokenDocument(explanation.token),
    narrowest_scopes: narrowest === undefined ? undefined : [...narrowest],
    hints: [...hints],
    refused_then:
      refused === undefined
        ? undefined
        : {
            at: formatTimestamp(refused.at),
            error: refused.error,
            reason: refused.reason,
            condition: refused.condition,
          },
  }
}

function tokenDocument(token: Explanation['token']): ExplanationDocument['token'] {
  if (token === undefined) return undefined
  const { tokenType, scopes, audience, subject, boundary, lifetimeMax, upstream } = token
  return {
    token_type: tokenType,
    scopes: [...scopes],
    audience,
    subject,
    access_boundary_rules: boundary === undefined ? undefined : [...boundary],
    lifetime_seconds_max: lifetimeMax,
    upstream,
  }
}

export function suggestionDocument(suggestion: PolicySuggestion): SuggestionDocument {
  const { days, observedSince, rules, unusedCredentials } = suggestion
  return {
    days,
    observed_since: observedSince === undefined ? undefined : formatTimestamp(observedSince),
    rules: rules.map(({ lastUsed, changes, notes, ...rule }) => ({
      ...rule,
      last_used: lastUsed === undefined ? undefined : formatTimestamp(lastUsed),
      changes: changes.map(({ member, now, enough }) => ({ member, now: [...now], enough: [...enough] })),
      notes: [...notes],
    })),
    unused_credentials: [...unusedCredentials],
  }
}
