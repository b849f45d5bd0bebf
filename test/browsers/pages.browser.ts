import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openChromium, type Look } from '../support/chromium.ts'
import { startConnectWorld, type Connecting } from '../support/connecting.ts'
import { expectAccessible, pressByKeyboard } from '../support/hands.ts'
import type { PeopleWorld } from '../support/people-world.ts'

// Every page for people in a real browser: `npm run browsers`. Screenshots go to SCREENSHOTS, by default below the
// system's temporary folder.

const folder = process.env['SCREENSHOTS'] ?? join(tmpdir(), 'downscope-screenshots')
const looks: readonly Look[] = [
  { width: 360, scheme: 'light' },
  { width: 360, scheme: 'dark' },
  { width: 1280, scheme: 'light' },
  { width: 1280, scheme: 'dark' },
]

let world: PeopleWorld
let start: Connecting['start']
let finalize: Connecting['finalize']
beforeAll(async () => {
  mkdirSync(folder, { recursive: true })
  const opened = await startConnectWorld()
  world = opened.world
  ;({ start, finalize } = opened.connecting)
})
afterAll(() => world.close())

describe.each(looks)('at $width pixels, $scheme', (look) => {
  const name = (what: string) => join(folder, `${what}-${look.width}-${look.scheme}.png`)

  test('signing in and out, by mouse', async () => {
    const { page, close } = await openChromium(look)
    try {
      await page.goto(`${world.url}/console`)
      await page.getByRole('button', { name: 'Sign in as Ann' }).click()
      await allow(page)
      await page.getByRole('heading', { name: 'Overview' }).waitFor()
      await judge(page, name('signed-in'))
      await page.getByRole('button', { name: 'Sign out' }).click()
      await page.getByRole('heading', { name: 'You are signed out' }).waitFor()
      await judge(page, name('signed-out'))
    } finally {
      await close()
    }
  })

  test('a person without a role reads which claims came', async () => {
    const { page, close } = await openChromium(look)
    try {
      await page.goto(`${world.url}/console`)
      await page.getByRole('button', { name: 'Sign in as Nora' }).click()
      await allow(page)
      await page.getByRole('heading', { name: 'You have no role' }).waitFor()
      await judge(page, name('no-role'))
    } finally {
      await close()
    }
  })

  test('consent, by mouse: asked, given, and a link that is used up', async () => {
    const { page, close } = await openChromium(look)
    try {
      const { url } = await start({ expected_account: 'ann@dev.example' })
      await page.goto(url)
      await page.getByRole('heading', { name: 'Give access?' }).waitFor()
      await judge(page, name('connect'))
      await page.getByRole('button', { name: 'Continue' }).click()
      await page.getByRole('button', { name: 'Sign in as Ann' }).click()
      await page.getByRole('button', { name: 'Allow' }).click()
      await page.getByRole('heading', { name: 'Thank you' }).waitFor()
      await judge(page, name('connect-thanks'))
      await page.goto(url)
      await judge(page, name('connect-closed'))
    } finally {
      await close()
    }
  })
})

describe('without JavaScript', () => {
  test('signs in, consents and signs out', async () => {
    const { page, close } = await openChromium({ width: 360, scheme: 'light', javaScript: false })
    try {
      await page.goto(`${world.url}/console`)
      await page.getByRole('button', { name: 'Sign in as Ann' }).click()
      await allow(page)
      await page.getByRole('heading', { name: 'Overview' }).waitFor()
      const { id, url } = await start()
      await page.goto(url)
      await page.getByRole('button', { name: 'Continue' }).click()
      await page.getByRole('button', { name: 'Allow' }).click()
      await page.getByRole('heading', { name: 'Thank you' }).waitFor()
      expect((await world.admin(`GET connections/${id}`)).document).toMatchObject({ state: 'consented' })
      await page.goto(`${world.url}/console`)
      await page.getByRole('button', { name: 'Sign out' }).click()
      await page.getByRole('heading', { name: 'You are signed out' }).waitFor()
    } finally {
      await close()
    }
  })
})

// Last but one: it moves the broker's clock, and an ID token of the issuer's own time has ended then.
describe('by keyboard alone', () => {
  test('connects, gets a token, loses the grant, and connects again', async () => {
    for (const round of ['first', 'again']) {
      const { page, close } = await openChromium({ width: 1280, scheme: 'light' })
      try {
        const { id, url, nonce } = await start({ name: 'notes' })
        await page.goto(url)
        await pressByKeyboard(page, 'Continue')
        await pressByKeyboard(page, 'Sign in as Ann')
        await pressByKeyboard(page, 'Allow')
        await page.getByRole('heading', { name: 'Thank you' }).waitFor()
        const finished = await finalize(id, { nonce, account: 'ann@dev.example' })
        expect([round, finished.status]).toEqual([round, 200])
        world.pass(8)
        expect((await world.token('notes')).status).toBe(200)
        world.issuer.endGrants()
        world.pass(3600)
        expect((await world.token('notes')).status).not.toBe(200)
      } finally {
        await close()
      }
    }
  })

  test('refuses as plainly as it goes on', async () => {
    const { page, close } = await openChromium({ width: 1280, scheme: 'light' })
    try {
      const { url } = await start()
      await page.goto(url)
      const [go, refuse] = [
        page.getByRole('button', { name: 'Continue' }),
        page.getByRole('button', { name: 'Refuse' }),
      ]
      const styleOf = (button: typeof go) =>
        button.evaluate(
          // oxlint-disable-next-line typescript/no-implied-eval -- runs in the page
          new Function(
            'one',
            'const { backgroundColor, fontSize, fontWeight, color } = getComputedStyle(one);' +
              'return { backgroundColor, fontSize, fontWeight, color }',
          ) as (one: unknown) => object,
        )
      expect(await styleOf(refuse)).toEqual(await styleOf(go))
      await pressByKeyboard(page, 'Refuse')
      await page.getByRole('heading', { name: 'You refused' }).waitFor()
    } finally {
      await close()
    }
  })
})

async function allow(page: Page): Promise<void> {
  const button = page.getByRole('button', { name: 'Allow' })
  const ours = page.locator('footer')
  await button.or(ours).first().waitFor()
  if (await button.isVisible()) await button.click()
}

/** axe finds nothing, nothing is wider than the window, and a picture is kept. */
async function judge(page: Page, picture: string): Promise<void> {
  await page.screenshot({ path: picture, fullPage: true })
  const wide = await page.evaluate('document.documentElement.scrollWidth > window.innerWidth')
  expect(wide).toBe(false)
  await expectAccessible(page)
}
