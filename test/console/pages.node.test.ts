import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { collections } from '../../src/records/collections.ts'
import { startConsoleWorld, type ConsoleWorld } from '../support/console-world.ts'
import { consent } from '../support/people-world.ts'
import { textOfHtml, type Visitor } from '../support/visitor.ts'

let world: ConsoleWorld
beforeAll(async () => {
  world = await startConsoleWorld()
})
afterAll(() => world.close())

const paths = ['', '/credentials', '/explain', '/policy', '/activity', '/stop', '/credentials/reports-sa']

async function open(visitor: Visitor, path: string) {
  return visitor.open(`${world.url}/console${path}`)
}

describe('the pages', () => {
  test.each(paths)('/console%s has one heading, one main and a navigation of six links', async (path) => {
    const { visitor } = await world.signedIn('Ann')
    const page = await open(visitor, path)
    expect(page.status).toBe(200)
    expect(page.html.match(/<h1>/g)).toHaveLength(1)
    expect(page.html.match(/<main/g)).toHaveLength(1)
    const nav = /<nav.*<\/nav>/.exec(page.html)?.[0] ?? ''
    expect([...nav.matchAll(/<a [^>]*>([^<]*)<\/a>/g)].map(([, words]) => words)).toEqual([
      'Overview',
      'Credentials',
      'Explain',
      'Policy',
      'Activity',
      'Stop',
    ])
    expect(page.html).not.toContain('<script')
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(page.headers.get('cache-control')).toBe('no-store')
    expect(page.html).toContain('downscope ')
    expect(page.html).toContain('curl ')
  })

  test('the style sheet has a name of its own by what is in it, and is kept for good under that alone', async () => {
    const { page } = await world.signedIn('Ann')
    const [, href = ''] = /<link rel="stylesheet" href="([^"]*)"/.exec(page.html) ?? []
    expect(href).toMatch(/^\/console\/style\.[0-9a-f]{8}\.css$/)
    const [sheet, former, none] = await Promise.all(
      [href, '/console/style.00000000.css', '/console/style.css'].map((path) => fetch(`${world.url}${path}`)),
    )
    expect(sheet?.headers.get('content-type')).toBe('text/css; charset=utf-8')
    expect(sheet?.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
    expect([former?.status, former?.headers.get('cache-control')]).toEqual([200, 'no-store'])
    expect(await former?.text()).toBe(await sheet?.text())
    expect(none?.status).toBe(404)
  })

  test('T16 a connection is started, consented and finished by an admin, and nothing is enabled by it', async () => {
    const { visitor } = await world.signedIn('Ann')
    const started = await visitor.press(await open(visitor, '/credentials'), 'Make the link', {
      changes: { name: 'notes', upstream: 'dev', client: 'dev-client', scopes: 'notes.read' },
    })
    expect(started.html).toContain('Connect notes')
    expect(started.html).toMatch(/<dt>Upstream<\/dt>\s*<dd>dev<\/dd>/)
    const link = /href="([^"]*\/connect\/[^"]*)"/.exec(started.html)?.[1] ?? ''
    const asking = await visitor.open(link)
    const thanks = await consent(visitor, await visitor.press(asking, 'Continue'))
    expect(thanks.html).toContain('Thank you')
    const ready = await visitor.press(started, 'Look whether they consented')
    expect(ready.html).toContain('ann@dev.example')
    expect(ready.html).not.toContain('Fewer scopes came')
    const finished = await visitor.press(ready, 'Finish')
    expect(finished.url).toBe(`${world.url}/console/credentials/notes`)
    expect((await world.token('notes')).status).toBe(200)
    const viewer = await world.signedIn('Vera')
    const list = await open(viewer.visitor, '/credentials')
    expect(list.html).not.toContain('Make the link')
  })

  test('a first token and a refusal are in Activity, and the refusal is explained from there', async () => {
    expect((await world.token('reports-sa')).status).toBe(200)
    const refused = await world.token('reports-sa', 'https://www.googleapis.com/auth/devstorage.read_write')
    expect(refused.status).toBe(400)
    const { visitor } = await world.signedIn('Ann')
    const activity = await open(visitor, '/activity?credential=reports-sa&outcome=refused')
    expect(activity.html).toContain('token.exchange')
    const [, one = ''] = /href="(\/console\/activity\?request_id=[^"]*)"/.exec(activity.html) ?? []
    const shown = await visitor.open(`${world.url}${one.replaceAll('&amp;', '&')}`)
    expect(shown.html).toContain('request_id')
    const [, why = ''] = /href="(\/console\/explain\?request=[^"]*)"/.exec(shown.html) ?? []
    const explained = await visitor.open(`${world.url}${why}`)
    expect(explained.html).toContain('Gets no token')
    expect(explained.html).toContain('billing reads reports')
  })

  test('Activity leaves out what was only looked at, unless it is asked for or an action is named', async () => {
    const { visitor } = await world.signedIn('Ann')
    const isLeftOut = async (query: string) =>
      textOfHtml((await open(visitor, `/activity${query}`)).html).includes('--without-reads')
    expect(await isLeftOut('')).toBe(true)
    expect(await isLeftOut('?outcome=done')).toBe(true)
    expect(await isLeftOut('?reads=show')).toBe(false)
    expect(await isLeftOut('?action=credential.change')).toBe(false)
  })

  test('T24 Explain reads a pasted JWT without echo, log or use', async () => {
    const { visitor } = await world.signedIn('Ann')
    const claims = { iss: 'deputy', sub: 'deputy', jti: 'once' }
    const jwt = `eyJhbGciOiJFUzI1NiJ9.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2lnbmF0dXJl`
    const page = await visitor.press(await open(visitor, '/explain'), 'Explain', {
      changes: { jwt, credential: 'reports-sa' },
    })
    expect(page.html).toContain('Gets no token')
    expect(page.html).toContain('nearest')
    expect(page.html).not.toContain(jwt)
    expect(JSON.stringify([world.audits, world.lines])).not.toContain(jwt.slice(30))
    expect(await world.store.list({ prefix: 'replays/', limit: 10 })).not.toContainEqual(
      expect.objectContaining({ value: expect.objectContaining({ jti: 'once' }) as unknown }),
    )
    const wrong = await visitor.press(page, 'Explain', {
      changes: { jwt: 'nonsense', credential: 'reports-sa' },
    })
    expect([wrong.status, wrong.html.includes('This is no JWT')]).toEqual([400, true])
  })

  test('a credential is disabled, enabled and rotated, with what will happen said before', async () => {
    const { visitor } = await world.signedIn('Otto')
    const asked = await open(visitor, '/credentials/reports-sa?confirm=disable')
    expect(asked.html).toContain('Within 10 seconds nobody gets a token')
    const disabled = await visitor.press(asked, 'Disable')
    expect(disabled.html).toContain('disabled</span>')
    expect((await world.token('reports-sa')).status).toBe(400)
    const enabled = await visitor.press(
      await open(visitor, '/credentials/reports-sa?confirm=enable'),
      'Enable',
    )
    expect(enabled.html).toContain('enabled</span>')
    const rotated = await visitor.press(
      await open(visitor, '/credentials/reports-sa?confirm=rotate'),
      'Rotate',
    )
    expect(rotated.html).toContain('Rotation')
    expect(rotated.headers.get('refresh')).toBe('5')
    expect(rotated.html).toMatch(/goes on\s+(?:now|in \d+ (?:s|min))\./)
    expect(rotated.html).toMatch(/<dt>Kind<\/dt>\s*<dd>service account key<\/dd>/)
    expect((await open(visitor, '/credentials/reports-sa?still=true')).headers.get('refresh')).toBeNull()
    expect(world.audits).toContainEqual(
      expect.objectContaining({ action: 'credential.rotate', caller: 'otto' }),
    )
  })

  test('a credential that is gone is said to be', async () => {
    const { visitor } = await world.signedIn('Ann')
    const page = await open(visitor, '/credentials/nothing')
    expect([page.status, page.html.includes('This credential is gone')]).toEqual([404, true])
    expect(page.html).toContain('/console/activity?credential=nothing')
  })

  test('a credential that somebody destroyed meanwhile is said to be gone, and its history is not', async () => {
    const { visitor } = await world.signedIn('Ann')
    const secret = { type: 'oauth_client', client_id: 'c', client_secret: 'development-only' }
    await world.admin('POST credentials', { name: 'short-lived', upstream: 'dev', secret })
    const asked = await open(visitor, '/credentials/short-lived?confirm=revoke')
    const other = await open(visitor, '/credentials/short-lived?confirm=destroy')
    const destroyed = await visitor.press(other, 'Destroy')
    expect([destroyed.status, destroyed.url]).toEqual([200, `${world.url}/console/credentials`])
    const late = await visitor.press(asked, 'Revoke')
    expect([late.status, late.html.includes('This credential is gone')]).toEqual([404, true])
    const became = await open(visitor, '/activity?credential=short-lived')
    expect(became.html).toContain('credential.destroy')
  })

  test('Overview says how many credentials there are when none wants attention', async () => {
    await world.admin('POST maintenance:run')
    const { visitor } = await world.signedIn('Ann')
    expect((await open(visitor, '')).html).toMatch(/[1-9]\d* credentials, and none wants attention/)
  })

  test('Overview says of each upstream how it answered last', async () => {
    expect((await world.token('reports-sa')).status).toBe(200)
    const { visitor } = await world.signedIn('Ann')
    const [, list = ''] = /<dt>Upstreams<\/dt>(.*?)<\/dd>/.exec((await open(visitor, '')).html) ?? []
    expect(list).toMatch(/google .*>ok<.*answered <time/)
  })

  test('a credential shows how it fared before, the newest first', async () => {
    expect((await world.token('reports-sa')).status).toBe(200)
    const { visitor } = await world.signedIn('Ann')
    const [, table = ''] =
      /aria-label="Health"(.*?)<\/table>/.exec((await open(visitor, '/credentials/reports-sa')).html) ?? []
    const states = [...table.matchAll(/class="badge \w+">(\w+)</g)].map(([, state]) => state)
    expect(states).toEqual(['healthy', 'unknown'])
  })

  test('two people change one credential: who is second is told, and nothing of theirs is done', async () => {
    const [ann, otto] = [await world.signedIn('Ann'), await world.signedIn('Otto')]
    const seen = await open(ann.visitor, '/credentials/dev-client?confirm=disable')
    await otto.visitor.press(await open(otto.visitor, '/credentials/dev-client?confirm=disable'), 'Disable')
    const late = await ann.visitor.press(seen, 'Disable')
    expect([late.status, late.html.includes('Somebody was first')]).toEqual([412, true])
    await world.admin('POST credentials/dev-client:enable')
  })

  test('the policy: faults at their lines, a diff before, applied, and who was first when two change it', async () => {
    const { visitor } = await world.signedIn('Ann')
    const editor = await open(visitor, '/policy?edit=true')
    const text = textOfHtml(/<textarea[^>]*> ?([\s\S]*?)<\/textarea>/.exec(editor.html)?.[1] ?? '')
    const press = (page: typeof editor, words: string, changed: string) =>
      visitor.press(page, words, { changes: { text: changed } })
    const wrong = await press(editor, 'Check', text.replace('"version": 1', '"version": 9'))
    expect([wrong.status, wrong.html.includes('It has faults')]).toEqual([422, true])
    expect(wrong.html).toMatch(/:1:\d+|version/)
    const renamed = text.replace('billing reads notes', 'billing reads its notes')
    const checked = await press(editor, 'Check', renamed)
    expect(checked.html).toContain('No faults')
    const unwise = await press(editor, 'Check', text.replace('"credential": "notes"', '"credential": "none"'))
    expect(textOfHtml(unwise.html)).toMatch(/<li>Line \d+: .*"none"/)
    const applied = await press(editor, 'Apply', renamed)
    expect(applied.html).toContain('Policy, version 2')
    expect(applied.html).toContain('What it changed')
    const late = await press(editor, 'Apply', text.replace('billing reads notes', 'notes are read'))
    expect([late.status, late.html.includes('Somebody was first')]).toEqual([412, true])
    expect(late.html).toContain('notes are read')
    expect(late.html).toContain('billing reads its notes')
    const locked = await press(
      late,
      'Apply',
      JSON.stringify({ version: 1, issuers: [], rules: [], admins: [] }),
    )
    expect(locked.html).toContain('would lock you out')
    const viewer = await world.signedIn('Vera')
    const look = await open(viewer.visitor, '/policy?edit=true')
    expect(look.html).not.toContain('value="apply"')
  })

  test('everything is stopped and started again, with a countdown of what lives on', async () => {
    await world.token('reports-sa')
    const { visitor } = await world.signedIn('Ann')
    const stopped = await visitor.press(await open(visitor, '/stop'), 'Stop everything')
    expect(stopped.html).toContain('Everything is stopped')
    expect(stopped.html).toContain('Still alive upstream')
    expect(stopped.html).toContain('Tokens that live')
    expect(stopped.headers.get('refresh')).toBe('10')
    expect(world.audits).toContainEqual(
      expect.objectContaining({ action: 'service.stop', outcome: 'done', caller: 'ann' }),
    )
    expect((await world.token('reports-sa')).status).toBe(503)
    const started = await visitor.press(stopped, 'Start again')
    expect(started.html).toContain('Stop everything')
    expect((await world.token('reports-sa')).status).toBe(200)
  })

  test('a credential that no rule gives says so', async () => {
    const { visitor } = await world.signedIn('Ann')
    const sentence = 'No rule of the policy gives it'
    expect((await open(visitor, '/credentials/dev-client')).html).toContain(sentence)
    expect((await open(visitor, '/credentials/reports-sa')).html).not.toContain(sentence)
  })

  test('one caller is stopped and let in again', async () => {
    const { visitor } = await world.signedIn('Ann')
    const blocked = await visitor.press(await open(visitor, '/stop'), 'Stop this caller', {
      changes: { issuer: 'billing', subject: 'billing' },
    })
    expect(blocked.html).toContain('Let in again')
    expect((await world.token('reports-sa')).status).not.toBe(200)
    await visitor.press(blocked, 'Let in again')
    expect((await world.token('reports-sa')).status).toBe(200)
    const unknown = await visitor.press(await open(visitor, '/stop'), 'Stop this caller', {
      changes: { issuer: 'nobody', subject: 'billing' },
    })
    expect([unknown.status, unknown.html.includes('trusts no issuer')]).toEqual([422, true])
  })
})

