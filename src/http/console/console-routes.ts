import type { Hono } from 'hono'
import { html } from 'hono/html'
import { isBrokerError } from '../../domain/broker-error.ts'
import type { Entropy } from '../../ports/entropy.ts'
import type { Log } from '../../ports/log.ts'
import type { Person, SignIn } from '../../sign-in/sign-in.ts'
import { jsonAnswer } from '../answers.ts'
import { issuerUrl } from '../public-routes.ts'
import {
  clearCookie,
  cookieOf,
  pageAnswer,
  redirectAnswer,
  setCookie,
  type Markup,
  type PageAnswer,
} from './page-answer.ts'
import { createServePage, layout } from './layout.ts'
import { ownForm, refuseForeignForm } from './forms.ts'
import { addConsolePages, type PagesDeps, type ServePerson } from './pages.ts'
import { distance } from './parts.ts'
import { styleName, styleSheet } from './styles.ts'

export interface ConsoleRoutesDeps extends Pick<
  PagesDeps,
  'admin' | 'keyRing' | 'clock' | 'keepsAudit' | 'serviceStatus'
> {
  readonly issuer: string
  /** The issuer's own path, empty for most. */
  readonly path: string
  readonly at: (route: string) => string[]
  readonly entropy: Entropy
  readonly log: Log
  /** Absent: nobody signs in. */
  readonly signIn?: SignIn
  /** What `GET /v1/sign-in` tells. */
  readonly signInDocument?: object
}

const sessionCookie = '__Host-downscope_session'
const signInCookie = '__Host-downscope_sign_in'
const sessionSeconds = 8 * 3600
const signInSeconds = 600

/** Signing in and out, the style sheet, and the page that says who signed in. */
export function addConsoleRoutes(app: Hono, deps: ConsoleRoutesDeps): void {
  const { at, entropy } = deps
  app.on('GET', at('/console/:sheet{style\\.[0-9a-f]{8}\\.css}'), ({ req }) =>
    styleAnswer(entropy.uuid(), req.param('sheet') === styleName),
  )
  app.on('GET', at('/v1/sign-in'), () => signInAnswer(deps, entropy.uuid()))
  const { signIn } = deps
  if (signIn === undefined) {
    for (const route of ['/console', '/console/sign-in'])
      app.on('GET', at(route), () => notSetUp(deps, entropy.uuid()))
    return
  }
  const serving = createServing({ ...deps, signIn })
  app.on('GET', at('/console/sign-in'), ({ req }) => serving.begin(req.raw))
  app.on('GET', at('/console/callback'), ({ req }) => serving.finish(req.raw))
  app.on('POST', at('/console/sign-out'), ({ req }) => serving.signOut(req.raw))
  app.on('GET', at('/console/signed-out'), () => serving.signedOut())
  app.on('GET', at('/console/signed-in'), (context) =>
    serving.servePerson(context, (person, requestId) => showSignedIn(deps, person, requestId)),
  )
  const { lastGoodAt } = deps.admin
  addConsolePages(app, { ...deps, servePerson: serving.servePerson, nameOf, lastGoodAt })
}

