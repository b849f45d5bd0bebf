import { createServer, type Server } from 'node:http'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { listenOnLoopback } from '../support/listen.ts'
import { createConnecting, goOnTo, type Connecting, type Started } from '../support/connecting.ts'
import { consent, startPeopleWorld, type PeopleWorld } from '../support/people-world.ts'
import { createVisitor, type Page } from '../support/visitor.ts'

// The threats of connecting, by their numbers in the threat model, at a certified server and at a stand-in that lies.

interface Lies {
  idToken?: Readonly<Record<string, unknown>>
  reply?: Readonly<Record<string, unknown>>
  requests: { readonly path: string; readonly form: URLSearchParams }[]
}

let world: PeopleWorld
let liar: Server
let liarUrl: string
let lies: Lies
let start: Connecting['start']
let stateOf: Connecting['stateOf']
let finalize: Connecting['finalize']
let enrolClient: Connecting['enrolClient']
beforeAll(async () => {
  liar = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk: Buffer) => (text += chunk.toString()))
    request.on('end', () => {
      const path = new URL(request.url ?? '/', liarUrl).pathname
      lies.requests.push({ path, form: new URLSearchParams(text) })
      const idToken = {
        iss: liarUrl,
        aud: 'at-liar',
        exp: Math.floor(Date.now() / 1000) + 600,
        ...lies.idToken,
      }
      const parts = [{ alg: 'none' }, idToken].map((part) =>
        Buffer.from(JSON.stringify(part)).toString('base64url'),
      )
      const reply = {
        access_token: 'at',
        refresh_token: `rt-${lies.requests.length}`,
        token_type: 'Bearer',
        expires_in: 3600,
        scope: 'a b',
        ...(lies.idToken === undefined ? {} : { id_token: `${parts.join('.')}.x` }),
        ...lies.reply,
      }
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(reply))
    })
  })
  liarUrl = `http://127.0.0.1:${await listenOnLoopback(liar)}`
  world = await startPeopleWorld({
    settings: () => ({ DOWNSCOPE_SIGN_IN_SCOPES: 'openid email profile groups' }),
    policy: ({ issuer }) => ({
      upstreams: [
        { name: 'dev', issuer, discovery: true, client_auth: 'client_secret_basic' },
        {
          name: 'liar',
          issuer: liarUrl,
          token_endpoint: `${liarUrl}/token`,
          authorization_endpoint: `${liarUrl}/authorize`,
          revocation_endpoint: `${liarUrl}/revoke`,
          client_auth: 'client_secret_post',
        },
        {
          name: 'mute',
          token_endpoint: `${liarUrl}/token`,
          authorization_endpoint: `${liarUrl}/authorize`,
          client_auth: 'client_secret_post',
        },
      ],
      rules: [
        {
          name: 'billing reads',
          callers: [{ issuer: 'billing', subject: 'billing' }],
          credential: 'mine',
          scopes: ['a', 'b'],
        },
      ],
    }),
  })
  ;({ start, stateOf, finalize, enrolClient } = createConnecting(world, {
    upstream: 'liar',
    client: 'liar-client',
    scopes: ['a', 'b'],
  }))
  await enrolClient('dev-client', 'dev', 'downscope-connect', 'development-only')
  await enrolClient('liar-client', 'liar', 'at-liar', 'secret')
  await enrolClient('mute-client', 'mute', 'at-liar', 'secret')
})
afterAll(async () => {
  await world.close()
  await new Promise((resolve) => liar.close(resolve))
})
beforeEach(() => {
  lies = { requests: [] }
})

const account = { sub: '1', email: 'ann@dev.example', email_verified: true }
/** Nobody whose grant any credential holds. */
const zoe = { sub: '9', email: 'zoe@dev.example', email_verified: true }

