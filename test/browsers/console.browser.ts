import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openChromium, type Look } from '../support/chromium.ts'
import { startConsoleWorld, type ConsoleWorld } from '../support/console-world.ts'
import { judgePage, screenshotFolder } from '../support/judge-page.ts'

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
