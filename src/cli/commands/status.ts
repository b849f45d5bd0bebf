import * as z from 'zod/mini'
import { adminOptions, connect, keepAsking, type AdminClient } from '../admin-client.ts'
import { wholeNumber, type Call, type Command } from '../command.ts'
import type { Exit } from '../fault.ts'
import { counted, createPaint, json, plain, table, type Paint } from '../output.ts'
import { serviceAnswer, stopWords, type ServiceAnswer } from './service.ts'

export const statusCommands: readonly Command[] = [
  {
    name: 'status',
    summary: "show the broker's activity on one screen and keep it up to date",
    details:
      'Requests of the last minutes by their outcome, where tokens came from, how long they took, how many instances ' +
      'answered, and the credentials that want somebody. At a terminal the screen is refreshed until you stop it; anywhere else, and with --json, it is shown once. ' +
      'Requests are those of all instances, as far as the trail is kept in the store (DOWNSCOPE_AUDIT=stdout+store); it needs the role operator.',
    options: [
      { name: '--minutes', value: 'N', summary: 'look at the requests of so many minutes, 5 by default' },
      { name: '--interval', value: 'SECONDS', summary: 'refresh so often, every 5 s by default' },
      { name: '--once', summary: 'show it once' },
      ...adminOptions,
    ],
    examples: ['downscope status', 'downscope status --minutes 60 --once', 'downscope status --json'],
    run: showStatus,
  },
]

async function showStatus(call: Call): Promise<Exit> {
  const { stdout, env } = call.terminal
  const minutes = wholeNumber(call, '--minutes', { min: 1, max: 1_440 }) ?? 5
  const seconds = wholeNumber(call, '--interval', { min: 1, max: 3_600 }) ?? 5
  const isOnce = call.has('--once') || call.has('--json') || stdout.isTTY !== true
  const client = await connect(call)
  const show = async (): Promise<void> => {
    const status = await read(client, minutes)
    if (call.has('--json')) stdout.write(json(documentOf(status)))
    // From the corner of the screen on, and nothing of what stood there before.
    else
      stdout.write(`${isOnce ? '' : '\u001B[H\u001B[2J\u001B[3J'}${screen(status, createPaint(stdout, env))}`)
  }
  if (!isOnce) return keepAsking(call, seconds, show)
  await show()
  return 'done'
}

const auditAnswer = z.object({
  records: z.array(
    z.looseObject({
      time: z.string(),
      instance: z.optional(z.string()),
      outcome: z.string(),
      source: z.optional(z.string()),
      error: z.optional(z.string()),
      duration_ms: z.optional(z.number()),
    }),
  ),
  next_after: z.optional(z.string()),
  hint: z.optional(z.string()),
})

const attentionAnswer = z.object({
  total: z.number(),
  matching: z.number(),
  credentials: z.array(z.looseObject({ name: z.string(), attention: z.optional(z.string()) })),
})

interface Status {
  readonly service: ServiceAnswer
  readonly requests: Requests
  readonly attention: z.infer<typeof attentionAnswer>
}

interface Requests {
  readonly minutes: number
  /** Of how much of that time they are, when there were more than one question may look at. */
  readonly seconds: number
  readonly count: number
  readonly outcomes: Readonly<Record<string, number>>
  readonly errors: Readonly<Record<string, number>>
  readonly sources: Readonly<Record<string, number>>
  /** How many instances answered these requests. */
  readonly instances: number
  /** Milliseconds, of those that got a token. */
  readonly p50?: number
  readonly p99?: number
  readonly hint?: string | undefined
}

const recordsMax = 500
const shownMax = 10

async function read(client: AdminClient, minutes: number): Promise<Status> {
  const since = new Date(Date.now() - minutes * 60_000)
  const query = `action=token.exchange&since=${since.toISOString()}&limit=${recordsMax}`
  const [service, audit, attention] = await Promise.all([
    client.ask({ method: 'GET', path: 'service', answer: serviceAnswer }),
    client.ask({ method: 'GET', path: `audit?${query}`, answer: auditAnswer }),
    client.ask({
      method: 'GET',
      path: 'summary?attention=true',
      answer: attentionAnswer,
    }),
  ])
  const found = audit.value
  const last = found.records.at(-1)?.time
  // Newest first: what there was before the last of them is not known.
  const isCut = found.next_after !== undefined && last !== undefined
  const seconds = isCut
    ? Math.max(1, (Date.parse(service.value.time) - Date.parse(last)) / 1000)
    : minutes * 60
  return {
    service: service.value,
    attention: attention.value,
    requests: { ...countRequests(found.records), minutes, seconds, hint: found.hint },
  }
}

