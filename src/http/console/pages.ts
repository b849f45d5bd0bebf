import type { Context, Hono } from 'hono'
import { html } from 'hono/html'
import { isBrokerError } from '../../domain/broker-error.ts'
import { parseJsonObject } from '../../domain/json.ts'
import { meetsNeed, type NeededRole } from '../../domain/policy.ts'
import { Secret } from '../../domain/secret.ts'
import type { Clock } from '../../ports/clock.ts'
import type { KeyRing } from '../../ports/key-ring.ts'
import type { Person } from '../../sign-in/sign-in.ts'
import { issuerUrl } from '../public-routes.ts'
import type { Form } from '../parse-form.ts'
import { activityPage } from './activity.ts'
import type { AdminAs } from './admin-as.ts'
import { credentialPage } from './credential.ts'
import { credentialsPage } from './credentials.ts'
import { explainPage } from './explain.ts'
import { forged, formTokenField, readForm, refuseForeignForm } from './forms.ts'
import { layout, type NavigationLink } from './layout.ts'
import { overviewPage, type OverviewDeps } from './overview.ts'
import { pageAnswer, redirectAnswer } from './page-answer.ts'
import {
  alert,
  formToken,
  hiddenField,
  type ConsolePage,
  type Outcome,
  type PageContext,
  type Shown,
} from './parts.ts'
import { policyPage } from './policy.ts'
import { stopPage } from './stop.ts'

export interface PagesDeps extends OverviewDeps {
  readonly issuer: string
  /** The issuer's own path, empty for most. */
  readonly path: string
  readonly at: (route: string) => string[]
  readonly admin: AdminAs
  readonly keyRing: Pick<KeyRing, 'seal' | 'open'>
  readonly clock: Pick<Clock, 'now'>
  readonly servePerson: ServePerson
  /** What a person is called on a page. */
  readonly nameOf: (person: Person) => string
}

/** Answers a request of somebody who signed in; `otherwise` has the first word where nobody is. */
export type ServePerson = (
  context: Context,
  serve: (person: Person, requestId: string) => Promise<Response>,
  otherwise?: (requestId: string) => Promise<Response | undefined>,
) => Promise<Response>

const navigation: readonly { readonly label: string; readonly path: string; readonly needs: NeededRole }[] = [
  { label: 'Overview', path: '/console', needs: 'viewer' },
  { label: 'Credentials', path: '/console/credentials', needs: 'viewer' },
  { label: 'Explain', path: '/console/explain', needs: 'any' },
  { label: 'Policy', path: '/console/policy', needs: 'viewer' },
  { label: 'Activity', path: '/console/activity', needs: 'auditor' },
  { label: 'Stop', path: '/console/stop', needs: 'viewer' },
]

/** What a form carried whose session had ended: for the same person alone, and without what is secret (T24). */
const keptField = 'kept'
const formForField = 'form_for'
const neverKept: ReadonlySet<string> = new Set([
  formTokenField,
  formForField,
  keptField,
  'jwt',
  'started',
  'act',
])

/** The six pages, each at its path. */
export function addConsolePages(app: Hono, deps: PagesDeps): void {
  const pages = [
    overviewPage(deps),
    credentialsPage,
    credentialPage,
    explainPage,
    policyPage,
    activityPage,
    stopPage,
  ]
  for (const page of pages) {
    app.on('GET', deps.at(page.route), (context) =>
      deps.servePerson(context, async (person, requestId) =>
        answer(
          deps,
          { page, person, requestId },
          await show(page, await contextOf(deps, page, { context, person })),
        ),
      ),
    )
    if (page.acts === undefined) continue
    app.on('POST', deps.at(page.route), (context) =>
      deps.servePerson(
        context,
        (person, requestId) => act(deps, page, { context, person, requestId }),
        (requestId) => keep(deps, page, { context, requestId }),
      ),
    )
  }
}

interface Visit {
  readonly context: Context
  readonly person: Person
}

async function show(page: ConsolePage, context: PageContext): Promise<Outcome> {
  return context.may(page.needs) ? page.show(context) : notYours(context)
}

function notYours({ roles }: PageContext): Shown {
  const main = alert(
    `Your role, ${roles.join(', ')}, may not do this. Nothing was changed. Ask an administrator.`,
  )
  return { title: 'Not for your role', main, status: 403 }
}

async function act(
  deps: PagesDeps,
  page: ConsolePage,
  visit: Visit & { readonly requestId: string },
): Promise<Response> {
  const { context, person, requestId } = visit
  const { raw } = context.req
  const pageContext = await contextOf(deps, page, visit)
  refuseForeignForm(raw, deps.issuer)
  const form = await readForm(raw, page.bytesMax)
  const done = async (outcome: Outcome) => answer(deps, { page, person, requestId }, outcome)
  const kept = form.get(keptField)
  if (kept !== undefined) {
    const typed = await openKept(deps, kept, pageContext.person)
    if (typed === undefined) throw forged('was kept for somebody else')
    return done(await (page.showTyped ?? page.show)(pageContext, typed))
  }
  if (form.get(formTokenField) !== person.session.formToken)
    throw forged('does not carry the token of this session')
  const wanted = page.acts?.[form.get('act') ?? '']
  if (wanted === undefined || !pageContext.may(wanted.needs)) return done(notYours(pageContext))
  return done(await wanted.perform(pageContext, form))
}