describe('P31 one browser, one link, one starter', () => {
  test('P31 CVE-2026-27124: a victim who is sent the upstream’s page consents for nobody', async () => {
    const { id, url } = await start({ upstream: 'dev', client: 'dev-client', scopes: ['notes.read'] })
    const attacker = createVisitor()
    const asking = await attacker.open(url)
    const upstream = await attacker.press(asking, 'Continue', { stopAt: isAt(world.issuer.url) })
    const victim = createVisitor()
    const login = await victim.open(upstream.url)
    const page = await consent(victim, await victim.press(login, 'Sign in as Ann'))

    expect(page.status).toBe(400)
    expect(page.html).toContain('This is not your consent')
    expect(page.html).not.toContain('ann@dev.example')
    expect(await stateOf(id)).toMatchObject({ state: 'pending' })
  })

  test('P31 a link is looked at often, and used once', async () => {
    const { url } = await start()
    const visitor = createVisitor()
    await createVisitor().open(url)
    const asking = await visitor.open(url)
    expect((await visitor.press(asking, 'Continue', { stopAt: isAt(liarUrl) })).url).toContain('/authorize?')
    const again = await createVisitor().open(url)
    const pressedAgain = await visitor.press(asking, 'Continue', { stopAt: isAt(liarUrl) })

    expect([again.status, pressedAgain.status]).toEqual([410, 410])
    expect(again.html).toContain('This link does not work')
  })

  test('P31 a link that has expired, was cut short or was made up does not open', async () => {
    const { id, url } = await start({ expires_in: 60 })
    const [cut, madeUp] = [url.slice(0, -1), `${url.slice(0, -64)}${'0'.repeat(64)}`]
    world.pass(60)
    const pages = await Promise.all([url, cut, madeUp].map((link) => createVisitor().open(link)))

    expect(pages.map(({ status }) => status)).toEqual([410, 404, 410])
    expect(await stateOf(id)).toMatchObject({ state: 'expired' })
  })

  test.each([
    ['without its token', { without: ['form_token'] }],
    ['with the token of another browser', { changes: { form_token: 'x' } }],
    ['from another site', { headers: { origin: 'https://evil.example' } }],
    ['without an origin', { headers: { origin: 'null' } }],
  ])('P31 a form %s is 403, whatever its button', async (_, how) => {
    const { id, url } = await start()
    const visitor = createVisitor()
    const asking = await visitor.open(url)
    const pages = [await visitor.press(asking, 'Continue', how), await visitor.press(asking, 'Refuse', how)]

    expect(pages.map(({ status }) => status)).toEqual([403, 403])
    expect(await stateOf(id)).toMatchObject({ state: 'pending' })
  })

  test('P31 a form that another browser was shown does not count in this one', async () => {
    const { url } = await start()
    const [attacker, victim] = [createVisitor(), createVisitor()]
    const asking = await attacker.open(url)
    await victim.open(url)

    expect((await victim.press(asking, 'Continue')).status).toBe(403)
  })

  test('P31 a stolen state, a state of another flow and an answer that comes twice are refused', async () => {
    const { id, url } = await start()
    const visitor = createVisitor()
    const back = await goOnTo(visitor, url, liarUrl)
    const stolen = await createVisitor().open(back.with('code=code'))
    const other = await visitor.open(
      back.with('code=code').replace(/state=[^&]+/, `state=${id}.${'0'.repeat(64)}`),
    )
    expect(lies.requests).toEqual([])
    lies.idToken = { ...account, nonce: back.nonce }
    const first = await visitor.open(back.with('code=code'))
    const second = await visitor.open(back.with('code=code'))

    expect([stolen, other, first, second].map(({ status }) => status)).toEqual([400, 400, 200, 400])
    expect(lies.requests).toHaveLength(1)
  })

  test('P31 only who started it finishes it, and with its nonce', async () => {
    const { id, nonce } = await consented()
    const other = await finalize(id, { nonce, account: account.email }, 'deputy')
    const wrong = await finalize(id, { nonce: 'another', account: account.email })
    const unknown = await finalize('00000000-0000-4000-8000-000000000000', { nonce })

    expect([other.status, wrong.status, unknown.status]).toEqual([403, 403, 404])
    expect((await finalize(id, { nonce, account: account.email })).status).toBe(200)
    expect((await finalize(id, { nonce, account: account.email })).status).toBe(409)
  })

  test('P31 pages of consent cannot be framed and lead nowhere but to the upstream', async () => {
    const { url } = await start()
    const { headers } = await createVisitor().open(url)

    expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
    expect(headers.get('content-security-policy')).toContain(`form-action 'self' ${liarUrl}`)
    expect(headers.get('x-frame-options')).toBe('DENY')
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('referrer-policy')).toBe('same-origin')
  })
})

