import { html } from 'hono/html'
import * as z from 'zod/mini'
import { credentialKinds, credentialStates } from '../../domain/credential.ts'
import type { CredentialDocument } from '../credential-schemas.ts'
import type { ConnectionDocument, StartedConnectionDocument, SummaryDocument } from '../document-schemas.ts'
import type { Form } from '../parse-form.ts'
import { isAboutInput, type AdminApiError } from './admin-as.ts'
import { attentionWords } from './overview.ts'
import type { Markup } from './page-answer.ts'
import {
  alert,
  badge,
  facts,
  faultLines,
  field,
  formOf,
  hiddenField,
  note,
  sameBy,
  tableOf,
  timeOf,
  type ConsolePage,
  type PageContext,
  type Same,
  type Shown,
} from './parts.ts'

const pageSize = 50
const route = '/console/credentials'

export const credentialsPage: ConsolePage = {
  route,
  under: route,
  needs: 'viewer',
  show: (context) => showList(context),
  showTyped: (context, typed) => showList(context, { typed }),
  acts: {
    connect: { needs: 'admin', perform: connect },
    finish: { needs: 'admin', perform: finish },
  },
}

const filters = ['search', 'kind', 'state', 'attention', 'sort', 'offset'] as const

async function showList(
  context: PageContext,
  { typed, refusal }: { readonly typed?: Form; readonly refusal?: AdminApiError } = {},
): Promise<Shown> {
  const { ask, query, issuer, may } = context
  // As many as a page of the summary has.
  const wanted = new URLSearchParams()
  for (const name of filters) {
    const value = query.get(name)
    if (value !== null && value !== '') wanted.set(name, value)
  }
  const { value: summary } = await ask<SummaryDocument>({
    method: 'GET',
    path: `summary?${wanted.toString()}`,
  })
  const main = html`${filterForm(context)}
    <p class="soft">
      ${summary.matching} of ${summary.total} credentials, as of
      ${timeOf(summary.at)}${summary.is_cut ? '; there are more, which maintenance has not summed up' : ''}.
    </p>
    ${summary.credentials.length === 0 ? note('No credential matches.') : table(summary, context)}
    ${pages(summary, wanted, context)} ${may('admin') ? connectForm(context, typed, refusal) : ''}
    ${sameBy(issuer, [
      { command: listCommand(wanted), method: 'GET', path: `summary?${wanted.toString()}` },
      ...(may('admin')
        ? [connectBy({ name: 'NAME', upstream: 'UPSTREAM', client: 'CLIENT', scopes: 'SCOPES' })]
        : []),
    ])}`
  return { title: 'Credentials', main, status: refusal?.status }
}

/** The same options as the members of the query. */
function listCommand(wanted: URLSearchParams): readonly string[] {
  const options = [...wanted].flatMap(([name, value]) =>
    name === 'attention' ? ['--attention'] : [`--${name}`, value],
  )
  // Without any, the command would list from the credentials themselves.
  return ['credentials', 'list', ...(options.length === 0 ? ['--sort', 'name'] : options)]
}

interface WantedConnection {
  readonly name: string
  readonly upstream: string
  readonly scopes: string
  readonly client?: string | undefined
  readonly expected_account?: string | undefined
}

/** How to start such a connection without the page. */
export function connectBy({
  name,
  upstream,
  scopes,
  client,
  expected_account: expected,
}: WantedConnection): Same {
  const option = (word: string, value: string | undefined) => (value === undefined ? [] : [word, value])
  return {
    command: [
      'connect',
      name,
      '--upstream',
      upstream,
      ...option('--client', client),
      '--scopes',
      scopes,
      ...option('--expected-account', expected),
    ],
    method: 'POST',
    path: 'connections',
    body: { name, upstream, client, scopes, expected_account: expected },
  }
}

