import { html } from 'hono/html'
import { styleName } from './styles.ts'
import { pageAnswer, type Markup } from './page-answer.ts'
import { brokerErrorCodes, isBrokerError, type BrokerErrorCode } from '../../domain/broker-error.ts'
import type { Entropy } from '../../ports/entropy.ts'
import type { Log } from '../../ports/log.ts'
import { AdminApiError } from './admin-as.ts'
import { answers } from '../answers.ts'
import { locateBug } from '../refuse.ts'

export interface Layout {
  /** The page's heading too. */
  readonly title: string
  /** The issuer's own path, before every path of ours. */
  readonly base: string
  readonly main: Markup | readonly Markup[]
  /** Who signed in, and with what to sign out. */
  readonly person?: { readonly name: string; readonly formToken: string } | undefined
  /** Links of the console, the one of this page marked. */
  readonly navigation?: readonly NavigationLink[]
  /** Where the mark at the top leads; nowhere on the pages of consent, which are nobody's way into the console. */
  readonly isConsole: boolean
  readonly requestId: string
}

export interface NavigationLink {
  readonly label: string
  /** Below the issuer's path. */
  readonly path: string
  readonly isCurrent: boolean
}

/** One page around its content. Works without a script, in a narrow window, by keyboard and read aloud. */
export function layout(page: Layout): Markup {
  const { title, base, main, person, requestId } = page
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} – Downscope</title>
        <link rel="stylesheet" href="${base}/console/${styleName}" />
        <link rel="icon" href="data:," />
      </head>
      <body>
        <a class="skip" href="#main">To the content</a>
        <header class="top">
          <div class="bar">
            ${page.isConsole ? html`<a class="brand" href="${base}/console">Downscope</a>` : html`<span class="brand">Downscope</span>`}
            ${page.navigation === undefined ? '' : navigation(base, page.navigation)}
            ${person === undefined ? '' : signOut(base, person)}
          </div>
        </header>
        <main id="main" class="${page.navigation === undefined ? 'narrow' : 'wide'}">
          <h1>${title}</h1>
          ${main}
        </main>
        <footer><div class="bar">Request ${requestId}</div></footer>
      </body>
    </html>`
}

function navigation(base: string, links: readonly NavigationLink[]): Markup {
  const items = links.map(({ label, path, isCurrent }) =>
    isCurrent
      ? html`<li><a href="${base}${path}" aria-current="page">${label}</a></li>`
      : html`<li><a href="${base}${path}">${label}</a></li>`,
  )
  return html`<nav aria-label="Console">
    <ul>
      ${items}
    </ul>
  </nav>`
}

function signOut(base: string, { name, formToken }: NonNullable<Layout['person']>): Markup {
  return html`<div class="who">
    <span>${name}</span>
    <form method="post" action="${base}/console/sign-out">
      <input type="hidden" name="form_token" value="${formToken}" /><button class="small">Sign out</button>
    </form>
  </div>`
}

interface Words {
  readonly title: string
  readonly text: string
}

const down: Words = {
  title: 'Not available now',
  text: 'Something that this page needs does not answer. Try again in a minute.',
}

const words: Partial<Readonly<Record<BrokerErrorCode, Words>>> = {
  upstream_unavailable: {
    title: 'The other side does not answer',
    text: 'The server that this page leads to does not answer. Nothing was changed: try again in a minute.',
  },
  store_unavailable: down,
  key_ring_unavailable: down,
  policy_unavailable: down,
  audit_unavailable: {
    title: 'Not recorded',
    text: 'What was done could not be recorded, so its result is not shown. Try again in a minute.',
  },
  admin_unauthenticated: {
    title: 'Signing in did not work',
    text: 'The answer of the issuer is not valid. Sign in again; if it happens again, tell your administrator the request below.',
  },
  admin_forbidden: {
    title: 'Refused',
    text: 'This may not be done: your role does not allow it, or the form does not come from this page. Go back, reload the page and try again.',
  },
  not_found: { title: 'There is nothing here', text: 'The address is wrong, or what was here is gone.' },
  request_malformed: { title: 'The request is malformed', text: 'Go back, reload the page and try again.' },
  request_too_large: {
    title: 'Too much text',
    text: 'A form may have 64 KiB. Shorten it and send it again.',
  },
}

export interface ServePageDeps {
  readonly entropy: Entropy
  readonly log: Log
  readonly base: string
  /** How long ago everything was well, where that is known. */
  readonly wellAgo?: () => string | undefined
}

/** Makes a page, or one that says what happened and what to do where that throws. */
export function createServePage(deps: ServePageDeps) {
  const refuse = createRefusePage(deps)
  return async (make: (requestId: string) => Promise<Response>): Promise<Response> => {
    const requestId = deps.entropy.uuid()
    try {
      return await make(requestId)
    } catch (error) {
      return refuse(error, requestId)
    }
  }
}

function createRefusePage(deps: ServePageDeps) {
  return async (error: unknown, requestId: string): Promise<Response> => {
    if (error instanceof AdminApiError) return refusedByAdminApi(error, deps.base, requestId)
    const isPlanned = isBrokerError(error)
    if (!isPlanned) deps.log('error', 'a bug answered 500', { requestId, ...locateBug(error) })
    else deps.log('info', 'a page was refused', { requestId, error: error.code, reason: error.reason })
    const status = isPlanned ? answers[error.code].status : 500
    const isDown = isPlanned && error.code === 'store_unavailable'
    const known = isDown ? storeDown(deps.wellAgo?.()) : undefined
    const { title, text } = known ??
      (isPlanned ? words[error.code] : undefined) ?? {
        title: 'Something went wrong',
        text: 'Nothing more is known here. The log of the broker says more about the request below.',
      }
    const retryAfter = status === 503 ? { 'Retry-After': '60' } : {}
    return pageAnswer(
      layout({
        title,
        base: deps.base,
        main: html`<p class="alert" role="alert">${text}</p>`,
        isConsole: false,
        requestId,
      }),
      { status, requestId, headers: retryAfter },
    )
  }
}

/** What is still known while the store is down, for anybody: who asks cannot be told without it. */
function storeDown(wellAgo: string | undefined): Words {
  const since = wellAgo === undefined ? '' : ` It last answered ${wellAgo}.`
  return {
    title: 'Not available now',
    text:
      `The store does not answer.${since} Tokens that this instance holds are served on, by the last policy that it ` +
      'read; nothing can be changed, and nobody can sign in, until the store is back. Whoever runs the broker looks at ' +
      'the store and at the log. Try again in a minute.',
  }
}

/** The admin API has logged and audited it already. */
function refusedByAdminApi(
  { status, code, detail }: AdminApiError,
  base: string,
  requestId: string,
): Promise<Response> {
  const known = brokerErrorCodes.find((one) => one === code)
  const { title, text } = (known === undefined ? undefined : words[known]) ?? {
    title: 'Refused',
    text: detail,
  }
  const main = html`<p class="alert" role="alert">${text}</p>
    <p><a href="${base}/console">Overview</a></p>`
  const headers = status === 503 ? { 'Retry-After': '60' } : {}
  return pageAnswer(layout({ title, base, main, isConsole: true, requestId }), { status, requestId, headers })
}
