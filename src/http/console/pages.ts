import type { Context, Hono } from 'hono'
import { html } from 'hono/html'
import { meetsNeed, type NeededRole } from '../../domain/policy.ts'
import { Secret } from '../../domain/secret.ts'
import type { Clock } from '../../ports/clock.ts'
import type { KeyRing } from '../../ports/key-ring.ts'
import type { Person } from '../../sign-in/sign-in.ts'
import { issuerUrl } from '../public-routes.ts'
import type { Form } from '../parse-form.ts'
import { activityPage } from './activity.ts'
import { AdminApiError, type AdminAs } from './admin-as.ts'
import { credentialPage } from './credential.ts'
import { credentialsPage } from './credentials.ts'
import { explainPage } from './explain.ts'
import {
  forged,
  formForField,
  formTokenField,
  keptField,
  openTyped,
  ownerOf,
  readForm,
  refuseForeignForm,
  sealOwner,
  sealTyped,
  typedIn,
} from './forms.ts'
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
import { openSealed } from '../../domain/open-sealed.ts'

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

/** Why nobody is known to be signed in: the session has ended, or the store that would say so is down. */
type Unknown = 'ended' | 'down'

/** Answers a request of somebody who signed in; `otherwise` has the first word where nobody is. */
export type ServePerson = (
  context: Context,
  serve: (person: Person, requestId: string) => Promise<Response>,
  otherwise?: (requestId: string, why: Unknown) => Promise<Response | undefined>,
) => Promise<Response>

const navigation: readonly { readonly label: string; readonly path: string; readonly needs: NeededRole }[] = [
  { label: 'Overview', path: '/console', needs: 'viewer' },
  { label: 'Credentials', path: '/console/credentials', needs: 'viewer' },
  { label: 'Explain', path: '/console/explain', needs: 'any' },
  { label: 'Policy', path: '/console/policy', needs: 'viewer' },
  { label: 'Activity', path: '/console/activity', needs: 'auditor' },
  { label: 'Stop', path: '/console/stop', needs: 'viewer' },
]

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
        (requestId, why) => keep(deps, page, { context, requestId, why }),
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
  const again = async (typed: Form) => {
    if (!pageContext.may(page.needs)) return done(notYours(pageContext))
    const shown = await (page.showTyped ?? page.show)(pageContext, typed)
    if (typeof shown === 'string') return done(shown)
    return done({ ...shown, main: html`${sendAgain}${shown.main}` })
  }
  const kept = form.get(keptField)
  if (kept !== undefined) {
    const typed = await openTyped(deps, kept, pageContext.person)
    if (typed === undefined) throw forged('was kept for somebody else')
    return again(typed)
  }
  if (form.get(formTokenField) !== person.session.formToken) {
    // Theirs, of a session before this one.
    if ((await ownerOf(deps, form)) === pageContext.person) return again(typedIn(form))
    throw forged('does not carry the token of this session')
  }
  const wanted = page.acts?.[form.get('act') ?? '']
  if (wanted === undefined || !pageContext.may(wanted.needs)) return done(notYours(pageContext))
  try {
    return await done(await wanted.perform(pageContext, form))
  } catch (error) {
    if (page.showTyped === undefined || !(error instanceof AdminApiError) || error.status !== 503) throw error
    return keptPage(deps, { context, requestId, form, who: pageContext.person, why: 'down' })
  }
}

const sendAgain = alert('Nothing was done yet. Look at what you typed, and send it again.')

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
      : hiddenField(formForField, await sealOwner(deps, { who, token: session.formToken }))
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
    unseal: (sealed) => openSealed(deps.keyRing, sealed, place),
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
    { requestId, status, headers: reloadsAfter === undefined ? {} : { Refresh: String(reloadsAfter) } },
  )
}

interface Unsent {
  readonly context: Context
  readonly requestId: string
  readonly why: Unknown
}

/** Keeps what was typed of a form that cannot be taken now; `undefined` for a form that is not ours. */
async function keep(deps: PagesDeps, page: ConsolePage, unsent: Unsent): Promise<Response | undefined> {
  if (page.showTyped === undefined) return undefined
  const form = await readForm(unsent.context.req.raw, page.bytesMax)
  const who = await ownerOf(deps, form)
  return who === undefined ? undefined : keptPage(deps, { ...unsent, form, who })
}

interface Kept extends Unsent {
  readonly form: Form
  readonly who: string
}

/** What was typed, sealed for whoever the form was made for, to go on with later. */
async function keptPage(deps: PagesDeps, { context, requestId, why, form, who }: Kept): Promise<Response> {
  const { path: base } = deps
  const isDown = why === 'down'
  const steps = isDown
    ? html`<p>Go on in a minute: your form is shown again, and you send it once more.</p>`
    : html`<ol>
        <li>
          <a href="${base}/console/sign-in?to=/console/signed-in" target="_blank" rel="noopener"
            >Sign in again</a
          >, in another tab, as the same person.
        </li>
        <li>Come back to this tab and go on: your form is shown again, and you send it once more.</li>
      </ol>`
  const said = isDown
    ? 'The store, or something else that the broker needs, does not answer, so this could not be done now.'
    : 'Your session has ended, so nothing was done.'
  const main = html`${alert(`${said} What you typed is kept in this page, but for a JWT or a secret.`)}
    ${steps}
    <form method="post" action="${new URL(context.req.raw.url).pathname}">
      ${hiddenField(keptField, await sealTyped(deps, form, who))}
      <p class="send"><button class="primary">Go on</button></p>
    </form>`
  const title = isDown ? 'Not available now' : 'Your session has ended'
  const page = layout({ title, base, main, isConsole: true, requestId })
  return pageAnswer(page, { requestId, status: isDown ? 503 : 401 })
}