function countRequests(records: z.infer<typeof auditAnswer>['records']) {
  const outcomes: Record<string, number> = {}
  const errors: Record<string, number> = {}
  const sources: Record<string, number> = {}
  const took: number[] = []
  const instances = new Set<string>()
  for (const { instance, outcome, error, source, duration_ms: ms } of records) {
    // Older records have none.
    if (instance !== undefined) instances.add(instance)
    add(outcomes, outcome)
    if (error !== undefined) add(errors, error)
    if (source !== undefined) add(sources, source)
    if (outcome === 'issued' && ms !== undefined) took.push(ms)
  }
  took.sort((one, other) => one - other)
  const at = (share: number) => took[Math.min(took.length - 1, Math.floor(share * took.length))]
  const [p50, p99] = [at(0.5), at(0.99)]
  return {
    count: records.length,
    outcomes,
    errors,
    sources,
    instances: instances.size,
    ...(p50 !== undefined && { p50 }),
    ...(p99 !== undefined && { p99 }),
  }
}

function add(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1
}

function documentOf({ service, requests, attention }: Status): object {
  const { settings: _, ...rest } = service
  const { hint, ...counts } = requests
  return { service: rest, requests: { ...counts, ...(hint !== undefined && { hint }) }, attention }
}

function screen({ service, requests, attention }: Status, paint: Paint): string {
  const { count, seconds, outcomes, errors, sources, instances, p50, p99, hint } = requests
  const { issued = 0, refused = 0, failed = 0 } = outcomes
  const share = (part: number) => (count === 0 ? '-' : `${Math.round((100 * part) / count)} %`)
  const parts = [service.store, service.key_ring, service.policy].every(({ status }) => status === 'ok')
  const served =
    service.stopped === undefined ? paint.good('served') : paint.bad(`stopped ${stopWords(service)}`)
  const rows = [
    ['tokens', `${served}${parts ? '' : paint.bad(', something is at fault: downscope service status')}`],
    ['rate', hint === undefined ? `${rateOf(count, seconds)} (${span(requests)})` : plain(hint)],
    ['issued', `${issued} (${share(issued)})`],
    ['refused', coloured(refused, `${refused} (${share(refused)})`, paint.odd)],
    ['failed', coloured(failed, `${failed} (${share(failed)})`, paint.bad)],
    ...(Object.keys(errors).length === 0 ? [] : [['why', counts(errors)]]),
    ['from', Object.keys(sources).length === 0 ? '-' : counts(sources)],
    ['instances', instances === 0 ? '-' : String(instances)],
    [
      'latency',
      p50 === undefined ? '-' : `${round(p50)} ms half of them, ${round(p99)} ms all but one in a hundred`,
    ],
    ...(service.upstreams ?? [])
      .filter(({ status }) => status !== 'ok')
      .map(({ name, reason = '', at }) => ['upstream', paint.bad(plain(`${name}: ${reason}, since ${at}`))]),
    [
      'credentials',
      `${counted(attention.total, 'credential')}, ${attention.matching === 0 ? paint.good('none wants attention') : paint.odd(`${attention.matching} to look at`)}`,
    ],
  ]
  const wanting = attention.credentials
    .slice(0, shownMax)
    .map(({ name, attention: why = '' }) => ['', plain(name), paint.odd(plain(why.replaceAll('_', ' ')))])
  const head = `${paint.bold(plain(service.issuer))}  ${paint.dim(plain(`${service.version}, ${service.time}`))}\n`
  return `${head}${table(rows)}${wanting.length === 0 ? '' : table(wanting)}`
}

function coloured(value: number, text: string, paint: (text: string) => string): string {
  return value === 0 ? text : paint(text)
}

function rateOf(count: number, seconds: number): string {
  const rate = count / seconds
  return rate >= 1 ? `${rate.toFixed(1)} a second` : `${(rate * 60).toFixed(1)} a minute`
}

function span({ minutes, seconds, count }: Requests): string {
  const whole = seconds === minutes * 60
  return whole ? `the last ${counted(minutes, 'minute')}` : `the last ${count} requests`
}

function counts(of: Readonly<Record<string, number>>): string {
  return Object.entries(of)
    .toSorted(([, one], [, other]) => other - one)
    .map(([name, count]) => plain(`${name} ${count}`))
    .join(', ')
}

function round(ms = 0): number {
  return Math.round(ms * 10) / 10
}
