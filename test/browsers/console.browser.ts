import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openChromium, type Look } from '../support/chromium.ts'
import { startConsoleWorld, type ConsoleWorld } from '../support/console-world.ts'
import { judgePage, pressByKeyboard, screenshotFolder } from '../support/judge-page.ts'

// Every page of the console in a real browser: `npm run browsers`.

const looks: readonly Look[] = [
  { width: 360, scheme: 'light' },
  { width: 360, scheme: 'dark' },
  { width: 1280, scheme: 'light' },
  { width: 1280, scheme: 'dark' },
]

let world: ConsoleWorld
beforeAll(async () => {
  mkdirSync(screenshotFolder, { recursive: true })
  world = await startConsoleWorld()
  for (let count = 0; count < 12; count += 1) await world.token('reports-sa')
  for (let count = 0; count < 3; count += 1) await world.token('reports-sa', 'https://mail.google.com/')
})
afterAll(() => world.close())

describe.each(looks)('at $width pixels, $scheme', (look) => {
  test('every page, reached by clicking', async () => {
    const { page, close } = await openChromium(look)
    const judge = (name: string) =>
      judgePage(page, join(screenshotFolder, `console-${name}-${look.width}-${look.scheme}.png`))
    try {
      await signIn(page, 'Ann')
      await judge('overview')
      await go(page, 'Credentials')
      await judge('credentials')
      await page.getByRole('link', { name: 'reports-sa' }).click()
      await page.getByRole('heading', { name: 'reports-sa' }).waitFor()
      await judge('credential')
      await page.getByRole('link', { name: 'Disable' }).click()
      await judge('confirm')
      await go(page, 'Explain')
      await page.getByLabel('Issuer').fill('deputy')
      await page.getByLabel('Credential').fill('reports-sa')
      await page.getByRole('button', { name: 'Explain' }).click()
      await page.getByRole('heading', { name: 'Gets no token' }).waitFor()
      await judge('explain')
      await go(page, 'Policy')
      await judge('policy')
      await page.getByRole('link', { name: 'Edit' }).click()
      await page.getByRole('button', { name: 'Check' }).click()
      await page.getByRole('heading', { name: 'No faults' }).waitFor()
      await judge('policy-edit')
      await go(page, 'Activity')
      await judge('activity')
      await page.locator('tbody a').first().click()
      await page.getByRole('link', { name: 'All activity' }).waitFor()
      await judge('activity-one')
      await go(page, 'Stop')
      await judge('stop')
    } finally {
      await close()
    }
  })

  test('stopped, and started again', async () => {
    const { page, close } = await openChromium(look)
    try {
      await signIn(page, 'Ann')
      await go(page, 'Stop')
      await page.getByRole('button', { name: 'Stop everything' }).click()
      await page.getByText('Everything is stopped').waitFor()
      await judgePage(page, join(screenshotFolder, `console-stopped-${look.width}-${look.scheme}.png`))
      await page.getByRole('button', { name: 'Start again' }).click()
      await page.getByRole('button', { name: 'Stop everything' }).waitFor()
      expect((await world.token('reports-sa')).status).toBe(200)
    } finally {
      await close()
      await world.admin('POST service:resume')
    }
  })
})

describe('the whole story', () => {
  test('by mouse, without JavaScript: connect, first token, refusal explained, rotate, policy, stop, start', async () => {
    const { page, close } = await openChromium({ width: 1280, scheme: 'light', javaScript: false })
    try {
      await signIn(page, 'Ann')
      await story(page, 'notes-by-mouse', (name) => page.getByRole('button', { name }).first().click())
    } finally {
      await close()
    }
  })

  test('by keyboard alone', async () => {
    const { page, close } = await openChromium({ width: 1280, scheme: 'light' })
    try {
      await page.goto(`${world.url}/console`)
      await pressByKeyboard(page, 'Sign in as Ann')
      await allow(page)
      await page.getByRole('heading', { name: 'Overview' }).waitFor()
      await story(page, 'notes-by-keyboard', (name) => pressByKeyboard(page, name), true)
    } finally {
      await close()
    }
  })
})

