import * as z from 'zod/mini'
import { isMembers } from '../../domain/json.ts'
import { parsePolicyAnswer } from '../admin-answers.ts'
import { adminOptions, connect } from '../admin-client.ts'
import type { Call, Command } from '../command.ts'
import type { Exit } from '../fault.ts'
import { type Paint, note, printAnswer, plain } from '../output.ts'
import { policyDiff, shownDiff } from '../policy-diff.ts'
import { wholeNumber } from '../options.ts'
import { writeNewFile } from '../files.ts'

export const suggestCommands: readonly Command[] = [
  {
    name: 'policy suggest',
    summary: 'show what the policy could lose without refusing any recent request',
    details:
      'Rule by rule, and as a unified diff from the policy in force to one that says no more than was used. ' +
      'Nothing is changed: review FILE, then apply it.',
    options: [
      { name: '--days', value: 'DAYS', summary: 'how many days to look at; by default 30, at most 120' },
      {
        name: '--write',
        value: 'FILE',
        summary: 'put the narrowed policy into a new file; one that is there is never written over',
        offer: 'file',
      },
      ...adminOptions,
    ],
    examples: [
      'downscope policy suggest',
      'downscope policy suggest --write narrowed.yaml',
      'downscope policy suggest --days 90 --json',
    ],
    run: suggest,
  },
]

async function suggest(call: Call): Promise<Exit> {
  const days = wholeNumber(call, '--days', { min: 1, max: 120 })
  const client = await connect(call)
  const body = days === undefined ? {} : { days }
  const answer = await client.ask({ method: 'POST', path: 'policy:suggest', body, parse: parseSuggestion })
  const { value: inForce } = await client.ask({ method: 'GET', path: 'policy', parse: parsePolicyAnswer })
  const { suggestedPolicy } = await import('../suggested-policy.ts')
  const { text, left } = suggestedPolicy(inForce.document, answer.value.rules)
  const file = call.text('--write')
  const diff = await policyDiff({ inForce, text, place: file ?? 'suggested policy' })
  if (file !== undefined)
    writeNewFile(file, text, { mode: 0o644, hint: 'A policy is never written over another file.' })
  const document = isMembers(answer.document) ? answer.document : {}
  printAnswer(call, { ...document, document: text, diff, left }, (paint) =>
    [describe(answer.value, paint), ...(diff === '' ? [] : [shownDiff(diff, paint)])].join('\n'),
  )
  for (const { rule, reason } of left)
    note(call, ({ bold, odd }) => `${bold(plain(rule))}: ${odd('left as it is:')} ${plain(reason)}`)
  if (file !== undefined)
    note(call, ({ good }) => `${good('written')} ${file}: review it, then downscope policy apply ${file}`)
  const { days: looked, observed_since: since } = answer.value
  note(call, ({ dim }) =>
    dim(
      since === undefined
        ? `Nothing was used in the last ${looked} days.`
        : `Of the last ${looked} days; what is known begins ${plain(since)}.`,
    ),
  )
  return 'done'
}

const suggestionAnswer = z.object({
  days: z.number(),
  observed_since: z.optional(z.string()),
  rules: z.array(
    z.object({
      rule: z.string(),
      credential: z.string(),
      advice: z.string(),
      last_used: z.optional(z.string()),
      changes: z.array(
        z.object({ member: z.string(), now: z.array(z.string()), enough: z.array(z.string()) }),
      ),
      notes: z.array(z.string()),
    }),
  ),
  unused_credentials: z.array(z.string()),
})

type SuggestionAnswer = z.infer<typeof suggestionAnswer>
type RuleAnswer = SuggestionAnswer['rules'][number]

function parseSuggestion(document: unknown): SuggestionAnswer {
  return suggestionAnswer.parse(document)
}

function describe({ rules, unused_credentials: unused }: SuggestionAnswer, paint: Paint): string {
  const parts = rules.map((rule) => describeRule(rule, paint))
  const idle = unused.map((name) => `${paint.bold(plain(name))}: no rule drew on this credential\n`)
  return rules.length === 0 && idle.length === 0
    ? 'The policy has no rules.\n'
    : [...parts, ...idle].join('\n')
}

function describeRule(rule: RuleAnswer, paint: Paint): string {
  const used = rule.last_used === undefined ? 'never used' : `last used ${rule.last_used.slice(0, 10)}`
  const changes = rule.changes.flatMap(({ member, now, enough }) => [
    `  ${member}:`,
    ...now.map((value) =>
      enough.includes(value) ? `    ${plain(value)}` : paint.bad(`  - ${plain(value)}`),
    ),
    ...enough.filter((value) => !now.includes(value)).map((value) => paint.good(`  + ${plain(value)}`)),
  ])
  const lines = [
    `${paint.bold(plain(rule.rule))} (${plain(rule.credential)}): ${adviceWord(rule.advice, paint)}, ${plain(used)}`,
    ...changes,
    ...rule.notes.map((text) => paint.dim(`  ${plain(text)}`)),
  ]
  return `${lines.join('\n')}\n`
}

function adviceWord(advice: string, { good, odd, bad }: Paint): string {
  switch (advice) {
    case 'keep':
      return good('keep it')
    case 'narrow':
      return odd('narrow it')
    case 'remove':
      return bad('remove it')
    default:
      return plain(advice)
  }
}