describe('T14 consent by the wrong person', () => {
  test('T14 without an expectation the account that came has to be repeated', async () => {
    const { id, nonce } = await consented()

    expect((await finalize(id, { nonce })).status).toBe(409)
    expect((await finalize(id, { nonce, account: 'bob@dev.example' })).status).toBe(409)
    expect((await finalize(id, { nonce, account: account.email })).status).toBe(200)
  })

  test('T14 another account than the expected one enrols nothing, and is given back', async () => {
    const { id, nonce, page } = await consented({ expected_account: 'bob@dev.example' }, zoe)

    expect(page.status).toBe(400)
    expect(await stateOf(id)).toMatchObject({
      state: 'rejected',
      reason: expect.stringContaining('bob@') as unknown,
    })
    expect(lies.requests.map(({ path }) => path)).toEqual(['/token', '/revoke'])
    expect((await finalize(id, { nonce })).status).toBe(409)
  })

  test('T14 the page says who asks, and marks the name as that person’s text', async () => {
    const { url } = await start({ name: 'your-bank' })
    const page = await createVisitor().open(url)

    expect(page.html).toContain('<dt>Who asks</dt>')
    expect(page.html).toMatch(/Their name for it<\/dt> ?<dd>“your-bank”/)
  })
})

describe('T15 whose account it is', () => {
  test('T15 an e-mail address counts only when it is verified', async () => {
    const { id } = await consented({}, { ...account, email_verified: false })

    expect(await stateOf(id)).toMatchObject({ state: 'consented', account: '1' })
  })

  test('T15 the same e-mail address with another sub is rejected at a reconnect', async () => {
    const { name } = await connected()
    const { id } = await consented({ name }, { ...account, sub: '2' })

    expect(await stateOf(id)).toMatchObject({ state: 'rejected' })
  })

  test('T15 an upstream that does not tell the account takes no expectation', async () => {
    const refused = await world.admin('POST connections', {
      name: 'x',
      upstream: 'mute',
      client: 'mute-client',
      scopes: ['a'],
      expected_account: 'ann',
    })

    expect(refused.status).toBe(422)
    expect(refused.document['detail']).toContain('expected_account')
  })

  test.each<[string, Readonly<Record<string, unknown>>]>([
    ['of another issuer', { iss: 'https://evil.example' }],
    ['for another client', { aud: 'another' }],
    ['that has expired', { exp: 1 }],
    ['of another consent', { nonce: 'another' }],
  ])('T15 an ID token %s enrols nothing', async (_, changes) => {
    const { id } = await consented({}, { ...account, ...changes })

    expect(await stateOf(id)).toMatchObject({ state: 'rejected' })
  })
})

describe('T16 who may, and what ends it', () => {
  test('T16 connecting needs the role admin', async () => {
    const answer = await fetch(`${world.url}/v1/admin/connections`, { method: 'POST', body: '{}' })
    expect(answer.status).toBe(401)
  })

  test('T16 another account than before is refused without replace_account', async () => {
    const { name } = await connected()
    const other = { sub: '2', email: 'bob@dev.example', email_verified: true }
    const { id, nonce } = await consented({ name }, other)

    expect((await finalize(id, { nonce, account: other.email })).status).toBe(409)
    const replaced = await finalize(id, { nonce, account: other.email, replace_account: true })
    expect([replaced.status, replaced.document['account']]).toEqual([200, other.email])
  })

  test('T16 consent, disable, finalize: 409, and still disabled', async () => {
    const { name } = await connected()
    const { id, nonce } = await consented({ name })
    await world.admin(`POST credentials/${name}:disable`)

    expect((await finalize(id, { nonce, account: account.email })).status).toBe(409)
    expect((await world.admin(`GET credentials/${name}`)).document['state']).toBe('disabled')
    expect(await stateOf(id)).toMatchObject({ state: 'rejected' })
  })

  test('T16 one that cannot be read keeps none of the others open', async () => {
    const { name } = await connected()
    const { id, nonce } = await consented({ name })
    await world.store.put('connections/00000000', { schema: 99 })

    expect((await world.admin(`POST credentials/${name}:disable`)).status).toBe(200)
    expect((await finalize(id, { nonce, account: account.email })).status).toBe(409)
    expect(await stateOf(id)).toMatchObject({ state: 'rejected' })
    await world.store.delete('connections/00000000')
  })

  test('T16 finalizing enables nothing that was disabled before', async () => {
    const { name } = await connected()
    await world.admin(`POST credentials/${name}:disable`)
    const { id, nonce } = await consented({ name })
    const finished = await finalize(id, { nonce, account: account.email })

    expect([finished.status, finished.document['state']]).toEqual([200, 'disabled'])
  })

  test.each<[string, (name: string) => Promise<unknown>, () => Promise<unknown>]>([
    ['revoke', (name) => world.admin(`POST credentials/${name}:revoke`), async () => undefined],
    ['destroy', (name) => world.admin(`DELETE credentials/${name}`), async () => undefined],
    ['a stop', () => world.admin('POST service:stop'), () => world.admin('POST service:resume')],
    [
      'a block of the starter',
      () => world.admin('POST callers:revoke', { issuer: 'ops', subject: 'ops' }, 'deputy'),
      () => world.admin('POST callers:restore', { issuer: 'ops', subject: 'ops' }, 'deputy'),
    ],
  ])('T16 %s ends what is pending, also when it is taken back', async (_, end, undo) => {
    const { name } = await connected()
    const { id, nonce } = await consented({ name })
    const pending = await start({ name })
    await end(name)
    await undo()
    world.pass(8)

    expect((await finalize(id, { nonce, account: account.email })).status).toBe(409)
    expect((await createVisitor().open(pending.url)).status).toBe(410)
    expect(await stateOf(id)).toMatchObject({ state: 'rejected' })
    // Nothing is given back of the pending one, to which nobody consented.
    expect(world.lines.map(({ message }) => message)).not.toContain(
      'a grant that is not enrolled could not be revoked',
    )
  })
})

