import * as z from 'zod/mini'

import { isMembers } from '../domain/json-object.ts'
import type { Paint } from './paint.ts'
import { plain, table } from './table.ts'

// What the broker answers, as far as it is shown. Members that a newer one adds are ignored.
const explanationAnswer = z.object({
  outcome: z.enum(['granted', 'refused']),
  error: z.optional(z.string()),
  reason: z.optional(z.string()),
  condition: z.optional(z.string()),
  caller: z.object({ issuer: z.string(), issuer_name: z.optional(z.string()), subject: z.string() }),
  credential: z.optional(
    z.object({ name: z.string(), kind: z.optional(z.string()), state: z.optional(z.string()) }),
  ),
  rules: z.array(
    z.object({
      rule: z.string(),
      outcome: z.string(),
      failed: z.array(z.object({ condition: z.string(), wanted: z.string(), found: z.string() })),
    }),
  ),
  token: z.optional(
    z.object({
      token_type: z.string(),
      scopes: z.array(z.string()),
      audience: z.optional(z.string()),
      subject: z.optional(z.string()),
      access_boundary_rules: z.optional(z.array(z.unknown())),
      lifetime_seconds_max: z.optional(z.number()),
      upstream: z.string(),
    }),
  ),
  hints: z.array(z.string()),
  refused_then: z.optional(z.object({ at: z.string(), error: z.string(), reason: z.string() })),
})

type ExplanationAnswer = z.infer<typeof explanationAnswer>

export function parseExplanation(document: unknown): ExplanationAnswer {
  return explanationAnswer.parse(document)
}

/** The verdict first, then whom it is about, then the rules in the order in which they are tried. */
export function showExplanation(answer: ExplanationAnswer, paint: Paint): string {
  const { caller, credential, token, hints, refused_then: then } = answer
  const verdict =
    answer.outcome === 'granted'
      ? paint.good('would get a token')
      : `${paint.bad('gets no token')}: ${plain(answer.reason ?? answer.error ?? 'policy does not allow it')}`
  const signer = caller.issuer_name === undefined ? `${caller.issuer} (not trusted)` : caller.issuer_name
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['caller', plain(`${caller.subject}, signed by ${signer}`)],
    ['credential', describeCredential(credential)],
    ['condition', answer.condition],
    ['then', then === undefined ? undefined : plain(`${then.at}: ${then.reason}`)],
    ...(token === undefined ? [] : tokenFacts(token)),
  ]
  const rows = facts.flatMap(([name, value]) => (value === undefined ? [] : [[`  ${name}`, value]]))
  return `${verdict}\n\n${table(rows)}${describeRules(answer, paint)}${describeHints(hints, paint)}`
}

function describeCredential(credential: ExplanationAnswer['credential']): string | undefined {
  if (credential === undefined) return undefined
  const { name, state, kind } = credential
  return plain(
    state === undefined
      ? `${name}, which is not enrolled`
      : `${name}, ${state}, ${(kind ?? '').replaceAll('_', ' ')}`,
  )
}

function tokenFacts(token: NonNullable<ExplanationAnswer['token']>) {
  const { scopes, audience, subject, access_boundary_rules: boundary, lifetime_seconds_max: life } = token
  return [
    ['token', plain(`${token.token_type.replaceAll('_', ' ')} from ${token.upstream}`)],
    ['carries', scopes.length === 0 ? undefined : plain(scopes.join(' '))],
    ['for', audience === undefined ? undefined : plain(audience)],
    ['acts for', subject === undefined ? undefined : plain(subject)],
    [
      'boundary',
      boundary === undefined ? undefined : boundary.map((rule) => describeBoundary(rule)).join('; '),
    ],
    ['lives', life === undefined ? undefined : `at most ${life} s`],
  ] as const
}

function describeBoundary(rule: unknown): string {
  const { availableResource: resource, availablePermissions: permissions } = isMembers(rule) ? rule : {}
  const list: readonly unknown[] = Array.isArray(permissions) ? permissions : []
  return plain(`${list.map(String).join(' ')} on ${String(resource)}`)
}

function describeRules({ rules }: ExplanationAnswer, { bold, good, dim, odd }: Paint): string {
  // Some refusals come before any rule is looked at; of others the reason says that there is no rule.
  if (rules.length === 0) return ''
  const lines = rules.map(({ rule, outcome, failed }) => {
    const words: Readonly<Record<string, string>> = {
      decides: good('decides'),
      does_not_match: odd('does not match'),
      not_reached: dim('not reached'),
    }
    const below = failed.map(
      ({ condition, wanted, found }) =>
        `    ${plain(condition)}: wants ${plain(wanted)}, found ${plain(found)}\n`,
    )
    return `  ${plain(rule)}: ${words[outcome] ?? plain(outcome)}\n${below.join('')}`
  })
  return `\n${bold('Rules')} for it, in the order in which they are tried\n${lines.join('')}`
}

function describeHints(hints: readonly string[], { bold }: Paint): string {
  return hints.length === 0
    ? ''
    : `\n${bold('What would help')}\n${hints.map((hint) => `  ${plain(hint)}\n`).join('')}`
}
