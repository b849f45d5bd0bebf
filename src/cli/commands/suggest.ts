import { omitUndefined } from '../../domain/omit-undefined.ts'
import * as z from 'zod/mini'
import { askAndPrint, readOptions } from '../admin-client.ts'
import { type Call, type Command, wholeNumber } from '../command.ts'
import type { Exit } from '../fault.ts'
import { type Paint, note, plain } from '../output.ts'

export const suggestCommands: readonly Command[] = [
  {
    name: 'policy suggest',
    summary: 'show what the policy could lose without refusing any recent request',
    details:
      'A list, rule by rule: what no request of these days needed, and what is enough in its place. ' +
      'Nothing is changed: edit the policy, then apply it.',
    options: [
      { name: '--days', value: 'DAYS', summary: 'how many days to look at; by default 30, at most 120' },
      ...readOptions,
    ],
    examples: ['downscope policy suggest', 'downscope policy suggest --days 90 --json'],
    run: suggest,
  },
]

async function suggest(call: Call): Promise<Exit> {
  const days = wholeNumber(call, '--days', { min: 1, max: 120 })
  const question = {
    method: 'POST',
    path: 'policy:suggest',
    body: omitUndefined({ days }),
    answer: suggestionAnswer,
  } as const
  const { days: looked, observed_since: since } = await askAndPrint(call, question, describe)
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
function describe({ rules, unused_credentials: unused }: SuggestionAnswer, paint: Paint): string {
  const parts = rules.map((rule) => describeRule(rule, paint))
  const idle = unused.map((name) => `${paint.bold(plain(name))}: no rule drew on this credential\n`)
  return rules.length === 0 && idle.length === 0
    ? 'The policy has no rules.\n'
    : [...parts, ...idle].join('\n')
}

function describeRule(rule: SuggestionAnswer['rules'][number], paint: Paint): string {
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