describe('T17 mix-up', () => {
  test('T17 an answer of another upstream is refused, and nobody is shown the code', async () => {
    const { id, url } = await start()
    const visitor = createVisitor()
    const back = await goOnTo(visitor, url, liarUrl)
    const elsewhere = await visitor.open(back.with('code=code').replace('/callback/liar', '/callback/dev'))
    const otherIssuer = await visitor.open(
      `${back.with('code=code')}&iss=${encodeURIComponent('https://evil.example')}`,
    )

    expect([elsewhere.status, otherIssuer.status]).toEqual([400, 400])
    expect(lies.requests).toEqual([])
    expect(await stateOf(id)).toMatchObject({ state: 'rejected' })
  })
})

describe('T18 the client', () => {
  test('T18 is of the very upstream, and gives a token to nobody', async () => {
    const body = { name: 'x', upstream: 'dev', client: 'liar-client', scopes: ['a'] }
    const refused = await world.admin('POST connections', body)

    expect([refused.status, refused.document['detail']]).toEqual([
      422,
      expect.stringContaining('client of liar'),
    ])
    expect((await world.token('liar-client')).status).toBe(400)
  })

  test('T18 disabling it stops what was connected with it', async () => {
    await enrolClient('second-client', 'liar', 'at-liar', 'secret')
    const { name } = await connected({ name: 'mine', client: 'second-client' })
    expect((await world.token(name, 'a b')).status).toBe(200)
    await world.admin('POST credentials/second-client:disable')
    world.pass(8)

    expect((await world.token(name, 'a b')).document['error']).toBe('invalid_target')
  })
})

describe('T19 what is kept', () => {
  test('T19 link, state and nonce are digests, verifier and tokens are sealed', async () => {
    const { id, url, nonce, state } = await consented()
    const stored = await world.store.get(`connections/${id}`)
    const text = JSON.stringify(stored?.value)

    expect(text).toContain('sealed_grant')
    for (const secret of [url.split('.').at(-1) ?? '', nonce, state, 'rt-1', 'secret'])
      expect(text).not.toContain(secret)
  })

  test('T19 a grant that nobody finishes is given back by maintenance, and forgotten', async () => {
    const { id } = await consented({ expires_in: 60 }, zoe)
    world.pass(61)
    await world.admin('POST maintenance:run')

    expect(lies.requests.map(({ path }) => path)).toEqual(['/token', '/revoke'])
    expect(JSON.stringify((await world.store.get(`connections/${id}`))?.value)).not.toContain('sealed_grant')
    expect(await stateOf(id)).toMatchObject({ state: 'expired' })
  })

  test('T19 a grant that a credential of ours holds too is not revoked with an unwanted one', async () => {
    const { name } = await connected()
    await consented({ name, expected_account: 'bob@dev.example' })

    expect(lies.requests.map(({ path }) => path)).not.toContain('/revoke')
  })

  test('T19 a callback’s text is shown only in a matched flow, and escaped', async () => {
    const { url } = await start()
    const visitor = createVisitor()
    const back = await goOnTo(visitor, url, liarUrl)
    const query = `error=server_error&error_description=${encodeURIComponent('<script>alert(1)</script>')}`
    const foreign = await createVisitor().open(back.with(query))
    const matched = await visitor.open(back.with(query))

    expect(foreign.html).not.toContain('alert(1)')
    expect(matched.html).toContain('alert(1)')
    expect(matched.html).not.toContain('<script')
  })
})

