import { once } from 'node:events'
import * as z from 'zod/mini'
import { auditOutcomes } from '../../domain/audit-record.ts'
import { escapeInvisible, textOf } from '../../domain/text.ts'
import { readOptions, connect, keepAsking, type AdminClient } from '../admin-client.ts'
import { type Call, type Command, type OptionSpec, wholeNumber } from '../command.ts'
import { createFault, type Exit } from '../fault.ts'
import { createPaint, plain, table, warn, type Paint } from '../output.ts'

const filterOptions: readonly OptionSpec[] = [
  { name: '--caller', value: 'SUBJECT', summary: 'only records of this caller, by its sub' },
  { name: '--issuer', value: 'ISS', summary: 'only of callers of this issuer, by its iss' },
  { name: '--credential', value: 'NAME', summary: 'only about this credential', offer: 'credential' },
  { name: '--rule', value: 'NAME', summary: 'only by this rule of the policy' },
  { name: '--outcome', value: 'OUTCOME', summary: 'only these', offer: auditOutcomes },
  { name: '--action', value: 'ACTION', summary: 'only this action, such as token.exchange' },
  { name: '--since', value: 'TIME', summary: 'from then on: RFC 3339, or an age: 30m, 1h, 2d' },
  { name: '--until', value: 'TIME', summary: 'before then, likewise' },
  { name: '--without-reads', summary: 'leave out what administrators only read' },
]
const csvOption: OptionSpec = { name: '--csv', summary: 'print CSV, safe to open as a table' }
const jsonLines: OptionSpec = { name: '--json', summary: 'print a JSON document a line' }
const withCurl = readOptions.filter(({ name }) => name !== '--json')

export const auditCommands: readonly Command[] = [
  {
    name: 'audit list',
    summary: 'list audit records, newest first',
    details:
      'As far as they are kept in the store (DOWNSCOPE_AUDIT=stdout+store). It says at the end whether there are more.',
    options: [
      ...filterOptions,
      { name: '--limit', value: 'N', summary: 'at most so many, 100 by default' },
      jsonLines,
      csvOption,
      ...withCurl,
    ],
    examples: [
      'downscope audit list --since 1h --outcome refused',
      'downscope audit list --credential reports-sa --caller billing --json',
    ],
    run: list,
  },
  {
    name: 'audit tail',
    summary: 'print audit records as they come, until you stop it',
    options: [...filterOptions.filter(({ name }) => name !== '--until'), jsonLines, ...withCurl],
    examples: ['downscope audit tail', 'downscope audit tail --outcome refused --since 10m'],
    run: tail,
  },
  {
    name: 'audit show',
    summary: 'show everything that one request left',
    arguments: [{ name: 'REQUEST', summary: 'the request id' }],
    options: [
      ...filterOptions.filter(({ name }) => /^--(?:since|until)$/.test(name)),
      jsonLines,
      ...withCurl,
    ],
    examples: ['downscope audit show e7375fd5-1464-41d8-a9ff-3614b85af4e2'],
    run: show,
  },
  {
    name: 'audit export',
    summary: 'print every audit record that matches, newest first',
    details: 'A JSON document a line, or CSV. It asks for a page when the one before it is written.',
    options: [...filterOptions, jsonLines, csvOption, ...withCurl],
    examples: [
      'downscope audit export --since 30d > audit.jsonl',
      'downscope audit export --csv --since 2026-11-01T00:00:00Z > audit.csv',
    ],
    run: exportAll,
  },
]

type Record = Readonly<{ [name: string]: unknown }>

const pageAnswer = z.object({
  records: z.array(z.looseObject({})),
  next_after: z.optional(z.string()),
  complete: z.boolean(),
  hint: z.optional(z.string()),
})

type Page = z.infer<typeof pageAnswer>

const pageSize = 500
const limitDefault = 100
const secondsBetweenLooks = 2
/** A record has the time at which its request began, which took 10 s at most; clocks of instances differ a little. */
const lateSecondsOfAnswers = 15
/** What strangers came to is recorded a minute later; that is looked for once a minute. */
const lateSecondsMax = 90