function createServing(deps: ConsoleRoutesDeps & { readonly signIn: SignIn }) {
  const { issuer, path: base, signIn, entropy } = deps
  const attempt = createServePage({
    ...deps,
    base,
    wellAgo: () => {
      const good = deps.admin.lastGoodAt()
      return good === undefined ? undefined : distance(good - deps.clock.now())
    },
  })
  const servePerson: ServePerson = ({ req: { raw } }, serve, otherwise) =>
    attempt(async (requestId) => {
      const isForm = raw.method !== 'GET'
      const found = await signIn.find(cookieOf(raw, sessionCookie)).catch(async (error: unknown) => {
        if (!isForm || !isBrokerError(error) || error.code !== 'store_unavailable') throw error
        refuseForeignForm(raw, issuer)
        const kept = await otherwise?.(requestId, 'down')
        if (kept === undefined) throw error
        return kept
      })
      if (found instanceof Response) return found
      if (found.kind === 'person') {
        if (found.person.roles.length > 0) return serve(found.person, requestId)
        return showNoRole(deps, found.person, requestId)
      }
      if (isForm) refuseForeignForm(raw, issuer)
      const answered = await otherwise?.(requestId, 'ended')
      if (answered !== undefined) return answered
      const { pathname, search } = new URL(raw.url)
      const to = encodeURIComponent(below(base, pathname) + search)
      return redirectAnswer(issuerUrl(issuer, `/console/sign-in?to=${to}`), { requestId })
    })

  return {
    servePerson,
    begin: (request: Request) =>
      attempt(async (requestId) => {
        const to = ownPath(new URL(request.url).searchParams.get('to'), issuer)
        const found = await signIn.find(cookieOf(request, sessionCookie))
        const renews = found.kind === 'due' ? found.session : undefined
        const { url, kept } = await signIn.begin({ to, renews })
        return redirectAnswer(url, {
          requestId,
          cookies: [setCookie(signInCookie, kept.reveal(), signInSeconds)],
        })
      }),
    finish: (request: Request) =>
      attempt(async (requestId) => {
        const ended = await signIn.finish({
          parameters: new URL(request.url).searchParams,
          kept: cookieOf(request, signInCookie),
          session: cookieOf(request, sessionCookie),
          requestId,
        })
        if (ended.ok)
          return redirectAnswer(issuerUrl(issuer, ended.to), {
            requestId,
            cookies: [
              setCookie(sessionCookie, ended.cookie.reveal(), sessionSeconds),
              clearCookie(signInCookie),
            ],
          })
        if (ended.why !== 'again') return showNotSignedIn(deps, ended.why, requestId)
        // The issuer shows its own page now, and comes back to where the person was.
        const cookies = [clearCookie(sessionCookie), clearCookie(signInCookie)]
        const to = `/console/sign-in?to=${encodeURIComponent(ended.to)}`
        return redirectAnswer(issuerUrl(issuer, to), { requestId, cookies })
      }),
    signOut: (request: Request) =>
      attempt(async (requestId) => {
        const found = await signIn.find(cookieOf(request, sessionCookie))
        if (found.kind === 'nobody') refuseForeignForm(request, issuer)
        else {
          const session = found.kind === 'person' ? found.person.session : found.session
          await ownForm(request, issuer, session.formToken)
          await signIn.end(session, requestId)
        }
        return redirectAnswer(issuerUrl(issuer, '/console/signed-out'), {
          requestId,
          cookies: [clearCookie(sessionCookie)],
        })
      }),
    signedOut: () => {
      const text = html`<p>Your session has ended, and so has every copy of its cookie.</p>
        <p class="soft">You may still be signed in at the issuer.</p>
        <p class="actions"><a class="button primary" href="${base}/console">Sign in</a></p>`
      return plainPage(deps, { title: 'You are signed out', main: text }, { requestId: entropy.uuid() })
    },
  }
}

/** For whoever signed in in another tab, because a form of theirs waits. */
function showSignedIn(deps: ConsoleRoutesDeps, person: Person, requestId: string): Promise<Response> {
  const main = html`<p>
    If a form of yours waits in another tab, close this one and go on there. Else go to the
    <a href="${deps.path}/console">Overview</a>.
  </p>`
  return plainPage(deps, { title: 'You are signed in', main, person }, { requestId })
}

