import { createServer, type Server } from 'node:http'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { openChromium } from '../support/chromium.ts'
import { startConnectWorld, goOnTo, type Connecting } from '../support/connecting.ts'
import { mouse, type Hands } from '../support/hands.ts'
import { listenOnLoopback } from '../support/listen.ts'
import type { PeopleWorld } from '../support/people-world.ts'
import { createVisitor } from '../support/visitor.ts'

// What is tried against people at our pages, with the victim in a real browser.

let world: PeopleWorld
let start: Connecting['start']
let stateOf: Connecting['stateOf']
let evil: Server
let evilUrl: string
let evilPage = ''
beforeAll(async () => {
  const opened = await startConnectWorld()
  world = opened.world
  ;({ start, stateOf } = opened.connecting)
  evil = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end(evilPage)
  })
  // Another origin of the same site: a browser sends our cookies from there.
  evilUrl = `http://127.0.0.1:${await listenOnLoopback(evil)}/`
})
afterAll(async () => {
  await world.close()
  await new Promise((resolve) => evil.close(resolve))
})

interface Victim extends Hands {
  readonly page: Page
  /** Every address that their browser asked for. */
  readonly asked: readonly string[]
}

async function victim(): Promise<Victim> {
  const { page, close } = await openChromium({ width: 1280, scheme: 'light' })
  onTestFinished(close)
  const asked: string[] = []
  page.on('request', (request) => void asked.push(request.url()))
  return { ...mouse(page, close), page, asked }
}

describe('P31 consent', () => {
  test('P31 CVE-2026-27124: a victim who is sent the page of the upstream consents for nobody', async () => {
    const { id, url } = await start()
    const { asked } = await goOnTo(createVisitor(), url, world.issuer.url)
    const { open, press, reads } = await victim()
    await open(asked.href)
    await press('Sign in as Ann')
    await press('Allow')
    await reads('This is not your consent')

    expect(await stateOf(id)).toMatchObject({ state: 'pending' })
  })

  test('P31 T14 an account other than the expected one enrols nothing, and the page says which was expected', async () => {
    const { id, url } = await start({ expected_account: 'otto@dev.example' })
    const { open, press, reads } = await victim()
    await open(url)
    await press('Continue')
    await press('Sign in as Ann')
    await press('Allow')
    await reads('Nothing was connected')
    await reads('otto@dev.example')

    expect(await stateOf(id)).toMatchObject({ state: 'rejected' })
  })

  test('P31 a link that was used does not work again, nor one that has expired', async () => {
    const [used, late] = [await start(), await start({ expires_in: 60 })]
    const { open, press, reads } = await victim()
    await open(used.url)
    await press('Continue')
    await open(used.url)
    await reads('This link does not work')
    world.pass(61)
    await open(late.url)
    await reads('This link does not work')

    expect(await stateOf(late.id)).toMatchObject({ state: 'expired' })
  })

  test('P31 a stolen state in another browser is refused, and a forged code in the right one brings nothing', async () => {
    const { id, url } = await start()
    const own = await victim()
    await own.open(url)
    await own.press('Continue')
    // What an attacker who saw the victim's address bar would have.
    await own.reads('Who are you?')
    const seen = own.asked.find((one) => one.startsWith(`${world.issuer.url}/auth?`)) ?? ''
    const state = new URL(seen).searchParams.get('state') ?? ''
    const callback = `${world.url}/connect/callback/dev?code=forged&state=${state}`
    const other = await victim()
    await other.open(callback)
    await other.reads('This is not your consent')
    expect(await stateOf(id)).toMatchObject({ state: 'pending' })
    await own.open(`${callback}&iss=${encodeURIComponent(world.issuer.url)}`)
    await own.reads('Nothing was connected')

    expect(await stateOf(id)).toMatchObject({ state: 'rejected' })
  })
})