async function list(call: Call): Promise<Exit> {
  const query = filterIn(call)
  const limit = wholeNumber(call, '--limit', { min: 1, max: 1_000 }) ?? limitDefault
  const client = await connect(call)
  const page = await ask(client, { ...query, limit: String(limit) })
  const write = writerOf(call)
  write.head()
  page.records.forEach(write.record)
  write.end()
  if (page.records.length === 0 && write.isTable) call.terminal.stdout.write('No record matches.\n')
  sayHint(call, page)
  if (page.next_after !== undefined)
    warn(
      call.terminal,
      page.complete
        ? 'there are more: --limit shows more of them, and audit export all'
        : 'not everything was looked at: name a time with --since and --until, or use audit export',
    )
  return 'done'
}

async function exportAll(call: Call): Promise<Exit> {
  const query = filterIn(call)
  const client = await connect(call)
  const { stdout } = call.terminal
  const write = call.has('--csv') ? csvWriter(call) : jsonWriter(call)
  if (!call.has('--curl')) write.head()
  let after: string | undefined
  do {
    const page: Page = await ask(client, { ...query, limit: String(pageSize), after })
    page.records.forEach(write.record)
    // Whoever reads slowly is waited for, so that one page at most is in memory.
    if (stdout.writableNeedDrain) await once(stdout, 'drain')
    if (after === undefined) sayHint(call, page)
    after = page.next_after
  } while (after !== undefined)
  return 'done'
}

async function show(call: Call): Promise<Exit> {
  const id = call.argument('REQUEST')
  const client = await connect(call)
  const query: Query = {
    request_id: id,
    since: timeIn(call, '--since'),
    until: timeIn(call, '--until'),
    limit: '10',
  }
  let page = await ask(client, query)
  while (page.records.length === 0 && page.next_after !== undefined)
    page = await ask(client, { ...query, after: page.next_after })
  sayHint(call, page)
  if (page.records.length === 0)
    throw createFault('refused', `no record of the request ${plain(id)} is kept in the store`, {
      hints: [
        'Its line on standard output has the same id; downscope explain --request says why it was refused.',
      ],
    })
  if (call.has('--json')) page.records.forEach(jsonWriter(call).record)
  else for (const record of page.records) call.terminal.stdout.write(describe(record, paintOf(call)))
  return 'done'
}

async function tail(call: Call): Promise<Exit> {
  const query = filterIn(call)
  const client = await connect(call)
  const write = call.has('--json') ? jsonWriter(call) : lineWriter(call)
  const begin = Date.parse(query['since'] ?? new Date(Date.now() - 60_000).toISOString())
  /** Up to when everything was asked for. */
  let end = begin
  const shown = new Map<string, number>()
  return keepAsking(call, secondsBetweenLooks, async (count) => {
    const lateSeconds = count % 30 === 0 ? lateSecondsMax : lateSecondsOfAnswers
    const since = new Date(Math.max(begin, end - lateSeconds * 1000)).toISOString()
    const askedAt = Date.now()
    const records: Record[] = []
    let after: string | undefined
    do {
      const page: Page = await ask(client, { ...query, since, limit: String(pageSize), after })
      records.push(...page.records)
      if (count === 0 && after === undefined) sayHint(call, page)
      after = page.next_after
    } while (after !== undefined)
    for (const record of records.toReversed()) {
      const key = JSON.stringify([record['time'], record['request_id']])
      if (!shown.has(key)) write.record(record)
      shown.set(key, Date.parse(textOf(record['time'])))
    }
    // An instance whose clock is ahead must not hide the records of the others.
    const [newest = end] = records.map(({ time }) => Date.parse(textOf(time)))
    end = Math.max(end, Math.min(newest, askedAt))
    for (const [key, at] of shown) if (at < end - lateSecondsMax * 1000) shown.delete(key)
  })
}

type Query = Readonly<{ [name: string]: string | undefined }>

async function ask(client: AdminClient, query: Query): Promise<Page> {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, value)
  return (await client.ask({ method: 'GET', path: `audit?${parameters.toString()}`, answer: pageAnswer }))
    .value
}

function filterIn(call: Call): Query {
  const names = ['caller', 'issuer', 'credential', 'rule', 'outcome', 'action']
  return {
    ...Object.fromEntries(names.map((name) => [name, call.text(`--${name}`)])),
    since: timeIn(call, '--since'),
    until: timeIn(call, '--until'),
    reads: call.has('--without-reads') ? 'hide' : undefined,
  }
}