async function contextOf(
  deps: PagesDeps,
  page: ConsolePage,
  { context, person }: Visit,
): Promise<PageContext> {
  const { issuer, path: base, admin, clock } = deps
  const { session, caller, roles } = person
  const url = new URL(context.req.raw.url)
  const who = `${session.issuer}/${session.subject}`
  const place = `form/console#${issuer}#${session.issuer}#${session.subject}`
  const param = (name: string) => context.req.param(name) ?? ''
  const formFor =
    page.showTyped === undefined
      ? ''
      : hiddenField(
          formForField,
          await deps.keyRing.seal(new Secret(JSON.stringify([who, session.formToken])), formForPlace(issuer)),
        )
  return {
    ask: admin.asker(caller),
    may: (needed) => meetsNeed(roles, needed),
    now: clock.now(),
    issuer,
    base,
    path: page.route.replace(/:(\w+)\{[^}]*\}+/, (_, name: string) => param(name)),
    query: url.searchParams,
    param,
    hidden: html`${formToken(session.formToken)}${formFor}`,
    seal: (text) => deps.keyRing.seal(new Secret(text), place),
    unseal: (sealed) => opened(deps, sealed, place),
    person: who,
    roles,
  }
}

interface Answering {
  readonly page: ConsolePage
  readonly person: Person
  readonly requestId: string
}

function answer(
  deps: PagesDeps,
  { page, person, requestId }: Answering,
  outcome: Outcome,
): Promise<Response> | Response {
  const { issuer, path: base } = deps
  if (typeof outcome === 'string') return redirectAnswer(issuerUrl(issuer, outcome), { requestId })
  const { title, main, status = 200, reloadsAfter } = outcome
  const links = navigation
    .filter(({ needs }) => meetsNeed(person.roles, needs))
    .map(({ label, path }): NavigationLink => ({ label, path, isCurrent: path === page.under }))
  return pageAnswer(
    layout({
      title,
      base,
      main,
      isConsole: true,
      requestId,
      navigation: links,
      person: { name: deps.nameOf(person), formToken: person.session.formToken },
    }),
    // Not by a meta element, which axe forbids: each of these pages has a link to the same without it.
    {
      requestId,
      status,
      ...(reloadsAfter === undefined ? {} : { headers: { Refresh: String(reloadsAfter) } }),
    },
  )
}

function formForPlace(issuer: string): string {
  return `form/console-for#${issuer}`
}

/**
 * A form that comes after its session has ended: a page that has what was typed, sealed for whoever the form was made
 * for, to go on with after signing in. `undefined` for a form that is not ours.
 */
async function keep(
  deps: PagesDeps,
  page: ConsolePage,
  { context, requestId }: { readonly context: Context; readonly requestId: string },
): Promise<Response | undefined> {
  if (page.showTyped === undefined) return undefined
  const form = await readForm(context.req.raw, page.bytesMax)
  const text = await opened(deps, form.get(formForField) ?? '', formForPlace(deps.issuer))
  const [who, token] = text === undefined ? [] : (JSON.parse(text) as [string, string])
  if (who === undefined || token !== form.get(formTokenField)) return undefined
  const typed = Object.fromEntries([...form].filter(([name]) => !neverKept.has(name)))
  const sealed = await deps.keyRing.seal(new Secret(JSON.stringify(typed)), keptPlace(deps.issuer, who))
  const { path: base } = deps
  const { pathname } = new URL(context.req.raw.url)
  const main = html`${alert('Your session has ended, so nothing was done. What you typed is kept in this page, but for a JWT or a secret.')}
    <ol>
      <li>
        <a href="${base}/console/sign-in?to=/console/signed-in" target="_blank" rel="noopener"
          >Sign in again</a
        >, in another tab, as the same person.
      </li>
      <li>Come back to this tab and go on: your form is shown again, and you send it once more.</li>
    </ol>
    <form method="post" action="${pathname}">
      ${hiddenField(keptField, sealed)}
      <p class="send"><button class="primary">Go on</button></p>
    </form>`
  return pageAnswer(layout({ title: 'Your session has ended', base, main, isConsole: true, requestId }), {
    requestId,
    status: 401,
  })
}

function keptPlace(issuer: string, who: string): string {
  return `form/console-kept#${issuer}#${who}`
}

async function openKept(deps: PagesDeps, kept: string, who: string): Promise<Form | undefined> {
  const text = await opened(deps, kept, keptPlace(deps.issuer, who))
  const members = text === undefined ? undefined : parseJsonObject(text)
  if (members === undefined) return undefined
  return new Map(Object.entries(members).map(([name, value]) => [name, String(value)]))
}

/** What was sealed at that place, or `undefined`: whatever a browser sends may be anything. */
async function opened({ keyRing }: PagesDeps, sealed: string, place: string): Promise<string | undefined> {
  try {
    return (await keyRing.open(sealed, place)).reveal()
  } catch (error) {
    if (isBrokerError(error) && error.retryAfter === undefined) return undefined
    throw error
  }
}