describe('T20 fewer scopes, and none', () => {
  test('T20 fewer than asked for are enrolled only when they are named', async () => {
    lies.reply = { scope: 'a' }
    const { id, nonce, name, page } = await consented()
    expect(page.html).toContain('You left out some')
    const undecided = await finalize(id, { nonce, account: account.email })
    expect(undecided.status).toBe(409)
    expect(undecided.document['detail']).toContain('asked: a b; granted: a')
    const wrong = await finalize(id, { nonce, account: account.email, accept_fewer_scopes: ['a', 'b'] })
    const right = await finalize(id, { nonce, account: account.email, accept_fewer_scopes: ['a'] })

    expect([wrong.status, right.status]).toEqual([409, 200])
    expect(right.document).toMatchObject({ name, scopes: ['a'] })
  })

  test('T20 a reconnect with fewer names the rules that break', async () => {
    const { name } = await connected({ name: 'mine' })
    lies.reply = { scope: 'a' }
    const { id, nonce } = await consented({ name, scopes: ['a'] })
    const undecided = await finalize(id, { nonce, account: account.email })

    expect(undecided.document['detail']).toContain('"billing reads"')
  })

  test('T20 the console says that fewer came before it takes them', async () => {
    const { visitor } = await world.signedIn('Ann')
    const started = await visitor.press(
      await visitor.open(`${world.url}/console/credentials`),
      'Make the link',
      {
        changes: { name: 'fewer', upstream: 'liar', client: 'liar-client', scopes: 'a b' },
      },
    )
    const link = /href="([^"]*\/connect\/[^"]*)"/.exec(started.html)?.[1] ?? ''
    const owner = createVisitor()
    const back = await goOnTo(owner, link, liarUrl)
    lies = { ...lies, idToken: { ...account, nonce: back.nonce }, reply: { scope: 'a' } }
    await owner.open(back.with('code=code'))
    const ready = await visitor.press(started, 'Look whether they consented')
    const finished = await visitor.press(ready, 'Finish')

    expect(ready.html).toContain('Fewer scopes came')
    expect(finished.url).toBe(`${world.url}/console/credentials/fewer`)
    expect((await world.admin('GET credentials/fewer')).document['scopes']).toEqual(['a'])
  })

  test('T20 what was not asked for is not recorded', async () => {
    lies.reply = { scope: 'a b admin' }
    const { id, nonce } = await consented()

    expect((await finalize(id, { nonce, account: account.email })).document['scopes']).toEqual(['a', 'b'])
  })

  test('an upstream that gives no refresh token: why, and how to get one', async () => {
    lies.reply = { refresh_token: undefined }
    const { id, page } = await consented()

    expect(page.html).toContain('no refresh token came')
    expect(await stateOf(id)).toMatchObject({
      state: 'rejected',
      reason: expect.stringContaining('offline_access') as unknown,
    })
  })

  test('a refusal on our page or at the upstream is rejected, and told', async () => {
    const [ours, theirs] = [await start(), await start()]
    const visitor = createVisitor()
    const refused = await visitor.press(await visitor.open(ours.url), 'Refuse')
    const back = await goOnTo(visitor, theirs.url, liarUrl)
    const denied = await visitor.open(back.with('error=access_denied'))

    expect(refused.html).toContain('You refused')
    expect(denied.html).toContain('the person refused at the upstream')
    expect(await stateOf(ours.id)).toMatchObject({ state: 'rejected' })
    expect(await stateOf(theirs.id)).toMatchObject({ state: 'rejected' })
  })
})

function isAt(origin: string): (url: string) => boolean {
  return (url) => url.startsWith(`${origin}/`)
}

/** To the end at the stand-in, as the account that the ID token says. */
async function consented(
  changes: Readonly<Record<string, unknown>> = {},
  idToken: Readonly<Record<string, unknown>> = account,
): Promise<Started & { readonly page: Page; readonly state: string }> {
  const started = await start(changes)
  const visitor = createVisitor()
  const back = await goOnTo(visitor, started.url, liarUrl)
  lies.idToken = { nonce: back.nonce, ...idToken }
  return { ...started, page: await visitor.open(back.with('code=code')), state: back.state }
}

/** A credential that was connected. */
async function connected(
  changes: Readonly<Record<string, unknown>> = {},
): Promise<{ readonly name: string }> {
  const { id, nonce, name } = await consented(changes)
  expect((await finalize(id, { nonce, account: account.email })).status).toBe(200)
  lies = { requests: [] }
  return { name }
}