describe('who sees and does what', () => {
  test('T23 each role and page: auditors Activity, viewers neither claims nor subject, and what they may not is not shown', async () => {
    const statuses = async (person: string) => {
      const { visitor } = await world.signedIn(person)
      return Promise.all(paths.map(async (path) => (await open(visitor, path)).status))
    }
    expect(await statuses('Ann')).toEqual([200, 200, 200, 200, 200, 200, 200])
    expect(await statuses('Otto')).toEqual([200, 200, 200, 200, 200, 200, 200])
    expect(await statuses('Vera')).toEqual([200, 200, 200, 200, 403, 200, 200])
    expect(await statuses('Alma')).toEqual([200, 403, 200, 403, 200, 403, 403])
    const [vera, alma] = [await world.signedIn('Vera'), await world.signedIn('Alma')]
    expect(vera.page.html).not.toContain('/console/activity')
    expect(alma.page.url).toContain('/console/activity')
    expect(alma.page.html).not.toContain('/console/policy"')
    expect((await open(vera.visitor, '/explain')).html).not.toContain('Request id')
    expect((await open(vera.visitor, '/stop')).html).not.toContain('<button class="danger"')
    const shown = await open(vera.visitor, '/credentials/reports-sa')
    expect(shown.html).toContain('Your role may look at it')
  })

  const acts: Readonly<Record<string, readonly string[]>> = {
    '/stop': ['stop', 'block', 'disable', 'resume', 'restore'],
    '/credentials': ['connect', 'finish'],
    '/credentials/reports-sa': ['rotate', 'abort', 'disable', 'enable', 'revoke', 'destroy'],
    '/policy': ['check', 'apply', 'force'],
    '/explain': ['explain'],
    '/activity': ['show'],
  }
  /** What a role may send: what is missing here is refused. */
  const allowed: Readonly<Record<string, readonly string[]>> = {
    Vera: ['check', 'explain'],
    Alma: ['explain'],
    Otto: ['check', 'explain', 'stop', 'block', 'disable', 'rotate', 'abort', 'enable', 'revoke'],
  }

  test.each(Object.keys(allowed))(
    'T23 P32 what the role of %s does not offer is refused if it is sent all the same, and does nothing',
    async (person) => {
      const { visitor, page } = await world.signedIn(person)
      const token = /name="form_token" value="([^"]*)"/.exec(page.html)?.[1] ?? ''
      const before = (await world.admin('GET credentials/reports-sa')).headers.get('etag')
      const cookie = [...visitor.cookies(world.url)].map(([name, value]) => `${name}=${value}`).join('; ')
      const send = async (path: string, headers: object, body: object) => {
        const answer = await fetch(`${world.url}/console${path}`, {
          method: 'POST',
          redirect: 'manual',
          headers: { cookie, origin: new URL(world.url).origin, ...headers },
          body: new URLSearchParams({ form_token: token, text: 'version: 1', ...body }),
        })
        return answer.status
      }
      let sent = 0
      for (const [path, names] of Object.entries(acts))
        for (const act of names.filter((name) => allowed[person]?.includes(name) !== true)) {
          sent += 1
          // Activity has no form that changes something, and takes none.
          const refused = path === '/activity' ? 405 : 403
          expect([path, act, await send(path, {}, { act })]).toEqual([path, act, refused])
          expect(await send(path, { origin: 'https://evil.example' }, { act })).toBe(refused)
          expect(await send(path, {}, { act, form_token: 'other' })).toBe(refused)
        }
      expect(sent).toBeGreaterThan(7)
      expect((await world.admin('GET credentials/reports-sa')).headers.get('etag')).toBe(before)
      expect((await world.admin('GET service')).document).not.toHaveProperty('stopped')
      expect((await world.token('reports-sa')).status).toBe(200)
    },
  )

  test.each(paths)(
    'a person without a role reads at /console%s which claims came, and sees nothing',
    async (path) => {
      const { visitor } = await world.signedIn('Nora')
      const page = await open(visitor, path)
      expect([page.status, page.html.includes('You have no role')]).toEqual([403, true])
      expect(page.html).toContain('nora@dev.example')
      expect(page.html).toContain('Show your administrator')
      expect(page.html).not.toMatch(/<nav|reports-sa|curl /)
    },
  )

  test('P32 every form of every page is refused without its token, and from a foreign origin, also of an admin', async () => {
    const { visitor } = await world.signedIn('Ann')
    let forms = 0
    for (const path of paths) {
      const page = await open(visitor, path)
      for (const [form = ''] of page.html.matchAll(/<form method="post"[\s\S]*?<\/form>/g)) {
        forms += 1
        const only = { ...page, html: form }
        const [, button = ''] = /<button[^>]*>([^<]*)</.exec(form) ?? []
        const words = button.trim()
        expect((await visitor.press(only, words, { without: ['form_token'] })).status).toBe(403)
        expect(
          (await visitor.press(only, words, { headers: { origin: 'https://evil.example' } })).status,
        ).toBe(403)
      }
    }
    expect(forms).toBeGreaterThan(10)
    expect((await world.token('reports-sa')).status).toBe(200)
  })

  const forms: readonly (readonly [string, string, Readonly<Record<string, string>>])[] = [
    ['/explain', 'Explain', { issuer: 'typed-issuer', credential: 'reports-sa' }],
    [
      '/credentials',
      'Make the link',
      { name: 'typed-name', upstream: 'typed-upstream', scopes: 'typed.scope' },
    ],
    ['/policy?edit=true', 'Apply', { text: 'version: 1\n# typed into the policy\n' }],
    ['/stop', 'Stop this caller', { issuer: 'typed-issuer', subject: 'typed-subject' }],
  ]
  const jwt = 'eyJzZWNyZXQ.eyJhIjoxfQ.c2ln'
  const shown = (text: string) => text.trim().replaceAll(/\s+/g, ' ')

  test.each(forms)(
    'T24 a form of %s whose session has ended comes back to the same person, without a JWT, and is not done',
    async (path, words, typed) => {
      const { visitor } = await world.signedIn('Ann')
      const page = await open(visitor, path)
      const policy = (await world.admin('GET policy')).headers.get('etag')
      visitor.setCookie(world.url, '__Host-downscope_session', 'ended')
      const kept = await visitor.press(page, words, { changes: { ...typed, jwt } })
      expect([kept.status, kept.html.includes('Your session has ended')]).toEqual([401, true])
      const cookies = JSON.stringify([...visitor.cookies(world.url)])
      for (const value of Object.values(typed).map(shown)) {
        expect(kept.url).not.toContain(value)
        expect(kept.html).not.toContain(value)
        expect(cookies).not.toContain(value)
      }
      const other = await world.signedIn('Otto')
      expect((await other.visitor.press(kept, 'Go on')).status).toBe(403)
      await open(visitor, '/sign-in?to=/console/signed-in')
      const back = await visitor.press(kept, 'Go on')
      expect([back.status, back.html.includes('Nothing was done yet')]).toEqual([200, true])
      for (const value of Object.values(typed).map(shown)) expect(textOfHtml(back.html)).toContain(value)
      expect(back.html).not.toContain(jwt)
      expect((await world.admin('GET policy')).headers.get('etag')).toBe(policy)
      for (const { name } of collections)
        expect(JSON.stringify(await world.store.list({ prefix: `${name}/`, limit: 500 }))).not.toContain(
          'typed',
        )
    },
  )

  test('T24 a form of a session before this one comes back as well, and to nobody else', async () => {
    const { visitor } = await world.signedIn('Ann')
    const page = await open(visitor, '/stop')
    visitor.setCookie(world.url, '__Host-downscope_session', 'ended')
    // In another tab.
    await open(visitor, '/sign-in?to=/console/signed-in')
    const typed = { issuer: 'billing', subject: 'billing' }
    const back = await visitor.press(page, 'Stop this caller', { changes: typed })
    expect([back.status, back.html.includes('Nothing was done yet')]).toEqual([200, true])
    expect(back.html).toContain('value="billing"')
    expect((await world.token('reports-sa')).status).toBe(200)
    const other = await world.signedIn('Otto')
    expect((await other.visitor.press(page, 'Stop this caller', { changes: typed })).status).toBe(403)
  })

  test('T25 hostile names are shell-quoted, and control characters are not put into a line to copy', async () => {
    const { visitor } = await world.signedIn('Ann')
    const explain = (subject: string) =>
      open(visitor, '/explain').then((page) =>
        visitor.press(page, 'Explain', { changes: { issuer: 'billing', subject, credential: 'reports-sa' } }),
      )
    const quoted = await explain("$(touch /tmp/x)'; rm -rf ~")
    expect(textOfHtml(quoted.html)).toContain(`--subject '$(touch /tmp/x)'\\''; rm -rf ~'`)
    const hostile = await explain('a\u202Eb')
    expect(hostile.html).toContain('is not put into a line to copy')
  })

  test.each(paths)(
    'a store that is down, at /console%s: what is still known, and since when',
    async (path) => {
      const { visitor } = await world.signedIn('Ann')
      await open(visitor, path)
      world.store.down = true
      const page = await open(visitor, path)
      world.store.down = false
      expect(page.status).toBe(503)
      expect(page.html).toContain('The store does not answer')
      expect(page.html).toMatch(/It last answered (?:just now|\d+ s ago)/)
      expect(page.html).toContain('Tokens that this instance holds are served on')
      expect((await open(visitor, path)).status).toBe(200)
    },
  )

  test.each(forms)(
    'a store that is down when a form of %s is sent loses nothing that was typed',
    async (path, words, typed) => {
      const { visitor } = await world.signedIn('Ann')
      const page = await open(visitor, path)
      world.store.down = true
      const kept = await visitor.press(page, words, { changes: { ...typed, jwt: '' } })
      world.store.down = false
      expect([kept.status, kept.html.includes('is kept in this page')]).toEqual([503, true])
      const back = await visitor.press(kept, 'Go on')
      expect(back.status).toBe(200)
      for (const value of Object.values(typed).map(shown)) expect(textOfHtml(back.html)).toContain(value)
    },
  )

  test('T32 P36 the page of the stop says what lives on where, and Overview how fast somebody is out (T21)', async () => {
    const { visitor } = await world.signedIn('Ann')
    const stop = (await open(visitor, '/stop')).html
    expect(stop).toContain('At once here, and within 10 seconds on every instance')
    expect(stop).toContain(
      'An agent beside a workload serves the token that it holds for up to a minute more',
    )
    const overview = (await open(visitor, '')).html
    expect(overview).toContain('out within 10 seconds')
    expect(overview).toContain('out within an hour')
  })

  // Last: they move the broker's clock, and nobody else's.
  test.each(paths)(
    'T21 at /console%s after an hour the issuer is asked again silently, for the same page',
    async (path) => {
      const { visitor } = await world.signedIn('Ann')
      const query = path === '/activity' ? '?outcome=refused' : ''
      world.pass(3_600)
      const page = await open(visitor, `${path}${query}`)
      expect([page.status, page.url]).toEqual([200, `${world.url}/console${path}${query}`])
      expect(page.path.some((url) => url.includes('prompt=none'))).toBe(true)
    },
  )

  test('T21 whoever was switched off at the issuer is out of every page then, and 8 hours end any session', async () => {
    const out = async (path: string) => {
      const { visitor } = await world.signedIn('Ann')
      return { visitor, page: await open(visitor, path) }
    }
    for (const path of paths) {
      const { visitor } = await out(path)
      world.issuer.endGrants()
      world.pass(3_600)
      expect((await open(visitor, path)).html).toContain('Who are you?')
    }
    const { visitor } = await out('/stop')
    world.pass(8 * 3_600)
    const page = await open(visitor, '/stop')
    expect(page.path.some((url) => url.includes('prompt=none'))).toBe(false)
    expect(page.path.some((url) => url.startsWith(`${world.issuer.url}/auth?`))).toBe(true)
  })
})
