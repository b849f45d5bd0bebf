import { html } from 'hono/html'
import { textOf } from '../../domain/text.ts'
import { formatTimestamp, later, parseTimestamp, seconds, type EpochSeconds } from '../../domain/time.ts'
import type { CredentialDocument } from '../credential-schemas.ts'
import type {
  AuditPageDocument,
  BlockedCallerDocument,
  BlockedCallersDocument,
  ServiceDocument,
  StopDocument,
} from '../document-schemas.ts'
import type { Form } from '../parse-form.ts'
import { AdminApiError } from './admin-as.ts'
import type { Markup } from './page-answer.ts'
import {
  alert,
  distance,
  facts,
  faultLines,
  field,
  formOf,
  hiddenField,
  note,
  sameBy,
  tableOf,
  timeOf,
  type Act,
  type ConsolePage,
  type PageContext,
  type Same,
  type Shown,
} from './parts.ts'

const route = '/console/stop'
/** As long as nearly every upstream gives tokens for. */
const usualLife = 3_600

export const stopPage: ConsolePage = {
  route,
  under: route,
  needs: 'viewer',
  show: (context) => showStop(context),
  showTyped: (context, typed) => showStop(context, { typed }),
  acts: {
    stop: act('operator', async ({ ask }) => {
      await ask<StopDocument>({ method: 'POST', path: 'service:stop' })
      return route
    }),
    resume: act('admin', async ({ ask }) => {
      await ask<StopDocument>({ method: 'POST', path: 'service:resume' })
      return route
    }),
    block: act('operator', async ({ ask }, form) => {
      const body = { issuer: form.get('issuer') ?? '', subject: form.get('subject') ?? '' }
      await ask<BlockedCallerDocument>({ method: 'POST', path: 'callers:revoke', body })
      return `${route}?${new URLSearchParams({ stopped_caller: body.subject }).toString()}`
    }),
    restore: act('admin', async ({ ask }, form) => {
      const body = { issuer: form.get('issuer') ?? '', subject: form.get('subject') ?? '' }
      await ask<object>({ method: 'POST', path: 'callers:restore', body })
      return route
    }),
    disable: act('operator', async ({ ask }, form) => {
      const name = form.get('credential') ?? ''
      if (!/^[\w.@-]{1,200}$/.test(name))
        throw new AdminApiError({
          status: 400,
          code: 'request_malformed',
          detail: 'this is no name of a credential',
        })
      await ask<CredentialDocument>({ method: 'POST', path: `credentials/${name}:disable` })
      return `${route}?${new URLSearchParams({ stopped_credential: name }).toString()}`
    }),
  },
}

function act(needs: Act['needs'], perform: (context: PageContext, form: Form) => Promise<string>): Act {
  return {
    needs,
    perform: async (context, form) => {
      try {
        return await perform(context, form)
      } catch (error) {
        if (!(error instanceof AdminApiError) || error.status >= 500) throw error
        return showStop(context, { typed: form, refusal: error })
      }
    },
  }
}

interface Tried {
  readonly typed?: Form
  readonly refusal?: AdminApiError
}

async function showStop(context: PageContext, { typed, refusal }: Tried = {}): Promise<Shown> {
  const { ask, may, now, issuer, base, query } = context
  const { value: service } = await ask<ServiceDocument>({ method: 'GET', path: 'service' })
  const { value: blocked } = await ask<BlockedCallersDocument>({ method: 'GET', path: 'callers' })
  const { stopped } = service
  const living = await whatLives(context, stopped?.since, blocked.callers)
  // A page that shows itself again would lose what is typed into it.
  const isWatching = living.until > now && typed === undefined && !query.has('more')
  const main = html`${refusal === undefined ? '' : alert(faultLines(refusal))}
    ${stopped === undefined ? '' : stoppedPart(context, stopped)} ${living.shown}
    ${stopped === undefined && may('operator') ? stopPart(context) : ''}
    ${stopped === undefined && !may('operator') ? note('Tokens are served. Your role may look, and stop nothing.') : ''}
    ${isWatching ? html`<p><a href="${base}${route}?more=true">Stop something else</a></p>` : ''}
    ${may('operator') && !isWatching ? oneCaller(context, typed) : ''}
    <h2>Stopped callers</h2>
    ${blocked.callers.length === 0 ? html`<p>None.</p>` : blockedTable(blocked.callers, context)}
    ${may('operator') && !isWatching ? oneCredential(context, typed) : ''}
    ${sameBy(issuer, sameOf(context, { isStopped: stopped !== undefined, hasBlocked: blocked.callers.length > 0 }))}`
  return { title: 'Stop', main, reloadsAfter: isWatching ? 10 : undefined, status: refusal?.status }
}

function sameOf(
  { may }: PageContext,
  { isStopped, hasBlocked }: { readonly isStopped: boolean; readonly hasBlocked: boolean },
): readonly Same[] {
  const body = { issuer: 'ISSUER', subject: 'SUBJECT' }
  return [
    { command: ['service', 'status'], method: 'GET', path: 'service' },
    ...(may('operator')
      ? [
          { command: ['service', 'stop'], method: 'POST', path: 'service:stop' },
          {
            command: ['callers', 'revoke', 'ISSUER', 'SUBJECT'],
            method: 'POST',
            path: 'callers:revoke',
            body,
          },
          { command: ['credentials', 'disable', 'NAME'], method: 'POST', path: 'credentials/NAME:disable' },
        ]
      : []),
    ...(may('admin') && isStopped
      ? [{ command: ['service', 'resume'], method: 'POST', path: 'service:resume' }]
      : []),
    ...(may('admin') && hasBlocked
      ? [
          {
            command: ['callers', 'restore', 'ISSUER', 'SUBJECT'],
            method: 'POST',
            path: 'callers:restore',
            body,
          },
        ]
      : []),
  ]
}

