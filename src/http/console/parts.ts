import { html } from 'hono/html'
import type { NeededRole } from '../../domain/policy.ts'
import { hasControls, quoteForShell } from '../../domain/text.ts'
import type { EpochSeconds } from '../../domain/time.ts'
import type { Form } from '../parse-form.ts'
import type { AdminApiError, Ask } from './admin-as.ts'
import { formTokenField } from './forms.ts'
import type { Markup } from './page-answer.ts'

/** What a page of the console is made with. */
export interface PageContext {
  readonly ask: Ask
  readonly may: (needed: NeededRole) => boolean
  readonly now: EpochSeconds
  /** The broker's public URL. */
  readonly issuer: string
  /** The issuer's own path, before every path of ours. */
  readonly base: string
  /** Of this page, below `base`. */
  readonly path: string
  readonly query: URLSearchParams
  readonly param: (name: string) => string
  /** Hidden fields of every form. */
  readonly hidden: Markup
  /** Seals text for a form of this person, and opens it. */
  readonly seal: (text: string) => Promise<string>
  readonly unseal: (sealed: string) => Promise<string | undefined>
  /** Who it is, as `ISSUER/SUBJECT`. */
  readonly person: string
  readonly roles: readonly string[]
}

export interface Shown {
  readonly title: string
  readonly main: Markup
  readonly status?: number | undefined
  /** Seconds. */
  readonly reloadsAfter?: number | undefined
}

/** A page, or where to go below `base`. */
export type Outcome = Shown | string

export interface ConsolePage {
  /** As the router wants it, below the issuer's path. */
  readonly route: string
  /** The page of the navigation that it belongs to. */
  readonly under: string
  readonly needs: NeededRole
  readonly show: (context: PageContext) => Promise<Outcome>
  /** By the value of the button that was pressed. */
  readonly acts?: Readonly<Record<string, Act>>
  /** Shows its form with what was typed, of a session that had ended meanwhile. */
  readonly showTyped?: (context: PageContext, typed: Form) => Promise<Shown>
  readonly bytesMax?: number
}

export interface Act {
  readonly needs: NeededRole
  readonly perform: (context: PageContext, form: Form) => Promise<Outcome>
}

export type Content = Markup | string | number | readonly Markup[]

export interface FormParts {
  /** What its button does, and says. */
  readonly act: string
  readonly button: string
  readonly fields?: Content
  readonly isPrimary?: boolean
  readonly isDangerous?: boolean
  /** Below `base`; the page itself by default. */
  readonly path?: string
}

export function formOf(
  { base, path: own, hidden }: PageContext,
  { act, button, fields = '', isPrimary = false, isDangerous = false, path = own }: FormParts,
): Markup {
  const look = isDangerous ? 'danger' : isPrimary && 'primary'
  return html`<form method="post" action="${base}${path}">
    ${hidden}${fields}
    <p class="send">
      <button class="${look === false ? '' : look}" name="act" value="${act}">${button}</button>
    </p>
  </form>`
}

export function hiddenField(name: string, value: string): Markup {
  return html`<input type="hidden" name="${name}" value="${value}" />`
}

export function formToken(token: string): Markup {
  return hiddenField(formTokenField, token)
}

export interface FieldParts {
  readonly name: string
  readonly label: string
  readonly value?: string | undefined
  readonly hint?: string
  readonly rows?: number
  readonly isRequired?: boolean
  readonly list?: readonly (readonly [value: string, words: string])[]
}

export function field({ name, label, value = '', hint, rows, isRequired = false, list }: FieldParts): Markup {
  const id = `f-${name}`
  const described = hint === undefined ? '' : html` aria-describedby="${id}-hint"`
  const required = isRequired ? html` required` : ''
  const below = hint === undefined ? '' : html`<span class="soft" id="${id}-hint">${hint}</span>`
  return html`<p class="field"><label for="${id}">${label}</label>${inputOf()}${below}</p>`

  function inputOf(): Markup {
    if (list !== undefined) {
      const options = list.map(([of, words]) =>
        of === value
          ? html`<option value="${of}" selected>${words}</option>`
          : html`<option value="${of}">${words}</option>`,
      )
      return html`<select id="${id}" name="${name}" ${described}>
        ${options}
      </select>`
    }
    if (rows === undefined)
      return html`<input
        id="${id}"
        name="${name}"
        value="${value}"
        autocomplete="off"
        spellcheck="false"
        ${required}${described}
      />`
    // A line break right behind the tag is not part of the text.
    return html`<textarea
      id="${id}"
      name="${name}"
      rows="${rows}"
      autocomplete="off"
      spellcheck="false"
      ${required}${described}
    >
${value}</textarea>`
  }
}

