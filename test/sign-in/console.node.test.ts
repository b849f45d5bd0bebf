import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPeopleWorld, type PeopleWorld } from '../support/people-world.ts'
import { createVisitor } from '../support/visitor.ts'

let world: PeopleWorld
beforeAll(async () => {
  world = await startPeopleWorld({
    settings: () => ({ DOWNSCOPE_SIGN_IN_SCOPES: 'openid email profile groups' }),
  })
})
afterAll(() => world.close())

const sessionCookie = '__Host-downscope_session'
const signInCookie = '__Host-downscope_sign_in'

describe('signing in to the console', () => {
  test('leads to the issuer and back, and says who came with which role', async () => {
    const { page, visitor } = await world.signedIn('Ann')

    expect(page.url).toBe(`${world.url}/console`)
    expect(page.html).toContain('ann@dev.example')
    expect(page.html).toContain('<dd>admin</dd>')
    expect(visitor.cookies(world.url).has(sessionCookie)).toBe(true)
    expect(world.audits).toContainEqual(
      expect.objectContaining({ action: 'person.sign_in', outcome: 'done', caller: 'ann' }),
    )
  })

  test('a person without a role reads which claims came', async () => {
    const { page } = await world.signedIn('Nora')

    expect(page.status).toBe(403)
    expect(page.html).toContain('no role')
    expect(page.html).toContain('nora@dev.example')
  })

  test('whoever goes back at the issuer is told that nothing happened', async () => {
    const visitor = createVisitor()
    const page = await visitor.press(await visitor.open(`${world.url}/console`), 'Go back')

    expect(page.status).toBe(400)
    expect(page.html).toContain('did not let you in')
    expect(visitor.cookies(world.url).has(sessionCookie)).toBe(false)
    expect(world.audits.at(-1)).toMatchObject({ action: 'person.sign_in', outcome: 'refused' })
  })

  test('asks the issuer with PKCE, state and nonce, and sends no secret through the browser', async () => {
    const page = await createVisitor().open(`${world.url}/console`)
    const asked = new URL(page.path.find((url) => url.startsWith(`${world.issuer.url}/auth?`)) ?? '')

    expect(Object.fromEntries(asked.searchParams)).toEqual({
      client_id: 'downscope-console',
      redirect_uri: `${world.url}/console/callback`,
      response_type: 'code',
      scope: 'openid email profile groups',
      state: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown,
      nonce: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown,
      code_challenge: expect.stringMatching(/^[\w-]{43}$/) as unknown,
      code_challenge_method: 'S256',
    })
  })

  test('an issuer that is down is told as that, and nothing is lost', async () => {
    const down = await startPeopleWorld()
    await down.issuer.close()
    const page = await createVisitor().open(`${down.url}/console`)
    await down.close().catch(() => undefined)

    expect(page.status).toBe(503)
    expect(page.html).toContain('does not answer')
    expect(page.headers.get('retry-after')).toBe('60')
  })

  test.each([
    ['https://evil.example/', '/console'],
    ['//evil.example', '/console'],
    ['/console/../v1/token', '/console'],
    ['/console@evil.example', '/console'],
    ['/console?a=b', '/console?a=b'],
  ])('leads nowhere but to a page of the console: %s', async (to, ends) => {
    const visitor = createVisitor()
    const login = await visitor.open(`${world.url}/console/sign-in?to=${encodeURIComponent(to)}`)
    const page = await visitor.press(login, 'Sign in as Vera')

    expect(page.url.startsWith(`${world.url}${ends}`) || page.html.includes('Do you allow')).toBe(true)
    expect(page.url).not.toContain('evil.example')
  })
})

