import { html } from 'hono/html'

interface Shown {
  readonly id: string
  readonly name: string
}

type Markup = ReturnType<typeof html>

/** Whom to be. */
export function signInPage({
  action,
  people,
}: {
  readonly action: string
  readonly people: readonly Shown[]
}): Promise<string> {
  const buttons = people.map(
    ({ id, name }) => html`<p><button name="person" value="${id}">Sign in as ${name}</button></p>`,
  )
  return page(
    'Who are you?',
    html`<p>This is the development issuer: it asks for no password.</p>
      <form method="post" action="${action}">${buttons}</form>
      ${refusal(action, 'Go back')}`,
  )
}

/** What to let the client have; a scope can be left out. */
export function consentPage(asked: {
  readonly action: string
  readonly client: string
  readonly account: string
  readonly scopes: readonly string[]
}): Promise<string> {
  const { action, client, account, scopes } = asked
  const boxes = scopes
    .filter((scope) => scope !== 'openid')
    .map(
      (scope) =>
        html`<p>
          <label><input type="checkbox" name="scope" value="${scope}" checked /> ${scope}</label>
        </p>`,
    )
  return page(
    'Do you allow this?',
    html`<p><strong>${client}</strong> asks for access in the name of <strong>${account}</strong>.</p>
      <form method="post" action="${action}">
        ${boxes}
        <p><button name="decision" value="allow">Allow</button></p>
      </form>
      ${refusal(action, 'Refuse')}`,
  )
}

export function homePage(people: readonly Shown[]): Promise<string> {
  return page(
    'Development issuer',
    html`<p>
        An OpenID Connect issuer and OAuth server for trying things out, on this machine only. Here are:
      </p>
      <ul>
        ${people.map(({ id, name }) => html`<li>${id}: ${name}</li>`)}
      </ul>
      <form method="post" action="/end-grants">
        <p><button>End everybody's grants and sessions</button></p>
      </form>`,
  )
}

function refusal(action: string, words: string): Markup {
  return html`<form method="post" action="${action}">
    <p><button name="decision" value="refuse">${words}</button></p>
  </form>`
}

async function page(title: string, main: Markup): Promise<string> {
  const whole = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <style>
          :root {
            color-scheme: light dark;
          }
          body {
            font:
              1rem/1.5 system-ui,
              sans-serif;
            max-width: 36rem;
            margin: 2rem auto;
            padding: 0 1rem;
          }
          button {
            font: inherit;
            padding: 0.5rem 1rem;
          }
        </style>
      </head>
      <body>
        <main>
          <h1>${title}</h1>
          ${main}
        </main>
      </body>
    </html>`
  return String(await whole)
}
