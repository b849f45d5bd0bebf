/** A page as a browser without JavaScript has it. */
export interface Page {
  readonly url: string
  readonly status: number
  readonly html: string
  readonly headers: Headers
  /** Every redirect on the way, as it was asked. */
  readonly path: readonly string[]
}

export interface Visitor {
  readonly open: (url: string, options?: VisitOptions) => Promise<Page>
  /** Presses the button whose words begin like that, with what its form has and with changes to it. */
  readonly press: (page: Page, words: string, options?: PressOptions) => Promise<Page>
  /** Sends the first form of the page, whatever its button. */
  readonly submit: (page: Page, changes: Readonly<Record<string, string>>) => Promise<Page>
  readonly cookies: (origin: string) => ReadonlyMap<string, string>
  readonly setCookie: (origin: string, name: string, value: string) => void
}

export interface VisitOptions {
  /** Stops there instead of going to such an address. */
  readonly stopAt?: (url: string) => boolean
}

export interface PressOptions extends VisitOptions {
  readonly changes?: Readonly<Record<string, string>>
  /** Fields to leave out. */
  readonly without?: readonly string[]
  /** One box of several with that name, which is not ticked. */
  readonly unticked?: readonly [name: string, value: string]
  readonly headers?: Readonly<Record<string, string>>
}

/** Somebody with a browser: cookies of each origin, redirects followed, forms sent as they stand in the page. */
export function createVisitor(): Visitor {
  const jars = new Map<string, Map<string, string>>()
  const jarOf = (url: string) => {
    const { origin } = new URL(url)
    const jar = jars.get(origin) ?? new Map<string, string>()
    jars.set(origin, jar)
    return jar
  }

  const request = async (url: string, init: Sent, { stopAt }: VisitOptions): Promise<Page> => {
    const path: string[] = []
    let [at, sent]: [string, Sent] = [url, init]
    for (let hops = 0; hops < 20; hops += 1) {
      path.push(at)
      if (hops > 0 && stopAt?.(at) === true)
        return { url: at, status: 0, html: '', headers: new Headers(), path }
      const cookie = [...jarOf(at)].map(([name, value]) => `${name}=${value}`).join('; ')
      const headers = { ...(cookie === '' ? {} : { cookie }), ...sent.headers }
      const response = await fetch(at, { ...sent, headers, redirect: 'manual' })
      keep(jarOf(at), response.headers.getSetCookie())
      const location = response.headers.get('location')
      // As it is read: a line break of the template is a space.
      const html = (await response.text()).replaceAll(/\s+/g, ' ')
      if (location === null || response.status < 300 || response.status >= 400)
        return { url: at, status: response.status, html, headers: response.headers, path }
      at = new URL(location, at).href
      sent = {}
    }
    throw new Error(`too many redirects: ${path.join(' ')}`)
  }

  return {
    open: (url, options = {}) => request(url, {}, options),
    press: (page, words, options = {}) => {
      const { action, fields } = formWith(page.html, words)
      const body = new URLSearchParams(fields)
      for (const name of options.without ?? []) body.delete(name)
      if (options.unticked !== undefined) body.delete(...options.unticked)
      for (const [name, value] of Object.entries(options.changes ?? {})) body.set(name, value)
      const url = new URL(action, page.url).href
      const headers = {
        'content-type': 'application/x-www-form-urlencoded',
        origin: new URL(page.url).origin,
        ...options.headers,
      }
      return request(url, { method: 'POST', headers, body: body.toString() }, options)
    },
    submit: (page, changes) => {
      const form = /<form\b[\s\S]*?<\/form>/.exec(page.html)?.[0] ?? ''
      const body = new URLSearchParams(inputsOf(form))
      for (const [name, value] of Object.entries(changes)) body.set(name, value)
      const url = new URL(attribute(form, 'action') ?? '', page.url).href
      const headers = { 'content-type': 'application/x-www-form-urlencoded', origin: new URL(url).origin }
      return request(url, { method: 'POST', headers, body: body.toString() }, {})
    },
    cookies: (origin) => jarOf(origin),
    setCookie: (origin, name, value) => void jarOf(origin).set(name, value),
  }
}

function keep(jar: Map<string, string>, lines: readonly string[]): void {
  for (const line of lines) {
    const [pair = '', ...attributes] = line.split(';')
    const at = pair.indexOf('=')
    const [name, value] = [pair.slice(0, at).trim(), pair.slice(at + 1).trim()]
    const isGone = attributes.some(
      (attribute) => /^\s*max-age=0$/i.test(attribute) || /^\s*expires=.*1970/i.test(attribute),
    )
    if (isGone || value === '') jar.delete(name)
    else jar.set(name, value)
  }
}

interface Sent {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

interface FoundForm {
  readonly action: string
  readonly fields: [string, string][]
}

function formWith(html: string, words: string): FoundForm {
  for (const [form = ''] of html.matchAll(/<form\b[\s\S]*?<\/form>/g)) {
    const button = [...form.matchAll(/<button\b([^>]*)>([\s\S]*?)<\/button>/g)].find(([, , text = '']) =>
      text.trim().startsWith(words),
    )
    if (button === undefined) continue
    const inputs = inputsOf(form)
    const name = attribute(button[1] ?? '', 'name')
    const own: [string, string][] =
      name === undefined ? [] : [[name, attribute(button[1] ?? '', 'value') ?? '']]
    return { action: attribute(form, 'action') ?? '', fields: [...inputs, ...own] }
  }
  throw new Error(`no form has a button ${words}:\n${html}`)
}

function inputsOf(form: string): [string, string][] {
  return [...form.matchAll(/<input\b[^>]*>/g)].flatMap(([input]): [string, string][] => {
    const [name, type] = [attribute(input, 'name'), attribute(input, 'type')]
    if (name === undefined || (type === 'checkbox' && !/\schecked\b/.test(input))) return []
    return [[name, attribute(input, 'value') ?? '']]
  })
}

function attribute(tag: string, name: string): string | undefined {
  const value = new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1]
  return value === undefined ? undefined : textOfHtml(value)
}

/** What was escaped, as it was. */
export function textOfHtml(html: string): string {
  return html
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
}