function stopPart(context: PageContext): Markup {
  return html`<h2>Everything</h2>
    <p>
      At once here, and within 10 seconds on every instance that can read the store, nobody gets a token any
      more. The admin API and these pages go on. An agent beside a workload serves the token that it holds for
      up to a minute more, or as long as its --recheck says. Tokens that were given already live on upstream
      until they end: nobody can end those. Only an admin can start again.
    </p>
    ${formOf(context, { act: 'stop', button: 'Stop everything', isDangerous: true })}`
}

function stoppedPart(
  context: PageContext,
  { by, since }: { readonly by: string; readonly since: string },
): Markup {
  const again = context.may('admin')
    ? formOf(context, { act: 'resume', button: 'Start again', isPrimary: true })
    : html`<p>Only an admin can start again.</p>`
  return html`${alert(
    html`<p>Everything is stopped: nobody gets a token.</p>
      ${facts([
        ['By', html`<code>${by}</code>`],
        ['Since', timeOf(since)],
      ])}`,
  )}
  ${again}`
}

function oneCaller(context: PageContext, typed?: Form): Markup {
  const fields = html`${field({ name: 'issuer', label: 'Issuer', value: typed?.get('issuer'), isRequired: true, hint: "The caller's iss, or the policy's name for it." })}
  ${field({ name: 'subject', label: 'Subject', value: typed?.get('subject'), isRequired: true })}`
  return html`<h2>One caller</h2>
    <p>
      It gets nothing more, whatever the policy says, and as an administrator it is locked out as well. Only
      an admin can let it in again.
    </p>
    ${formOf(context, { act: 'block', button: 'Stop this caller', fields, isDangerous: true })}`
}

function oneCredential(context: PageContext, typed?: Form): Markup {
  return html`<h2>One credential</h2>
    <p>It is disabled: nobody gets a token of it, not even one from memory. It can be enabled again.</p>
    ${formOf(context, {
      act: 'disable',
      button: 'Stop this credential',
      fields: field({
        name: 'credential',
        label: 'Credential',
        value: typed?.get('credential'),
        isRequired: true,
      }),
      isDangerous: true,
    })}`
}

type Blocked = BlockedCallersDocument['callers']

function blockedTable(callers: Blocked, context: PageContext): Markup {
  return tableOf({
    label: 'Stopped callers',
    head: ['Subject', 'Issuer', 'By', 'Since', ''],
    rows: callers.map(({ issuer, subject, by, since }) => [
      subject,
      issuer,
      by,
      timeOf(since) ?? '',
      context.may('admin')
        ? formOf(context, {
            act: 'restore',
            button: 'Let in again',
            fields: html`${hiddenField('issuer', issuer)}${hiddenField('subject', subject)}`,
          })
        : '',
    ]),
  })
}

/** Tokens that were given before a stop and that nobody can end, with how long they live. */
async function whatLives(
  context: PageContext,
  stoppedSince: string | undefined,
  blocked: Blocked,
): Promise<{ readonly until: EpochSeconds; readonly shown: Markup | string }> {
  const { query, now, may } = context
  const caller = query.get('stopped_caller') ?? ''
  const credential = query.get('stopped_credential') ?? ''
  const none = { until: now, shown: '' }
  if (stoppedSince === undefined && caller === '' && credential === '') return none
  const block = blocked.find(({ subject }) => subject === caller)
  const since = parseTimestamp(stoppedSince ?? block?.since) ?? now
  const tokens = may('auditor') ? await lastTokens(context, { since, caller, credential }) : []
  const atMost = later(since, seconds(usualLife))
  const ends = tokens.map(({ ends: end }) => end)
  const until = ends.reduce((latest, end) => (end > latest ? end : latest), tokens.length > 0 ? now : atMost)
  if (until <= now)
    return {
      until: now,
      shown: note('Tokens from before the stop have ended upstream as far as is known here.'),
    }
  const rows = tokens.map(({ record, ends: end }) => [
    textOf(record['caller']),
    textOf(record['credential']),
    timeOf(formatTimestamp(end)) ?? '',
    distance(end - now),
  ])
  const shown = html`<section class="note" aria-labelledby="living">
    <h2 id="living">Still alive upstream</h2>
    <p>
      Tokens that were given before live on until ${timeOf(formatTimestamp(until))}, ${distance(until - now)}.
      Nobody can end them; where an upstream gives longer ones than an hour, longer.
    </p>
    ${rows.length === 0 ? '' : tableOf({ label: 'Tokens that live', head: ['Caller', 'Credential', 'Ends', 'Left'], rows })}
  </section>`
  return { until, shown }
}

type Record = AuditPageDocument['records'][number]

const tokensShown = 50

async function lastTokens(
  { ask, now }: PageContext,
  {
    since,
    caller,
    credential,
  }: { readonly since: EpochSeconds; readonly caller: string; readonly credential: string },
): Promise<readonly { readonly record: Record; readonly ends: EpochSeconds }[]> {
  const query = new URLSearchParams({
    outcome: 'issued',
    since: formatTimestamp(later(since, seconds(-usualLife))),
    until: formatTimestamp(later(since, seconds(11))),
    limit: String(tokensShown),
    ...(caller !== '' && { caller }),
    ...(credential !== '' && { credential }),
  })
  const { value } = await ask<AuditPageDocument>({ method: 'GET', path: `audit?${query.toString()}` })
  return value.records.flatMap((record) => {
    const [given, left] = [parseTimestamp(record.time), record['remaining_seconds']]
    if (given === undefined || typeof left !== 'number') return []
    const ends = later(given, seconds(left))
    return ends > now ? [{ record, ends }] : []
  })
}