describe('P32 forged forms, from another origin of the same site', () => {
  test('P32 signing out', async () => {
    const { page, open, press, reads, pressEither } = await victim()
    await open(`${world.url}/console`)
    await press('Sign in as Ann')
    await pressEither('Allow', 'Sign out')
    await open(`${world.url}/console`)
    await reads('ann@dev.example')
    const action = await page.locator('form').first().getAttribute('action')
    await attack(page, new URL(action ?? '', world.url).href, { form_token: 'f'.repeat(64) })
    await open(`${world.url}/console`)
    await reads('ann@dev.example')
  })

  test('P32 stopping everything, and applying a policy', async () => {
    const { page, open, press, reads, pressEither } = await victim()
    await open(`${world.url}/console/stop`)
    await press('Sign in as Ann')
    await pressEither('Allow', 'Stop everything')
    await reads('Stop everything')
    for (const [path, act] of [
      ['stop', 'stop'],
      ['policy', 'force'],
    ] as const)
      await attack(page, `${world.url}/console/${path}`, {
        act,
        text: 'version: 1',
        form_token: 'f'.repeat(64),
      })
    expect((await world.admin('GET service')).document).not.toHaveProperty('stopped')
  })

  test.each(['continue', 'refuse'])('P31 deciding to %s', async (decision) => {
    const { id, url } = await start()
    const { page, open } = await victim()
    await open(url)
    // The token of another browser, which the attacker may have from a link of their own.
    const token = /name="form_token" value="([^"]+)"/.exec((await createVisitor().open(url)).html)?.[1] ?? ''
    await attack(page, url, { decision, form_token: token })

    expect(await stateOf(id)).toMatchObject({ state: 'pending' })
    await open(url)
    await page.getByRole('heading', { name: 'Give access?' }).waitFor()
  })

  test('P31 the callback of a sign-in that began elsewhere signs nobody in', async () => {
    const { open, page } = await victim()
    await open(`${world.url}/console/callback?code=of-the-attacker&state=${'0'.repeat(64)}`)

    expect(await page.content()).toContain('did not begin in this browser')
    expect((await page.context().cookies()).map(({ name }) => name)).not.toContain('__Host-downscope_session')
  })
})

describe('P32 clickjacking, from another origin of the same site', () => {
  test('no page of the console or of consent is shown in a frame, though the cookies are sent', async () => {
    const { page, open, press, reads, pressEither } = await victim()
    await open(`${world.url}/console`)
    await press('Sign in as Ann')
    await pressEither('Allow', 'Sign out')
    await reads('ann@dev.example')
    const { url } = await start()
    const paths = ['', '/credentials', '/explain', '/policy', '/activity', '/stop', '/credentials/dev-client']
    for (const address of [url, ...paths.map((path) => `${world.url}/console${path}`)]) {
      evilPage = `<p>win a prize</p><iframe src="${address}"></iframe>`
      const [blocked] = await Promise.all([
        page.waitForEvent('requestfailed', (request) => request.url() === address),
        page.goto(evilUrl),
      ])
      expect((await blocked.allHeaders())['cookie'] ?? '').toContain(address === url ? '' : '__Host-')
      expect(blocked.failure()?.errorText).toBe('net::ERR_BLOCKED_BY_RESPONSE')
      const texts = await Promise.all(page.frames().map((frame) => frame.content().catch(() => '')))
      expect(texts.join('')).toContain('win a prize')
      expect(texts.join('')).not.toMatch(/Downscope|ann@dev\.example/)
    }
  })
})

/** A hostile page sends such a form; the browser ends at the refusal. */
async function attack(page: Page, action: string, fields: Readonly<Record<string, string>>): Promise<void> {
  const inputs = Object.entries(fields).map(([name, value]) => `<input name="${name}" value="${value}">`)
  evilPage = `<form method="post" action="${action}">${inputs.join('')}<button>win a prize</button></form>`
  await page.goto(evilUrl)
  const [answer] = await Promise.all([
    page.waitForResponse((response) => response.request().method() === 'POST'),
    page.getByRole('button', { name: 'win a prize' }).click(),
  ])
  expect(answer.status()).toBe(403)
}