const secondsOf: Readonly<{ [unit: string]: number }> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** RFC 3339 as it is; `1h` is counted from now, once, so that every page is of one question. */
function timeIn(call: Call, name: string): string | undefined {
  const text = call.text(name)
  if (text === undefined) return undefined
  const [, count, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  if (count !== undefined)
    return new Date(Math.max(0, Date.now() - Number(count) * (secondsOf[unit] ?? 0) * 1000)).toISOString()
  if (/^\d{4}-\d\d-\d\dT.*(?:Z|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(Date.parse(text))) return text
  throw createFault('usage', `${name} is a time such as 2026-11-29T08:00:00Z, or an age: 30m, 1h, 2d`)
}

function sayHint(call: Call, { hint }: Page): void {
  if (hint !== undefined) warn(call.terminal, plain(hint))
}

interface Writer {
  readonly isTable: boolean
  readonly head: () => void
  readonly record: (record: Record) => void
  readonly end: () => void
}

function writerOf(call: Call): Writer {
  if (call.has('--json')) return jsonWriter(call)
  return call.has('--csv') ? csvWriter(call) : tableWriter(call)
}

function jsonWriter({ terminal }: Call): Writer {
  return {
    isTable: false,
    head: () => undefined,
    record: (record) => void terminal.stdout.write(`${escapeInvisible(JSON.stringify(record))}\n`),
    end: () => undefined,
  }
}

function tableWriter(call: Call): Writer {
  const rows: string[][] = []
  const paint = paintOf(call)
  return {
    isTable: true,
    head: () => rows.push(tableHead.map((word) => paint.bold(word))),
    record: (record) => rows.push(cellsOf(record, paint)),
    end: () => {
      if (rows.length > 1) call.terminal.stdout.write(table(rows))
    },
  }
}

function lineWriter(call: Call): Writer {
  return {
    ...tableWriter(call),
    record: (record) => void call.terminal.stdout.write(`${cellsOf(record, paintOf(call)).join('  ')}\n`),
  }
}

const tableHead: readonly string[] = [
  'TIME',
  'OUTCOME',
  'ACTION',
  'CALLER',
  'CREDENTIAL',
  'REQUEST',
  'REASON',
]

function cellsOf(record: Record, { good, bad, odd }: Paint): string[] {
  const { time, outcome, action, caller, issuer, credential, target, request_id: id, reason } = record
  const colours: Readonly<{ [outcome: string]: (text: string) => string }> = {
    issued: good,
    refused: odd,
    failed: bad,
  }
  const paint = colours[textOf(outcome)] ?? ((text: string) => text)
  const who = caller === undefined ? '-' : `${textOf(issuer)}/${textOf(caller)}`
  return [
    plain(textOf(time)),
    paint(plain(textOf(outcome))),
    plain(textOf(action)),
    plain(who),
    plain(textOf(credential ?? target ?? '-')),
    plain(textOf(id)),
    plain(textOf(reason)),
  ]
}

const csvColumns: readonly string[] = [
  'time',
  'outcome',
  'action',
  'issuer',
  'caller',
  'rule',
  'credential',
  'credential_version',
  'scopes_asked',
  'scopes_issued',
  'subject',
  'source',
  'target',
  'error',
  'reason',
  'request_id',
  'token_sha256',
  'duration_ms',
]

function csvWriter({ terminal }: Call): Writer {
  const line = (cells: readonly string[]) => void terminal.stdout.write(`${cells.join(',')}\r\n`)
  return {
    isTable: false,
    head: () => line(csvColumns),
    record: (record) => line(csvColumns.map((name) => csvCell(textOf(record[name])))),
    end: () => undefined,
  }
}

/** RFC 4180, with no cell that a spreadsheet would calculate, and nothing in it that a terminal obeys (T25). */
export function csvCell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  const shown = escapeInvisible(safe).replaceAll(/\p{Cc}/gu, (sign) => JSON.stringify(sign).slice(1, -1))
  return /[",]/.test(shown) ? `"${shown.replaceAll('"', '""')}"` : shown
}

function describe(record: Record, { bold }: Paint): string {
  const rows = Object.entries(record).map(([name, value]) => [`  ${plain(name)}`, plain(textOf(value))])
  return `${bold(plain(`${textOf(record['action'])}: ${textOf(record['outcome'])}`))}\n${table(rows)}`
}

function paintOf({ terminal }: Call): Paint {
  return createPaint(terminal.stdout, terminal.env)
}
