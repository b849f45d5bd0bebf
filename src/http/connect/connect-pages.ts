import type { Context, Hono } from 'hono'
import { html } from 'hono/html'
import type { Connect } from '../../connect/connect.ts'
import type { Connection } from '../../domain/connection.ts'
import { formatTimestamp } from '../../domain/time.ts'
import { Secret, unguessable } from '../../domain/secret.ts'
import type { Entropy } from '../../ports/entropy.ts'
import type { KeyRing } from '../../ports/key-ring.ts'
import type { Log } from '../../ports/log.ts'
import {
  cookieOf,
  pageAnswer,
  redirectAnswer,
  setCookie,
  type CookieName,
  type Markup,
  type PageAnswer,
} from '../console/page-answer.ts'
import { createServePage, layout } from '../console/layout.ts'
import { forged, formTokenField, readForm, refuseForeignForm } from '../console/forms.ts'
import { openSealed } from '../../domain/open-sealed.ts'

export interface ConnectPagesDeps {
  readonly issuer: string
  /** The issuer's own path, empty for most. */
  readonly path: string
  readonly at: (route: string) => string[]
  readonly connect: Connect
  readonly keyRing: Pick<KeyRing, 'seal' | 'open'>
  readonly entropy: Entropy
  readonly log: Log
}

const pageCookie = '__Host-downscope_connect'
const flowSeconds = 3_600
const pageSeconds = 7 * 86_400
const linkPattern = '[0-9a-f-]{36}\\.[0-9a-f]{64}'

/** The consent pages: the broker's own, then the callback of the upstream. They need the link, and no session or role. */
export function addConnectPages(app: Hono, deps: ConnectPagesDeps): void {
  const serving = createServing(deps)
  const { at } = deps
  app.on('GET', at(`/connect/:link{${linkPattern}}`), (context) => serving.show(context))
  app.on('POST', at(`/connect/:link{${linkPattern}}`), (context) => serving.decide(context))
  app.on('GET', at('/connect/callback/:upstream{[a-z0-9][a-z0-9._-]{0,62}}'), (context) =>
    serving.answer(context),
  )
}

function createServing(deps: ConnectPagesDeps) {
  const { issuer, path: base, connect, entropy } = deps
  const attempt = createServePage({ ...deps, base })
  const tokens = createFormTokens(deps)

  return {
    show: ({ req }: Context) =>
      attempt(async (requestId) => {
        const link = req.param('link') ?? ''
        const opened = await connect.open(link)
        if (opened.kind === 'closed') return closedPage(base, requestId)
        const known = cookieOf(req.raw, pageCookie)
        const browser = known !== undefined && /^[0-9a-f]{64}$/.test(known) ? known : unguessable(entropy)
        const token = await tokens.make(link, browser)
        const main = askingPage(opened.connection, { action: `${base}/connect/${link}`, token })
        return page(
          base,
          { title: 'Give access?', main },
          {
            requestId,
            cookies: [setCookie(pageCookie, browser, pageSeconds)],
            // Chromium applies form-action to a redirect after the form as well.
            formTargets: [opened.upstreamOrigin],
          },
        )
      }),
    decide: ({ req }: Context) =>
      attempt(async (requestId) => {
        const link = req.param('link') ?? ''
        refuseForeignForm(req.raw, issuer)
        const form = await readForm(req.raw)
        if (!(await tokens.isOf(form.get(formTokenField), link, cookieOf(req.raw, pageCookie))))
          throw forged('does not come from the page that this browser was shown')
        if (form.get('decision') !== 'continue') {
          const refused = await connect.refuse(link, requestId)
          return refused === undefined ? closedPage(base, requestId) : refusedPage(base, requestId)
        }
        const begun = await connect.beginConsent(link)
        if (begun === undefined) return closedPage(base, requestId)
        const cookies = [setCookie(flowCookie(begun.id), begun.browser, flowSeconds)]
        return redirectAnswer(begun.url, { requestId, cookies })
      }),
    answer: ({ req }: Context) =>
      attempt(async (requestId) => {
        const answered = await connect.answer({
          upstream: req.param('upstream') ?? '',
          parameters: new URL(req.raw.url).searchParams,
          browserOf: (id) => cookieOf(req.raw, flowCookie(id)),
          requestId,
        })
        if (answered.kind === 'unmatched') return unmatchedPage(base, requestId)
        const cookies = [setCookie(flowCookie(answered.connection.id), '', 0)]
        return answeredPage(base, answered.connection, { requestId, cookies })
      }),
  }
}