function filterForm({ base, query }: PageContext): Markup {
  const any = ['', 'any'] as const
  const list = (words: readonly string[]) => [
    any,
    ...words.map((word) => [word, word.replaceAll('_', ' ')] as const),
  ]
  const value = (name: string) => query.get(name) ?? ''
  return html`<form method="get" action="${base}${route}" class="filters">
    ${field({ name: 'search', label: 'Search', value: value('search') })}
    ${field({ name: 'kind', label: 'Kind', value: value('kind'), list: list(credentialKinds) })}
    ${field({ name: 'state', label: 'State', value: value('state'), list: list(credentialStates) })}
    ${field({
      name: 'attention',
      label: 'Attention',
      value: value('attention'),
      list: [any, ['true', 'wanted']],
    })}
    ${field({
      name: 'sort',
      label: 'Sort by',
      value: value('sort'),
      list: [
        ['name', 'name'],
        ['last_used', 'last used'],
        ['rotated_at', 'last rotated'],
        ['ends_at', 'ends on'],
      ],
    })}
    <p class="send"><button>Show</button></p>
  </form>`
}

function table({ credentials }: SummaryDocument, { base }: PageContext): Markup {
  const rows = credentials.map((one) => [
    html`<a href="${base}${route}/${one.name}">${one.name}</a>`,
    one.kind.replaceAll('_', ' '),
    one.account,
    one.scopes.length === 0 ? html`<span class="soft">as the rule says</span>` : one.scopes.join(' '),
    html`${stateBadge(one.state)}
    ${one.attention === undefined ? '' : badge(attentionWords[one.attention] ?? '', one.attention === 'broken' ? 'bad' : 'odd')}`,
    timeOf(one.last_used) ?? '–',
    timeOf(one.rotated_at) ?? '–',
    timeOf(one.ends_at) ?? '–',
    one.used_by.length === 0
      ? html`<span class="soft">nobody</span>`
      : one.used_by.flatMap(({ callers }) => callers).join(', '),
  ])
  const head = [
    'Name',
    'Kind',
    'Account',
    'Scopes',
    'State',
    'Last used',
    'Last rotated',
    'Ends on',
    'Who may use it',
  ]
  return tableOf({ label: 'Credentials', head, rows })
}

export function stateBadge(state: string): Markup {
  return badge(state, state === 'enabled' ? 'good' : 'odd')
}

function pages({ matching }: SummaryDocument, wanted: URLSearchParams, { base }: PageContext): Markup {
  const offset = Number(wanted.get('offset') ?? 0)
  const to = (start: number, words: string) => {
    const query = new URLSearchParams(wanted)
    query.set('offset', String(Math.max(0, start)))
    return html`<a href="${base}${route}?${query.toString()}">${words}</a>`
  }
  return html`<p class="links">
    ${offset > 0 ? to(offset - pageSize, 'Former page') : ''}
    ${offset + pageSize < matching ? to(offset + pageSize, 'Next page') : ''}
  </p>`
}

function connectForm(context: PageContext, typed?: Form, refusal?: AdminApiError): Markup {
  const value = (name: string) => typed?.get(name)
  const fields = html`${field({ name: 'name', label: 'Name', value: value('name'), isRequired: true })}
  ${field({ name: 'upstream', label: 'Upstream', value: value('upstream'), isRequired: true, hint: 'A preset such as google, or an upstream of the policy.' })}
  ${field({ name: 'client', label: 'Client', value: value('client'), hint: 'The oauth_client that asks.' })}
  ${field({ name: 'scopes', label: 'Scopes', value: value('scopes'), isRequired: true })}
  ${field({ name: 'expected_account', label: 'Expected account', value: value('expected_account'), hint: 'With another one nothing is kept.' })}`
  return html`<h2 id="connect">Connect a new one</h2>
    <p>
      You get a link for whoever is to consent. Nothing is enabled by it, and nobody gets a token until a rule
      says so.
    </p>
    ${refusal === undefined ? '' : alert(faultLines(refusal))}
    ${formOf(context, { act: 'connect', button: 'Make the link', fields, isPrimary: true })}`
}

