import { html } from 'hono/html'
import type { ServiceStatus } from '../../service/administer-service.ts'
import type { ServiceDocument, SummaryDocument } from '../document-schemas.ts'
import { serviceDocument } from '../admin-documents.ts'
import { AdminApiError } from './admin-as.ts'
import type { Markup } from './page-answer.ts'
import {
  alert,
  badge,
  distance,
  facts,
  note,
  sameBy,
  tableOf,
  timeOf,
  type ConsolePage,
  type PageContext,
  type Shown,
} from './parts.ts'
import { epochSeconds, formatTimestamp, parseTimestamp, type EpochSeconds } from '../../domain/time.ts'

export interface OverviewDeps {
  readonly keepsAudit: boolean
  /** The status of this instance; it answers whatever is down. */
  readonly serviceStatus: () => Promise<ServiceStatus>
  readonly lastGoodAt: () => EpochSeconds | undefined
}

export const attentionWords: Readonly<Record<string, string>> = {
  broken: 'broken',
  rotation_stuck: 'rotation stuck',
  ends_soon: 'ends soon',
  refused_often: 'refused often',
}

export const keepNote = note(
  html`Audit records go to standard output alone. With <code>DOWNSCOPE_AUDIT=stdout+store</code> they are kept
    in the store as well, and shown here.`,
)

export function overviewPage(deps: OverviewDeps): ConsolePage {
  return {
    route: '/console',
    under: '/console',
    needs: 'any',
    show: async (context) => {
      if (!context.may('viewer')) return '/console/activity'
      try {
        return await showOverview(context, deps)
      } catch (error) {
        if (!(error instanceof AdminApiError) || error.status !== 503) throw error
        return showWhatIsKnown(context, deps)
      }
    },
  }
}

async function showOverview(context: PageContext, { keepsAudit }: OverviewDeps): Promise<Shown> {
  const { ask, issuer } = context
  const { value: summary } = await ask<SummaryDocument>({
    method: 'GET',
    path: 'summary?attention=true&limit=20',
  })
  const { value: service } = await ask<ServiceDocument>({ method: 'GET', path: 'service' })
  const main = html`${service.stopped === undefined ? '' : alert(html`Stopped by ${service.stopped.by}: nobody gets a token. <a href="${context.base}/console/stop">Start again</a>`)}
    <h2>Needs attention</h2>
    ${attention(summary, context)}
    <h2>Requests for tokens by hour</h2>
    ${keepsAudit ? '' : keepNote} ${plot(summary, context.now)}
    <h2>This instance</h2>
    ${instance(service)}
    <h2>You</h2>
    ${facts([
      ['Signed in as', html`<code>${context.person}</code>`],
      ['Role', context.roles.join(', ')],
    ])}
    ${howLong}
    ${sameBy(issuer, [
      { command: ['service', 'status'], method: 'GET', path: 'service' },
      { command: ['credentials', 'list', '--attention'], method: 'GET', path: 'summary?attention=true' },
    ])}`
  return { title: 'Overview', main }
}

/** T21: what the page says of how fast somebody is out. */
const howLong = html`<p class="soft">
  Whoever is blocked or loses their role here is out within 10 seconds. Whoever is switched off at the issuer
  is out within an hour, when it is asked again. After 8 hours you sign in anew.
</p>`

function attention({ credentials, matching, total }: SummaryDocument, { base, now }: PageContext): Markup {
  if (matching === 0)
    return html`<p>
      ${badge('all well', 'good')}
      ${total === 0 ? 'No credential is enrolled yet.' : `${total} credentials, and none wants attention.`}
    </p>`
  const items = credentials.map(
    ({ name, attention: why = '', stuck, ends_at: ends, refused_today: refused }) => {
      const words: Readonly<Record<string, string>> = {
        broken: 'its upstream refuses it: reconnect it or bring a new secret',
        rotation_stuck: stuck ?? '',
        ends_soon: `ends ${distance((parseTimestamp(ends) ?? now) - now)}`,
        refused_often: `${refused} refusals in 24 hours`,
      }
      return html`<li>
        ${badge(attentionWords[why] ?? why, why === 'broken' ? 'bad' : 'odd')}
        <a href="${base}/console/credentials/${name}">${name}</a>
        <span class="soft">${words[why] ?? ''}</span>
      </li>`
    },
  )
  const more =
    matching > credentials.length
      ? html`<p><a href="${base}/console/credentials?attention=true">All ${matching}</a></p>`
      : ''
  return html`<ul class="plain">
      ${items}
    </ul>
    ${more}`
}

