import { parseJsonObject, type Members, isMembers } from '../../domain/json.ts'
import { askAndPrint, readOptions } from '../admin-client.ts'
import { jwtOption, readCallerJwt } from '../key-file.ts'
import { type Call, type Command, readTokenOptions, tokenOptions } from '../command.ts'
import { type Exit, createFault } from '../fault.ts'
import { type Paint, plain, table } from '../output.ts'
import * as z from 'zod/mini'

export const explainCommands: readonly Command[] = [
  {
    name: 'explain',
    summary: 'explain why a caller gets a token or is refused',
    details:
      'By the request id of a refusal, or for a caller as you describe it: by a JWT of it, whose signature is not ' +
      'looked at, or by issuer, subject and claims. No token is made. Status 0 when a token would be given, 1 when not.',
    arguments: [
      { name: 'CREDENTIAL', summary: 'the name of the credential', isOptional: true, offer: 'credential' },
    ],
    options: [
      { name: '--request', value: 'ID', summary: 'the request id of a refusal, as its caller got it' },
      jwtOption,
      { name: '--issuer', value: 'NAME', summary: "the caller's iss, or the policy's name for it" },
      { name: '--subject', value: 'NAME', summary: "the caller's sub; by default the issuer" },
      {
        name: '--claim',
        value: 'CLAIM',
        summary: 'another claim, NAME=VALUE, where VALUE may be JSON; may be repeated',
        isRepeatable: true,
      },
      ...tokenOptions,
      {
        name: '--token-type',
        value: 'TYPE',
        summary: 'what is wanted',
        offer: ['access_token', 'id_token', 'api_key'],
      },
      ...readOptions,
    ],
    examples: [
      'downscope explain --request e7375fd5-1464-41d8-a9ff-3614b85af4e2',
      'downscope explain reports-sa --jwt workload.jwt',
      'downscope explain reports-sa --issuer cluster --subject system:serviceaccount:billing:exporter --claim kubernetes.io=\'{"namespace":"billing"}\'',
      'downscope explain team-calendar --issuer billing --scope https://www.googleapis.com/auth/calendar.readonly',
    ],
    run: explain,
  },
]

async function explain(call: Call): Promise<Exit> {
  const body = await questionOf(call)
  const question = { method: 'POST', path: 'policy:explain', body, answer: explanationAnswer } as const
  const { outcome } = await askAndPrint(call, question, showExplanation)
  return outcome === 'granted' ? 'done' : 'refused'
}

async function questionOf(call: Call): Promise<object> {
  const requestId = call.text('--request')
  const credential = call.text('CREDENTIAL')
  if (requestId !== undefined) {
    if (credential !== undefined)
      throw createFault('usage', '--request names a whole request: leave CREDENTIAL out')
    return { request_id: requestId }
  }
  if (credential === undefined)
    throw createFault('usage', 'credential or request required: name a CREDENTIAL, or pass --request ID')
  const { issuer, claims } = await callerOf(call)
  const { scopes, lifetimeSeconds, actFor, boundary, resource } = await readTokenOptions(call)
  return {
    issuer,
    claims,
    credential,
    scope: scopes,
    token_type: call.text('--token-type'),
    resource,
    requested_subject: actFor,
    requested_lifetime: lifetimeSeconds,
    options: boundary,
  }
}

async function callerOf(call: Call): Promise<{ readonly issuer: string; readonly claims: Members }> {
  const shown = (await readCallerJwt(call))?.claims ?? {}
  const issuer = call.text('--issuer') ?? textOf(shown['iss'])
  if (issuer === undefined)
    throw createFault('usage', 'caller required: pass --jwt FILE, or --issuer NAME', {
      hints: [
        'For example: downscope explain reports-sa --issuer cluster --subject system:serviceaccount:a:b',
      ],
    })
  const subject = call.text('--subject') ?? textOf(shown['sub']) ?? issuer
  return { issuer, claims: { ...shown, sub: subject, ...claimsIn(call.texts('--claim')) } }
}

function claimsIn(texts: readonly string[]): Members {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=')
      if (at < 1) throw createFault('usage', `--claim ${text} is not NAME=VALUE`)
      return [text.slice(0, at), valueOf(text.slice(at + 1))]
    }),
  )
}

/** JSON where it is JSON, so that `true` and `["a"]` can be said; any other text is itself. */
function valueOf(text: string): unknown {
  return parseJsonObject(`{"value":${text}}`)?.['value'] ?? text
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

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
      implied_scopes: z.optional(
        z.array(z.object({ scope: z.string(), by: z.string(), except: z.array(z.string()) })),
      ),
      audience: z.optional(z.string()),
      subject: z.optional(z.string()),
      access_boundary_rules: z.optional(z.array(z.unknown())),
      bounding: z.optional(z.object({ way: z.string(), why: z.string() })),
      lifetime_seconds_max: z.optional(z.number()),
      upstream: z.string(),
    }),
  ),
  hints: z.array(z.string()),
  refused_then: z.optional(z.object({ at: z.string(), error: z.string(), reason: z.string() })),
})

type ExplanationAnswer = z.infer<typeof explanationAnswer>

/** The verdict first, then whom it is about, then the rules in the order in which they are tried. */
function showExplanation(answer: ExplanationAnswer, paint: Paint): string {
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
  const { bounding } = token
  return [
    ['token', plain(`${token.token_type.replaceAll('_', ' ')} from ${token.upstream}`)],
    ['carries', scopes.length === 0 ? undefined : plain(scopes.join(' '))],
    ...(token.implied_scopes ?? []).map((implied) => ['implied', describeImplied(implied)] as const),
    ['for', audience === undefined ? undefined : plain(audience)],
    ['acts for', subject === undefined ? undefined : plain(subject)],
    [
      'boundary',
      boundary === undefined ? undefined : boundary.map((rule) => describeBoundary(rule)).join('; '),
    ],
    [
      'bounded',
      bounding === undefined
        ? undefined
        : plain(`${waysOfBounding[bounding.way] ?? bounding.way}: ${bounding.why}`),
    ],
    ['lives', life === undefined ? undefined : `at most ${life} s`],
  ] as const
}

function describeImplied({
  scope,
  by,
  except,
}: {
  scope: string
  by: string
  except: readonly string[]
}): string {
  const but = except.length === 0 ? '' : `, but for ${except.join(' and ')}, which take this one alone`
  return plain(`${scope} by ${by}${but}`)
}

const waysOfBounding: Readonly<Record<string, string>> = {
  sealed: 'locally, without a request',
  exchanged: 'by the Security Token Service',
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
