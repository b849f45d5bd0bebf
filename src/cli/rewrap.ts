import * as z from 'zod/mini'

import { connect, connectionOptions, type AdminClient } from './admin-client.ts'
import { jsonOption, type Call, type Command } from './command.ts'
import type { Exit } from './exit-code.ts'
import type { Paint } from './paint.ts'
import { note, printAnswer } from './print.ts'
import { withProgress, type Progress } from './progress.ts'
import { counted, plain } from './table.ts'

export const rewrapCommands: readonly Command[] = [
  {
    name: 'keys rewrap',
    summary: 'seal everything in the store anew under the first key of the key ring',
    details:
      'After a new key was put in front (docs/key-ring.md). It goes page by page, may be interrupted at any time and ' +
      'begun again, and says at the end whether an old key is still needed. Status 1 when a record could not be rewrapped.',
    options: [jsonOption, ...connectionOptions],
    examples: ['downscope keys rewrap', 'downscope keys rewrap --json'],
    run: rewrap,
  },
]

/** What all pages together came to. */
interface Rewrapped {
  readonly sealingKey: string
  readonly rewrapped: number
  readonly already: number
  readonly passing: number
  readonly failed: PageAnswer['failed']
  readonly inUse: ReadonlyMap<string, number>
}

async function rewrap(call: Call): Promise<Exit> {
  const client = await connect(call)
  const sum = await withProgress(call, 'Rewrapping', (progress) => rewrapAll(client, progress))
  const { sealingKey, rewrapped, already, passing, failed, inUse } = sum
  const stillInUse = [...inUse].map(([keyId, records]) => ({ key_id: keyId, records }))
  const document = { sealing_key: sealingKey, rewrapped, already, passing, failed, still_in_use: stillInUse }
  printAnswer(call, document, (paint) => describe(sum, paint))
  note(call, ({ dim }) =>
    dim(
      inUse.size === 0
        ? 'No other key is needed any more: it can be taken out of the ring.'
        : 'Keep these keys in the ring until nothing is sealed under them.',
    ),
  )
  return failed.length === 0 ? 'done' : 'refused'
}

async function rewrapAll(client: AdminClient, progress: Progress): Promise<Rewrapped> {
  let sum: Rewrapped | undefined
  let after: string | undefined
  do {
    const query: string = after === undefined ? '' : `?after=${encodeURIComponent(after)}`
    const { value } = await client.ask({ method: 'POST', path: `keys:rewrap${query}`, parse: parsePage })
    sum = add(sum, value)
    progress.say(`Rewrapping: ${counted(sum.rewrapped, 'record')} so far, ${sum.already} already were`)
    after = value.after
  } while (after !== undefined)
  return sum
}

function add(sum: Rewrapped | undefined, page: PageAnswer): Rewrapped {
  const inUse = new Map(sum?.inUse)
  for (const { key_id: keyId, records } of page.still_in_use)
    inUse.set(keyId, (inUse.get(keyId) ?? 0) + records)
  return {
    sealingKey: page.sealing_key,
    rewrapped: (sum?.rewrapped ?? 0) + page.rewrapped,
    already: (sum?.already ?? 0) + page.already,
    passing: (sum?.passing ?? 0) + page.passing,
    failed: [...(sum?.failed ?? []), ...page.failed],
    inUse,
  }
}

const pageAnswer = z.object({
  sealing_key: z.string(),
  rewrapped: z.number(),
  already: z.number(),
  passing: z.number(),
  failed: z.array(z.object({ key: z.string(), reason: z.string() })),
  still_in_use: z.array(z.object({ key_id: z.string(), records: z.number() })),
  after: z.optional(z.string()),
})

type PageAnswer = z.infer<typeof pageAnswer>

function parsePage(document: unknown): PageAnswer {
  return pageAnswer.parse(document)
}

function describe(
  { sealingKey, rewrapped, already, passing, failed, inUse }: Rewrapped,
  { good, bad, odd }: Paint,
): string {
  const lines = [
    `${good(`${counted(rewrapped, 'record')} rewrapped`)} under ${plain(sealingKey)}; ${already} already were`,
    ...(passing === 0 ? [] : [`${counted(passing, 'token')} left: they go by themselves within the hour`]),
    ...failed.map(({ key, reason }) => `${bad('failed')} ${plain(key)}: ${plain(reason)}`),
    ...[...inUse].map(
      ([key, records]) => `${odd('still in use')}: ${plain(key)}, by ${counted(records, 'record')}`,
    ),
  ]
  return `${lines.join('\n')}\n`
}
