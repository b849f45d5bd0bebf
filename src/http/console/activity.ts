import { html } from 'hono/html'
import { auditOutcomes } from '../../domain/audit-record.ts'
import { textOf } from '../../domain/text.ts'
import { formatTimestamp, later, parseTimestamp, seconds } from '../../domain/time.ts'
import type { AuditPageDocument } from '../document-schemas.ts'
import { AdminApiError } from './admin-as.ts'
import { keepNote } from './overview.ts'
import type { Markup } from './page-answer.ts'
import {
  alert,
  badge,
  facts,
  faultLines,
  field,
  note,
  sameBy,
  tableOf,
  timeOf,
  type ConsolePage,
  type PageContext,
  type Shown,
} from './parts.ts'

const route = '/console/activity'
const pageSize = 50
const names = ['caller', 'credential', 'outcome', 'action', 'request_id'] as const

type Record = AuditPageDocument['records'][number]

export const activityPage: ConsolePage = {
  route,
  under: route,
  needs: 'auditor',
  show: async (context) => {
    try {
      return await showActivity(context)
    } catch (error) {
      if (!(error instanceof AdminApiError) || error.status !== 400) throw error
      const main = html`${alert(faultLines(error))}${filterForm(context)}`
      return { title: 'Activity', main, status: 400 }
    }
  },
}

async function showActivity(context: PageContext): Promise<Shown> {
  const { ask, query, base, issuer } = context
  const wanted = wantedOf(context)
  const asked = new URLSearchParams({ ...Object.fromEntries(wanted), limit: String(pageSize) })
  const { value: page } = await ask<AuditPageDocument>({ method: 'GET', path: `audit?${asked.toString()}` })
  const isOne = query.has('request_id')
  const isFollowing = query.get('follow') === 'true' && !query.has('after')
  const to = (changes: object, words: string) => {
    const next = new URLSearchParams({ ...Object.fromEntries(query), ...changes })
    return html`<a href="${base}${route}?${next.toString()}">${words}</a>`
  }
  const next =
    page.next_after === undefined
      ? ''
      : to(
          { after: page.next_after, since: wanted.get('since') ?? '' },
          page.complete ? 'Older records' : 'Look further back',
        )
  const follow = isFollowing
    ? to({ follow: 'false' }, 'Stop following')
    : to({ follow: 'true' }, 'Follow: show new ones every 5 seconds')
  const main = html`${page.hint === undefined ? '' : keepNote} ${isOne ? '' : filterForm(context)}
    ${page.records.length === 0 ? note(page.complete ? 'No record matches.' : 'None among the records that were looked at; there may be older ones.') : ''}
    ${isOne ? page.records.map((record) => everything(record, context)) : table(page.records, context)}
    <p class="links">
      ${isOne ? html`<a href="${base}${route}">All activity</a>` : ''} ${next} ${isOne ? '' : follow}
    </p>
    ${sameBy(issuer, [{ command: commandOf(wanted, isFollowing), method: 'GET', path: `audit?${asked.toString()}` }])}`
  return { title: 'Activity', main, reloadsAfter: isFollowing ? 5 : undefined }
}

function wantedOf({ query, now }: PageContext): URLSearchParams {
  const wanted = new URLSearchParams()
  for (const name of [...names, 'until', 'after']) {
    const value = query.get(name)
    if (value !== null && value !== '') wanted.set(name, value)
  }
  const since = query.get('since') ?? ''
  const [, count, unit = ''] = /^(\d{1,5})([mhd])$/.exec(since) ?? []
  const length: Readonly<{ [unit: string]: number }> = { m: 60, h: 3_600, d: 86_400 }
  if (count !== undefined)
    wanted.set('since', formatTimestamp(later(now, seconds(-Number(count) * (length[unit] ?? 0)))))
  else if (since !== '') wanted.set('since', since)
  // What administrators only looked at would hide what was decided.
  if (query.get('reads') !== 'show' && !query.has('request_id') && !query.has('action'))
    wanted.set('reads', 'hide')
  return wanted
}