/** One cookie for each connection, so that two consents in one browser do not mix. */
function flowCookie(id: string): CookieName {
  return `__Host-downscope_connect_${/^[0-9a-f-]{36}$/.test(id) ? id : 'none'}`
}

/** P31: a form counts only from the browser that was shown its page, and for that link. */
function createFormTokens({ keyRing, issuer }: ConnectPagesDeps) {
  const place = `form/connect#${issuer}`
  return {
    make: (link: string, browser: string) => keyRing.seal(new Secret(JSON.stringify([link, browser])), place),
    isOf: async (token: string | undefined, link: string, browser: string | undefined) => {
      if (token === undefined || browser === undefined) return false
      return (await openSealed(keyRing, token, place)) === JSON.stringify([link, browser])
    },
  }
}

interface ShownPage {
  readonly title: string
  readonly main: Markup
}

function page(base: string, { title, main }: ShownPage, answer: PageAnswer): Promise<Response> {
  return pageAnswer(layout({ title, base, main, isConsole: false, requestId: answer.requestId }), answer)
}

function askingPage(
  { name, upstream, scopes, expectedAccount, startedBy, expiresAt }: Connection,
  { action, token }: { readonly action: string; readonly token: string },
): Markup {
  const items = scopes.map((scope) => {
    const words = scopeWords(scope, upstream)
    return words === undefined
      ? html`<li><code>${scope}</code></li>`
      : html`<li>${words} <span class="soft">(<code>${scope}</code>)</span></li>`
  })
  const account =
    expectedAccount === undefined
      ? html`<p class="note">
          No account is expected in particular: the one that you choose at ${upstream} is shown to whoever
          asked.
        </p>`
      : html`<p class="note">
          Choose the account <strong>${expectedAccount}</strong>. With any other nothing is kept.
        </p>`
  const button = (decision: 'continue' | 'refuse', words: Markup) =>
    html`<form method="post" action="${action}">
      <input type="hidden" name="${formTokenField}" value="${token}" />
      <button class="primary" name="decision" value="${decision}">${words}</button>
    </form>`
  return html`<p>
      Somebody asks for lasting access to an account of yours at <strong>${upstream}</strong>. Go on only if
      you know who asks, and what for.
    </p>
    <dl>
      <dt>Who asks</dt>
      <dd><code>${startedBy.subject}</code>, signed in at <code>${startedBy.issuer}</code></dd>
      <dt>Their name for it</dt>
      <dd>“${name}”</dd>
      <dt>Until</dt>
      <dd>you take it back at ${upstream}</dd>
    </dl>
    <h2>What it would allow</h2>
    <ul>
      ${items}
    </ul>
    ${account}
    <div class="actions">
      ${button('continue', html`Continue to ${upstream}`)}${button('refuse', html`Refuse`)}
    </div>
    <p class="soft">This link works once, until ${formatTimestamp(expiresAt)}.</p>`
}

function closedPage(base: string, requestId: string): Promise<Response> {
  const main = html`<p class="alert" role="alert">
      This link was used already, has expired, was taken back, or is not whole. Nothing was changed.
    </p>
    <p>Ask whoever sent it for a new one.</p>`
  return page(base, { title: 'This link does not work', main }, { requestId, status: 410 })
}

function refusedPage(base: string, requestId: string): Promise<Response> {
  const main = html`<p>
    Nothing was given to anybody, and whoever asked can see that you refused. You may close this page.
  </p>`
  return page(base, { title: 'You refused', main }, { requestId })
}