describe('P32 sessions and forms', () => {
  test('P32 the cookie is for this host alone, out of reach of scripts, and shows nothing', async () => {
    const visitor = createVisitor()
    const login = await visitor.open(`${world.url}/console`)
    const allowed = await visitor.press(login, 'Sign in as Ann', { stopAt: isCallback })
    const page = allowed.html.includes('Do you allow')
      ? await visitor.press(allowed, 'Allow', { stopAt: isCallback })
      : allowed
    const cookie = [...visitor.cookies(world.url)].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await fetch(page.url, { headers: { cookie }, redirect: 'manual' })
    const [line = ''] = answer.headers.getSetCookie().filter((one) => one.startsWith(sessionCookie))

    expect(line).toMatch(
      /^__Host-downscope_session=[\w.-]+; Path=\/; Max-Age=28800; Secure; HttpOnly; SameSite=Lax$/,
    )
    expect(line).not.toContain('ann')
    expect(line.length).toBeLessThan(4096)
  })

  test('P32 pages are kept nowhere, framed nowhere, and have no script, style or frame from elsewhere', async () => {
    const { page } = await world.signedIn('Ann')
    const policy = page.headers.get('content-security-policy') ?? ''

    for (const part of [
      "default-src 'none'",
      "base-uri 'none'",
      "form-action 'self'",
      "frame-ancestors 'none'",
    ])
      expect(policy).toContain(part)
    expect(policy).not.toContain('unsafe')
    expect(page.headers.get('cache-control')).toBe('no-store')
    expect(page.headers.get('x-frame-options')).toBe('DENY')
    expect(page.headers.get('referrer-policy')).toBe('same-origin')
    expect(page.html).not.toMatch(/<script|<style|<iframe|https?:\/\/(?!127\.0\.0\.1)/)
  })

  test.each([
    ['no token', { without: ['form_token'] }],
    ['the token of another session', { changes: { form_token: 'f'.repeat(64) } }],
    ['a foreign origin', { headers: { origin: 'https://evil.example' } }],
    ['no origin at all (`null`)', { headers: { origin: 'null' } }],
  ])('P32 a form with %s is 403 and does nothing', async (_, how) => {
    const { visitor, page } = await world.signedIn('Ann')
    const answer = await visitor.press(page, 'Sign out', how)

    expect(answer.status).toBe(403)
    expect((await visitor.open(`${world.url}/console`)).html).toContain('ann@dev.example')
  })

  test('P32 signing out ends copies of the cookie too', async () => {
    const { visitor, page } = await world.signedIn('Ann')
    const copy = visitor.cookies(world.url).get(sessionCookie) ?? ''
    expect((await visitor.press(page, 'Sign out')).html).toContain('You are signed out')
    const thief = createVisitor()
    thief.setCookie(world.url, sessionCookie, copy)

    expect((await thief.open(`${world.url}/console`)).html).toContain('Who are you?')
    expect(world.audits.at(-1)).toMatchObject({ action: 'person.sign_out', outcome: 'done', caller: 'ann' })
  })

  test('P32 whoever is blocked has no role within 10 s', async () => {
    const { visitor, page } = await world.signedIn('Otto')
    expect(page.html).toContain('<dd>operator</dd>')
    const caller = { issuer: world.issuer.url, subject: 'otto' }
    expect((await world.admin('POST callers:revoke', caller)).status).toBe(200)
    world.pass(8)
    const after = await visitor.open(`${world.url}/console`)
    await world.admin('POST callers:restore', caller)

    expect(after.status).toBe(403)
    expect(after.html).toContain('no role')
  })

  test('P32 a callback without the cookie of its sign-in, or with another state, signs nobody in', async () => {
    const victim = createVisitor()
    const login = await victim.open(`${world.url}/console`)
    const callback = await finishAt(
      victim,
      await victim.press(login, 'Sign in as Ann', { stopAt: isCallback }),
    )
    const elsewhere = await createVisitor().open(callback)
    const otherState = callback.replace(/state=\w+/, `state=${'0'.repeat(64)}`)
    const forged = await victim.open(otherState)

    expect(elsewhere.status).toBe(400)
    expect(elsewhere.html).toContain('did not begin in this browser')
    expect(forged.status).toBe(401)
    expect(victim.cookies(world.url).has(sessionCookie)).toBe(false)
  })

  test('P32 T6 what is sealed for one cookie opens as no other, and nothing else opens as a cookie', async () => {
    const visitor = createVisitor()
    await visitor.open(`${world.url}/console`)
    const kept = visitor.cookies(world.url).get(signInCookie) ?? ''
    visitor.setCookie(world.url, sessionCookie, kept)

    expect(kept).not.toBe('')
    expect((await visitor.open(`${world.url}/console`)).html).toContain('Who are you?')
  })
})

describe('T21 how long a session lives', () => {
  test('T21 after an hour the issuer is asked again, silently, and the person goes on', async () => {
    const { visitor } = await world.signedIn('Ann')
    world.pass(3600)
    const page = await visitor.open(`${world.url}/console`)

    expect(page.html).toContain('ann@dev.example')
    expect(page.path.some((url) => url.includes('prompt=none'))).toBe(true)
  })

  test('T21 whoever was switched off at the issuer is out then', async () => {
    const { visitor } = await world.signedIn('Ann')
    world.issuer.endGrants()
    world.pass(3600)
    const page = await visitor.open(`${world.url}/console`)

    expect(page.html).toContain('Who are you?')
    expect(visitor.cookies(world.url).has(sessionCookie)).toBe(false)
  })

  test('T21 after 8 hours it ends, however often it was asked again', async () => {
    const { visitor } = await world.signedIn('Ann')
    for (let hour = 1; hour < 8; hour += 1) {
      world.pass(3600)
      expect((await visitor.open(`${world.url}/console`)).html).toContain('ann@dev.example')
    }
    const copy = visitor.cookies(world.url).get(sessionCookie) ?? ''
    world.pass(3600)
    const page = await visitor.open(`${world.url}/console`)

    expect(page.path.some((url) => url.includes('prompt=none'))).toBe(false)
    expect(visitor.cookies(world.url).get(sessionCookie)).not.toBe(copy)
  })
})

function isCallback(url: string): boolean {
  return url.startsWith(`${world.url}/console/callback?`)
}

async function finishAt(visitor: ReturnType<typeof createVisitor>, page: { url: string; html: string }) {
  if (!page.html.includes('Do you allow')) return page.url
  const whole = { ...page, status: 200, headers: new Headers(), path: [] }
  return (await visitor.press(whole, 'Allow', { stopAt: isCallback })).url
}