function showNoRole(deps: ConsoleRoutesDeps, person: Person, requestId: string): Promise<Response> {
  const { session } = person
  const rows = session.claimNames.map((name) => {
    const value = session.claims[name]
    const shown = typeof value === 'string' ? value : JSON.stringify(value)
    return html`<dt>${name}</dt>
      <dd><code>${shown ?? '(too long to be kept: roles cannot come from it)'}</code></dd>`
  })
  const main = html`<p class="alert" role="alert">
      You are signed in, and you have no role: no rule in <code>admins</code> of the policy takes you, or you
      are blocked. Show your administrator the claims that came.
    </p>
    <h2>Claims that came</h2>
    <dl>${rows}</dl>`
  return plainPage(deps, { title: 'You have no role', main, person }, { requestId, status: 403 })
}

function showNotSignedIn(
  deps: ConsoleRoutesDeps,
  why: 'refused' | 'stale',
  requestId: string,
): Promise<Response> {
  const text =
    why === 'refused'
      ? 'The issuer did not let you in, or you went back. Nothing happened here.'
      : 'This sign-in did not begin in this browser, is older than 10 minutes, or was finished already.'
  const main = html`<p class="alert" role="alert">${text}</p>
    <p class="actions"><a class="button primary" href="${deps.path}/console">Sign in again</a></p>`
  return plainPage(deps, { title: 'You are not signed in', main }, { requestId, status: 400 })
}

function notSetUp(deps: ConsoleRoutesDeps, requestId: string): Promise<Response> {
  const main = html`<p>
    This broker does not know where people sign in. Whoever runs it sets
    <code>DOWNSCOPE_SIGN_IN_ISSUER</code> and <code>DOWNSCOPE_SIGN_IN_CLIENT_ID</code>: see
    <code>docs/sign-in.md</code>.
  </p>`
  return plainPage(deps, { title: 'Signing in is not set up', main }, { requestId, status: 404 })
}

interface PlainPage {
  readonly title: string
  readonly main: Markup
  readonly person?: Person
}

function plainPage(
  { path: base }: ConsoleRoutesDeps,
  { title, main, person }: PlainPage,
  answer: PageAnswer,
): Promise<Response> {
  const { requestId } = answer
  const shown = person && { name: nameOf(person), formToken: person.session.formToken }
  return pageAnswer(layout({ title, base, main, isConsole: true, requestId, person: shown }), answer)
}

/** What a person is called on a page: it decides nothing. */
function nameOf({ session: { claims, subject } }: Person): string {
  const { email, name } = claims
  const names = [email, name].filter((claim) => typeof claim === 'string')
  return names.find((text) => text !== '') ?? subject
}

/** Where to go after signing in: a page of the console and nothing else, whatever the link said. */
function ownPath(to: string | null, issuer: string): string {
  const home = '/console'
  if (to === null || to.length > 1_000 || !/^\/console(?:[/?][\w/.?=&%:@+~-]*)?$/.test(to)) return home
  const url = URL.parse(issuerUrl(issuer, to))
  return url !== null && below(new URL(issuerUrl(issuer, '')).pathname, url.pathname).startsWith(home)
    ? to
    : home
}

function below(base: string, pathname: string): string {
  const prefix = base.replace(/\/$/, '')
  return prefix !== '' && pathname.startsWith(`${prefix}/`) ? pathname.slice(prefix.length) : pathname
}

function signInAnswer({ signInDocument }: ConsoleRoutesDeps, requestId: string): Response {
  if (signInDocument !== undefined)
    return jsonAnswer({ status: 200, text: JSON.stringify(signInDocument), requestId })
  const text = '{"error":"invalid_request","error_description":"signing in is not set up here"}'
  return jsonAnswer({ status: 404, text, requestId })
}

function styleAnswer(requestId: string, isCurrent: boolean): Response {
  return new Response(styleSheet, {
    headers: {
      'Content-Type': 'text/css; charset=utf-8',
      // Of a page that another version made, this sheet is the nearest there is, and not to be kept for it.
      'Cache-Control': isCurrent ? 'public, max-age=31536000, immutable' : 'no-store',
      'X-Content-Type-Options': 'nosniff',
      'X-Request-Id': requestId,
    },
  })
}