function instance({
  version,
  time,
  stopped,
  blocked_callers: blocked,
  store,
  key_ring: ring,
  policy,
  upstreams,
}: ReturnType<typeof serviceDocument>): Markup {
  const part = ({ status, reason }: typeof store) =>
    html`${badge(status === 'ok' ? 'ok' : 'fault', status === 'ok' ? 'good' : 'bad')} ${reason ?? ''}`
  return facts([
    ['Tokens', stopped === undefined ? badge('served', 'good') : badge('stopped', 'bad')],
    ['Blocked callers', blocked],
    ['Store', part(store)],
    ['Key ring', part(ring)],
    [
      'Policy',
      html`${part(policy)} ${policy.origin ?? ''}
        <span class="soft">read ${timeOf(policy.loaded_at) ?? 'never'}</span>`,
    ],
    [
      'Upstreams',
      upstreams.length === 0
        ? 'none was asked yet'
        : html`<ul class="plain">
            ${upstreams.map(
              (one) =>
                html`<li>
                  ${one.name} ${part(one)}
                  <span class="soft">${one.status === 'ok' ? 'answered' : 'since'} ${timeOf(one.at)}</span>
                </li>`,
            )}
          </ul>`,
    ],
    ['Version', version],
    ['Its clock', timeOf(time)],
  ])
}

const hoursShown = 24
const width = 720
const height = 120
const bar = 30

/** Bars for each hour, and the same as a table. */
function plot({ hours, hours_cut_at: cutAt }: SummaryDocument, now: EpochSeconds): Markup {
  const thisHour = Math.floor(now / 3600) * 3600
  const known = new Map(hours.map((hour) => [parseTimestamp(hour.hour), hour]))
  const shown = Array.from({ length: hoursShown }, (_, index) => {
    const at = epochSeconds(thisHour - (hoursShown - 1 - index) * 3600)
    const { issued = 0, refused = 0, failed = 0 } = known.get(at) ?? {}
    return { at, issued, refused: refused + failed }
  })
  const most = Math.max(1, ...shown.map(({ issued, refused }) => issued + refused))
  const [issued, refused] = [sumOf(shown.map((one) => one.issued)), sumOf(shown.map((one) => one.refused))]
  const bars = shown.map((hour, index) => {
    const size = (count: number) => Math.round((count / most) * (height - 4))
    const [low, high] = [size(hour.issued), size(hour.refused)]
    return html`<rect
        class="issued"
        x="${index * bar + 3}"
        y="${height - low}"
        width="${bar - 6}"
        height="${low}"
      /><rect
        class="refused"
        x="${index * bar + 3}"
        y="${height - low - high}"
        width="${bar - 6}"
        height="${high}"
      />`
  })
  const rows = shown
    .filter((hour) => hour.issued + hour.refused > 0)
    .toReversed()
    .map((hour) => [timeOf(formatTimestamp(hour.at)) ?? '', hour.issued, hour.refused])
  return html`<p>${issued} issued and ${refused} refused or failed in the last 24 hours.</p>
    ${cutAt === undefined ? '' : note(html`Counted up to ${timeOf(cutAt)}: maintenance has not counted what came since.`)}
    <svg
      class="plot"
      viewBox="0 0 ${width} ${height}"
      role="img"
      aria-label="${issued} issued and ${refused} refused or failed in the last 24 hours"
    >
      <line x1="0" x2="${width}" y1="${height}" y2="${height}" />
      ${bars}
    </svg>
    <p class="soft">
      <span class="key issued"></span> issued <span class="key refused"></span> refused or failed; the last
      hour is on the right
    </p>
    <details>
      <summary>As a table</summary>
      ${tableOf({ label: 'Requests by hour', head: ['Hour', 'Issued', 'Refused or failed'], rows })}
    </details>`
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, one) => sum + one, 0)
}

/** While the store is down: what this instance knows, and since when it knows no more. */
async function showWhatIsKnown(
  { now }: PageContext,
  { serviceStatus, lastGoodAt }: OverviewDeps,
): Promise<Shown> {
  const good = lastGoodAt()
  const since =
    good === undefined
      ? 'It has not answered this page since the instance began.'
      : `It last answered ${distance(good - now)}.`
  const main = html`${alert(
      html`<p>
          The store does not answer. ${since} Tokens that this instance holds are served on, by the last
          policy that it read; nothing can be changed until the store is back.
        </p>
        <p>
          Whoever runs the broker looks at the store and at the log. This page tries again every 10 seconds.
        </p>`,
    )}
    <h2>What is known</h2>
    ${instance(serviceDocument(await serviceStatus()))}`
  return { title: 'Overview', main, status: 503, reloadsAfter: 10 }
}