function unmatchedPage(base: string, requestId: string): Promise<Response> {
  const main = html`<p class="alert" role="alert">
      This answer does not belong to a consent that began in this browser, or it was used already. Nothing was
      kept.
    </p>
    <p>
      Open the link that you were sent again, in one browser from beginning to end. If you did not open any,
      somebody may have tried to use your consent for themselves: tell your administrator.
    </p>`
  return page(base, { title: 'This is not your consent', main }, { requestId, status: 400 })
}

function answeredPage(base: string, connection: Connection, answer: PageAnswer): Promise<Response> {
  const { state, account, granted = [], scopes, reason, upstream } = connection
  if (state !== 'consented') {
    const main = html`<p class="alert" role="alert">${reason ?? 'It was ended meanwhile.'}</p>
      <p>Nothing was kept. Ask whoever sent the link for a new one.</p>`
    return page(base, { title: 'Nothing was connected', main }, { ...answer, status: 400 })
  }
  const missing = scopes.filter((scope) => !granted.includes(scope))
  const fewer =
    missing.length === 0
      ? ''
      : html`<div class="note">
          <p>You left out some of what was asked for. Whoever asked decides whether that is enough:</p>
          <ul>
            ${missing.map((scope) => html`<li><code>${scope}</code></li>`)}
          </ul>
        </div>`
  const who =
    account === undefined
      ? html`an account at ${upstream}`
      : html`<strong>${account.name}</strong> at ${upstream}`
  const main = html`<p>
      You consented for ${who}. Whoever asked finishes it now; until then nothing is used.
    </p>
    <h2>What you allowed</h2>
    <ul>
      ${granted.map((scope) => html`<li><code>${scope}</code></li>`)}
    </ul>
    ${fewer}
    <p class="soft">
      You can take it back at any time in your account at ${upstream}. You may close this page.
    </p>`
  return page(base, { title: 'Thank you', main }, answer)
}

/** What the scopes of Google that are asked for most let somebody do, after `https://www.googleapis.com/auth/`. */
const googleWords: Readonly<Record<string, string>> = {
  bigquery: 'see and change your data in BigQuery',
  calendar: 'see, change, share and delete your calendars',
  'calendar.events': 'see and change events in your calendars',
  'calendar.readonly': 'see your calendars and their events',
  'cloud-billing': 'see and manage your Google Cloud billing accounts',
  'cloud-billing.readonly': 'see your Google Cloud billing accounts',
  'cloud-platform': 'see, change and delete everything in your Google Cloud, and see your e-mail address',
  compute: 'see and manage your virtual machines in Compute Engine',
  'compute.readonly': 'see your virtual machines in Compute Engine',
  contacts: 'see, change and delete your contacts',
  'contacts.readonly': 'see your contacts',
  'devstorage.full_control': 'manage your data and permissions in Cloud Storage',
  'devstorage.read_only': 'read your data in Cloud Storage',
  'devstorage.read_write': 'read and change your data in Cloud Storage',
  documents: 'see, change and delete your documents',
  drive: 'see, change and delete all of your files in Drive',
  'drive.file': 'see and change the files in Drive that were made or opened with this application',
  'drive.metadata.readonly': 'see the names and details of your files in Drive',
  'drive.readonly': 'see and download all of your files in Drive',
  'gmail.modify': 'read, write and send your mail',
  'gmail.readonly': 'read all of your mail',
  'gmail.send': 'send mail in your name',
  spreadsheets: 'see, change and delete your spreadsheets',
  'spreadsheets.readonly': 'see your spreadsheets',
  taskqueue: 'use your task queues',
  'tasks.readonly': 'see your tasks',
  'userinfo.email': 'see your e-mail address',
  'userinfo.profile': 'see your name and picture',
}

const openIdWords: Readonly<Record<string, string>> = {
  openid: 'know who you are',
  email: 'see your e-mail address',
  profile: 'see your name and picture',
  offline_access: 'go on when you are not there, until you take it back',
}

/** What a scope lets somebody do, where that is known. */
function scopeWords(scope: string, upstream: string): string | undefined {
  const short = scope.replace('https://www.googleapis.com/auth/', '')
  if (upstream === 'google' && Object.hasOwn(googleWords, short)) return googleWords[short]
  return Object.hasOwn(openIdWords, scope) ? openIdWords[scope] : undefined
}
