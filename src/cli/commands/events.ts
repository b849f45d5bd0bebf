import * as z from 'zod/mini'
import { testedWebhookSchema } from '../../http/document-schemas.ts'
import { askAndPrint, changeOptions, readOptions } from '../admin-client.ts'
import { wholeNumber, type Call, type Command } from '../command.ts'
import type { Exit } from '../fault.ts'
import { plain, table, warn, type Paint } from '../output.ts'

export const eventCommands: readonly Command[] = [
  {
    name: 'events list',
    summary: 'list what happened that somebody should know of, newest first',
    details:
      'Broken credentials, rotations that are stuck, the kill switch and the like, of the last 90 days (docs/observability.md).',
    options: [{ name: '--limit', value: 'N', summary: 'at most so many, 100 by default' }, ...readOptions],
    examples: ['downscope events list', 'downscope events list --limit 10 --json'],
    run: list,
  },
  {
    name: 'events test',
    summary: 'send an event of type test to the webhook',
    details: 'Status 1 when the receiver did not take it.',
    options: changeOptions,
    examples: ['downscope events test'],
    run: test,
  },
]

const pageAnswer = z.object({
  events: z.array(
    z.object({
      id: z.string(),
      type: z.string(),
      timestamp: z.string(),
      data: z.record(z.string(), z.unknown()),
      delivery: z.optional(
        z.object({ state: z.string(), attempts: z.number(), reason: z.optional(z.string()) }),
      ),
    }),
  ),
  next_after: z.optional(z.string()),
})

type EventAnswer = z.infer<typeof pageAnswer>['events'][number]

async function list(call: Call): Promise<Exit> {
  const limit = wholeNumber(call, '--limit', { min: 1, max: 1_000 }) ?? 100
  const list = { method: 'GET', path: `events?limit=${limit}`, answer: pageAnswer } as const
  const { next_after: next } = await askAndPrint(call, list, ({ events }, paint) => {
    if (events.length === 0) return 'Nothing happened in the last 90 days.\n'
    const heading = ['TIME', 'EVENT', 'ABOUT', 'DELIVERY'].map(paint.bold)
    return table([heading, ...events.map((event) => cellsOf(event, paint))])
  })
  if (next !== undefined) warn(call.terminal, 'there are more: --limit shows more of them')
  return 'done'
}

function cellsOf({ timestamp, type, data, delivery }: EventAnswer, { good, bad, odd }: Paint): string[] {
  const about = Object.entries(data).map(([name, value]) => `${name}=${String(value)}`)
  return [plain(timestamp), plain(type), plain(about.join(' ')), deliveryOf()]

  function deliveryOf(): string {
    if (delivery === undefined) return '-'
    const { state, attempts, reason } = delivery
    if (state === 'delivered') return good(state)
    const words = reason === undefined ? state : `${state} after ${attempts}: ${reason}`
    return (state === 'pending' ? odd : bad)(plain(words.replaceAll('_', ' ')))
  }
}

async function test(call: Call): Promise<Exit> {
  const test = { method: 'POST', path: 'events:test', answer: testedWebhookSchema } as const
  const { delivered } = await askAndPrint(call, test, ({ receiver, reason = '', ...sent }, { good, bad }) =>
    sent.delivered
      ? `${good('delivered')} to ${plain(receiver)}\n`
      : `${bad('not delivered')}: ${plain(reason)}\n`,
  )
  return delivered ? 'done' : 'refused'
}