/** From a connection to a stop. */
async function story(
  page: Page,
  name: string,
  press: (name: string) => Promise<unknown>,
  byKeyboard = false,
): Promise<void> {
  const follow = (words: string) =>
    byKeyboard ? pressByKeyboard(page, words) : page.getByRole('link', { name: words }).first().click()
  const type = async (label: string, text: string) => {
    const field = page.getByLabel(label, { exact: true })
    if (byKeyboard) {
      await field.focus()
      await page.keyboard.press('Control+a')
      await page.keyboard.type(text)
    } else await field.fill(text)
  }
  await follow('Credentials')
  await page.getByRole('heading', { name: 'Credentials' }).waitFor()
  await type('Name', name)
  await type('Upstream', 'dev')
  await type('Client', 'dev-client')
  await type('Scopes', 'notes.read')
  await press('Make the link')
  await page.getByRole('heading', { name: `Connect ${name}` }).waitFor()
  const link = (await page.getByRole('link', { name: '/connect/' }).getAttribute('href')) ?? ''
  const consenting = await page.context().newPage()
  await consenting.goto(link)
  await consenting.getByRole('button', { name: 'Continue' }).click()
  await allow(consenting)
  await consenting.getByRole('heading', { name: 'Thank you' }).waitFor()
  await consenting.close()
  await press('Look whether they consented')
  await page.getByText('ann@dev.example').last().waitFor()
  await press('Finish')
  await page.getByRole('heading', { name }).waitFor()

  await follow('Policy')
  await page.getByRole('heading', { name: 'Policy' }).waitFor()
  await follow('Edit')
  const text = (await page.getByLabel('Document').inputValue()).replaceAll('"notes"', `"${name}"`)
  await page.getByLabel('Document').fill(text.replaceAll(/"notes-by-\w+"/g, `"${name}"`))
  await press('Apply')
  await page.getByRole('heading', { name: 'What it changed' }).waitFor()
  await expect.poll(async () => (await world.token(name)).status, { timeout: 20_000 }).toBe(200)
  // Records of one second stand in no order, and this refusal is to be the newest.
  const second = Math.floor(Date.now() / 1000)
  await expect.poll(() => Math.floor(Date.now() / 1000)).toBeGreaterThan(second)
  expect((await world.token(name, 'notes.write')).status).toBe(400)

  await follow('Activity')
  await page.getByRole('heading', { name: 'Activity' }).waitFor()
  await page.getByRole('row', { name: `issued token.exchange billing ${name}` }).waitFor()
  await type('Credential', name)
  await page.getByLabel('Outcome').selectOption('refused')
  await press('Show')
  await page.locator('tbody a').first().focus()
  await page.keyboard.press('Enter')
  await follow('Why was it refused?')
  await page.getByRole('heading', { name: 'Gets no token' }).waitFor()

  await follow('Credentials')
  await follow('reports-sa')
  await page.getByRole('heading', { name: 'reports-sa' }).waitFor()
  if (await page.getByRole('link', { name: 'Rotate' }).isVisible()) {
    await follow('Rotate')
    await press('Rotate')
  }
  await page.getByRole('heading', { name: 'Rotation' }).waitFor()
  await page.getByText('Use the new one; the former one stands by now').waitFor({ timeout: 60_000 })

  await follow('Stop')
  await page.getByRole('heading', { name: 'Stop', exact: true }).waitFor()
  await press('Stop everything')
  await page.getByText('Everything is stopped').waitFor()
  await page.getByRole('heading', { name: 'Still alive upstream' }).waitFor()
  expect((await world.token(name)).status).toBe(503)
  await press('Start again')
  await page.getByRole('button', { name: 'Stop everything' }).waitFor()
  expect((await world.token(name)).status).toBe(200)
}

async function signIn(page: Page, person: string): Promise<void> {
  await page.goto(`${world.url}/console`)
  await page.getByRole('button', { name: `Sign in as ${person}` }).click()
  await allow(page)
  await page.getByRole('heading', { name: 'Overview' }).waitFor()
}

async function go(page: Page, name: string): Promise<void> {
  await page.getByRole('navigation').getByRole('link', { name }).click()
  await page.getByRole('heading', { name, exact: true }).waitFor()
}

async function allow(page: Page): Promise<void> {
  const button = page.getByRole('button', { name: 'Allow' })
  await button.or(page.locator('footer')).first().waitFor()
  if (await button.isVisible()) await button.click()
}
