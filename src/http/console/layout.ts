import { html } from 'hono/html'
import type { Markup } from './page-answer.ts'

export interface Layout {
  /** The page's heading too. */
  readonly title: string
  /** The issuer's own path, before every path of ours. */
  readonly base: string
  readonly main: Markup | readonly Markup[]
  /** Who signed in, and with what to sign out. */
  readonly person?: { readonly name: string; readonly formToken: string }
  /** Links of the console, the one of this page marked. */
  readonly navigation?: readonly NavigationLink[]
  /** Where the mark at the top leads; nowhere on the pages of consent, which are nobody's way into the console. */
  readonly isConsole: boolean
  /** The page comes again by itself after so many seconds. */
  readonly reloadsAfter?: number
  readonly requestId: string
}

export interface NavigationLink {
  readonly label: string
  /** Below the issuer's path. */
  readonly path: string
  readonly isCurrent: boolean
}

/** Where the style sheet is, below the issuer's path. */
export const stylePath = '/console/style.css'

/** One page around its content. Works without a script, in a narrow window, by keyboard and read aloud. */
export function layout(page: Layout): Markup {
  const { title, base, main, person, reloadsAfter, requestId } = page
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} – Downscope</title>
        <link rel="stylesheet" href="${base}${stylePath}" />
        <link rel="icon" href="data:," />
        ${reloadsAfter === undefined ? '' : html`<meta http-equiv="refresh" content="${reloadsAfter}" />`}
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