async function connect(context: PageContext, form: Form): Promise<Shown> {
  const { ask, seal } = context
  const body = {
    name: form.get('name') ?? '',
    upstream: form.get('upstream') ?? '',
    scopes: form.get('scopes') ?? '',
    client: form.get('client'),
    expected_account: form.get('expected_account'),
  }
  try {
    const { value } = await ask<StartedConnectionDocument>({ method: 'POST', path: 'connections', body })
    const sealed = await seal(JSON.stringify([value.id, value.nonce, value.url]))
    return await showConnection(context, { id: value.id, url: value.url, sealed })
  } catch (error) {
    if (!isAboutInput(error)) throw error
    return showList(context, { typed: form, refusal: error })
  }
}

interface Started {
  readonly id: string
  readonly url: string
  /** With the nonce, for this person alone. */
  readonly sealed: string
}

async function showConnection(
  context: PageContext,
  started: Started,
  refusal?: AdminApiError,
): Promise<Shown> {
  const { ask, issuer } = context
  const { value } = await ask<ConnectionDocument>({ method: 'GET', path: `connections/${started.id}` })
  const carried = hiddenField('started', started.sealed)
  const given = value.account ?? ''
  const fewer =
    value.scopes !== undefined && value.asked_scopes.some((scope) => value.scopes?.includes(scope) !== true)
  const steps: Readonly<Record<string, Markup>> = {
    pending: html`<p>Open this link yourself, or send it to whoever is to consent. It works once.</p>
      <p><a href="${started.url}" target="_blank" rel="noopener">${started.url}</a></p>
      ${formOf(context, { act: 'finish', button: 'Look whether they consented', fields: carried, path: route })}`,
    consented: html`<p>Somebody consented. Look at whose account it is before you finish.</p>
      ${facts([
        ['Account', value.account],
        ['Scopes that came', value.scopes?.join(' ')],
      ])}
      ${fewer ? note('Fewer scopes came than were asked for. Finishing takes what came.') : ''}
      ${formOf(context, {
        act: 'finish',
        button: 'Finish',
        isPrimary: true,
        path: route,
        fields: html`${carried}${hiddenField('account', given)}${fewer ? hiddenField('fewer', value.scopes?.join(' ') ?? '') : ''}`,
      })}`,
  }
  const over = alert(`This connection is ${value.state}. ${value.reason ?? ''} Begin again from Credentials.`)
  const main = html`${refusal === undefined ? '' : alert(faultLines(refusal))}
  ${facts([
    ['Upstream', value.upstream],
    ['Scopes asked for', value.asked_scopes.join(' ')],
    ['Expected account', value.expected_account],
    ['Until', timeOf(value.expires_at)],
    ['State', badge(value.state)],
  ])}
  ${steps[value.state] ?? over}
  ${sameBy(issuer, [connectBy({ ...value, scopes: value.asked_scopes.join(' ') })])}`
  return { title: `Connect ${value.name}`, main }
}

const startedText = z.tuple([z.string(), z.string(), z.string()])

async function finish(context: PageContext, form: Form): Promise<Shown | string> {
  const { ask, unseal } = context
  const sealed = form.get('started') ?? ''
  const opened = await unseal(sealed)
  const parsed = opened === undefined ? undefined : startedText.safeParse(JSON.parse(opened))
  if (parsed?.success !== true) return route
  const [id, nonce, url] = parsed.data
  const account = form.get('account')
  if (account === undefined) return showConnection(context, { id, url, sealed })
  const body = { nonce, account, accept_fewer_scopes: form.get('fewer')?.split(' ') }
  try {
    const path = `connections/${id}:finalize`
    const { value } = await ask<CredentialDocument>({ method: 'POST', path, body })
    return `${route}/${value.name}`
  } catch (error) {
    if (!isAboutInput(error)) throw error
    return showConnection(context, { id, url, sealed }, error)
  }
}