/** Facts, without those that are not there. */
export function facts(rows: readonly (readonly [string, Content | undefined])[]): Markup {
  const shown = rows.flatMap(([name, value]) =>
    value === undefined || value === ''
      ? []
      : [
          html`<dt>${name}</dt>
            <dd>${value}</dd>`,
        ],
  )
  return html`<dl>${shown}</dl>`
}

export interface TableParts {
  readonly label: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly Content[])[]
}

/** Wider than a narrow window it is scrolled by itself, also by keyboard. */
export function tableOf({ label, head, rows }: TableParts): Markup {
  const lines = rows.map(
    (cells) =>
      html`<tr>
        ${cells.map((cell, index) => (index === 0 ? html`<th scope="row">${cell}</th>` : html`<td>${cell}</td>`))}
      </tr>`,
  )
  return html`<div class="scroll" role="region" tabindex="0" aria-label="${label}">
    <table>
      <thead>
        <tr>
          ${head.map((word) => html`<th scope="col">${word}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${lines}
      </tbody>
    </table>
  </div>`
}

export function badge(words: string, look: 'good' | 'bad' | 'odd' | 'plain' = 'plain'): Markup {
  return html`<span class="badge ${look}">${words}</span>`
}

export function note(text: Content): Markup {
  return html`<p class="note">${text}</p>`
}

export function alert(text: Content): Markup {
  return html`<div class="alert" role="alert">${text}</div>`
}

export function timeOf(rfc3339: string | undefined): Markup | undefined {
  if (rfc3339 === undefined) return undefined
  return html`<time datetime="${rfc3339}">${rfc3339.replace('T', ' ').replace('Z', ' UTC')}</time>`
}

/** `in 42 min`, `3 h ago`. */
export function distance(seconds: number): string {
  const size = Math.abs(seconds)
  if (size < 1) return 'just now'
  const units: readonly (readonly [number, string])[] = [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'min'],
    [1, 's'],
  ]
  const [length, unit] = units.find(([one]) => size >= one * (one === 1 ? 0 : 2)) ?? [1, 's']
  const count = `${Math.floor(size / length)} ${unit}`
  return seconds < 0 ? `${count} ago` : `in ${count}`
}

export interface Same {
  /** Words of the command line after `downscope`. */
  readonly command: readonly string[]
  readonly method: string
  /** Below `/v1/admin/`. */
  readonly path: string
  readonly body?: object
  /** A file in place of `body`. */
  readonly file?: string
  /** What it replaces, as its `ETag` is. */
  readonly ifMatch?: string | undefined
}

/** How to do the same without the page, to copy: every word is quoted for a shell (T25). */
export function sameBy(issuer: string, ways: readonly Same[]): Markup {
  const lines = ways.map(({ command, method, path, body, file, ifMatch }) => {
    const words = ['downscope', ...command, '--url', issuer]
    const type = file === undefined ? 'application/json' : 'application/yaml'
    const sent = file === undefined ? ['--data', JSON.stringify(body)] : ['--data-binary', `@${file}`]
    const data = file === undefined && body === undefined ? [] : sent
    const call = [
      'curl',
      ...(method === 'GET' ? [] : ['-X', method]),
      ...(ifMatch === undefined ? [] : ['-H', `If-Match: ${ifMatch}`]),
      ...(data.length === 0 ? [] : ['-H', `Content-Type: ${type}`, ...data]),
      `${issuer.replace(/\/$/, '')}/v1/admin/${path}`,
    ]
    const [shownCommand, shownCall] = [shellLine(words), shellLine(call)]
    if (shownCommand === undefined || shownCall === undefined)
      return html`<p>A name here has control characters and is not put into a line to copy.</p>`
    return html`<pre><code>${shownCommand}</code></pre>
      <pre><code>${shownCall} -H "Authorization: Bearer $(downscope jwt --broker ${quoteForShell(issuer)})"</code></pre>`
  })
  return html`<details class="same">
    <summary>The same by command line and API</summary>
    ${lines}
  </details>`
}

/** `undefined` where a word has what a terminal obeys or nobody sees: such a line is not to be copied. */
function shellLine(words: readonly string[]): string | undefined {
  return words.some(hasControls) ? undefined : words.map(quoteForShell).join(' ')
}

export function faultLines({ detail }: AdminApiError): Markup {
  const lines = detail.split('\n').map((line) => html`<li>${line}</li>`)
  return html`<ul class="plain">
    ${lines}
  </ul>`
}