function commandOf(wanted: URLSearchParams, isFollowing: boolean): readonly string[] {
  const id = wanted.get('request_id')
  const options = [...wanted].flatMap(([name, value]) => {
    if (name === 'after' || name === 'request_id' || (isFollowing && name === 'until')) return []
    return name === 'reads' ? ['--without-reads'] : [`--${name}`, value]
  })
  if (id !== null) return ['audit', 'show', id, ...options]
  if (isFollowing) return ['audit', 'tail', ...options]
  // What is beyond the first page is reached by asking for all.
  return wanted.has('after')
    ? ['audit', 'export', ...options]
    : ['audit', 'list', ...options, '--limit', String(pageSize)]
}

function filterForm({ base, query }: PageContext): Markup {
  const value = (name: string) => query.get(name) ?? ''
  return html`<form method="get" action="${base}${route}" class="filters">
    ${field({ name: 'caller', label: 'Caller', value: value('caller') })}
    ${field({ name: 'credential', label: 'Credential', value: value('credential') })}
    ${field({
      name: 'outcome',
      label: 'Outcome',
      value: value('outcome'),
      list: [['', 'any'], ...auditOutcomes.map((word) => [word, word] as const)],
    })}
    ${field({ name: 'since', label: 'Since', value: value('since'), hint: '1h, 2d, or RFC 3339' })}
    ${field({ name: 'until', label: 'Until', value: value('until') })}
    ${field({
      name: 'reads',
      label: 'Reading',
      value: value('reads'),
      list: [
        ['hide', 'leave out'],
        ['show', 'show'],
      ],
    })}
    <p class="send"><button>Show</button></p>
  </form>`
}

const looks = { issued: 'good', done: 'plain', refused: 'odd', failed: 'bad' } as const

function outcomeBadge(outcome: string): Markup {
  const known = auditOutcomes.find((one) => one === outcome)
  return badge(outcome, known === undefined ? 'plain' : looks[known])
}

function table(records: readonly Record[], { base }: PageContext): Markup | string {
  if (records.length === 0) return ''
  const rows = records.map((record) => [
    html`<a href="${base}${route}?${oneQuery(record)}">${timeOf(record.time) ?? ''}</a>`,
    outcomeBadge(textOf(record['outcome'])),
    html`<span class="word">${textOf(record['action'])}</span>`,
    textOf(record['caller'] ?? '–'),
    textOf(record['credential'] ?? record['target'] ?? '–'),
    textOf(record['rule'] ?? '–'),
    textOf(record['reason'] ?? '–'),
  ])
  const head = ['Time', 'Outcome', 'Action', 'Caller', 'Credential', 'Rule', 'Reason']
  return tableOf({ label: 'Audit records', head, rows })
}

/** Its second is known, so that nothing else is looked at. */
function oneQuery(record: Record): string {
  const at = parseTimestamp(record.time)
  const span = at === undefined ? {} : { since: record.time, until: formatTimestamp(later(at, seconds(1))) }
  return new URLSearchParams({ request_id: textOf(record['request_id']), ...span }).toString()
}

function everything(record: Record, { base, issuer }: PageContext): Markup {
  const { time, ...members } = record
  const id = textOf(record['request_id'])
  const isExplained =
    record['action'] === 'token.exchange' && record['outcome'] !== 'issued' && record['caller'] !== undefined
  const credential = textOf(record['credential'])
  return html`<h2>${textOf(record['action'])} ${outcomeBadge(textOf(record['outcome']))}</h2>
    ${facts([['time', timeOf(time)], ...Object.entries(members).map(([name, value]) => [name, html`<code>${textOf(value)}</code>`] as const)])}
    <p class="links">
      ${isExplained ? html`<a class="button" href="${base}/console/explain?request=${encodeURIComponent(id)}">Why was it refused?</a>` : ''}
      ${/^[\w.@-]{1,200}$/.test(credential) ? html`<a href="${base}/console/credentials/${credential}">The credential</a>` : ''}
      ${record['caller'] === undefined ? '' : html`<a href="${base}${route}?${new URLSearchParams({ caller: textOf(record['caller']) }).toString()}">All of this caller</a>`}
    </p>
    ${isExplained ? sameBy(issuer, [{ command: ['explain', '--request', id], method: 'POST', path: 'policy:explain', body: { request_id: id } }]) : ''}`
}
