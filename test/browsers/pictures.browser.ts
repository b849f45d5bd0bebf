import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { auditMembers } from '../../src/adapters/system/audit-trail.ts'
import { later, seconds } from '../../src/domain/time.ts'
import { createStoredAuditTrail } from '../../src/records/audit-log.ts'
import { createSystemClock } from '../../src/adapters/system/clock-and-entropy.ts'
import { openChromium } from '../support/chromium.ts'
import { startConsoleWorld, type ConsoleWorld } from '../support/console-world.ts'

// The pictures of docs/console.md: PICTURES=docs/pictures npm run browsers -- test/browsers/pictures.browser.ts

const folder = process.env['PICTURES'] ?? ''

describe.skipIf(folder === '')('pictures', () => {
  let world: ConsoleWorld
  beforeAll(async () => {
    mkdirSync(folder, { recursive: true })
    world = await startConsoleWorld()
    await keepOneDay(world)
    await world.admin('POST maintenance:run')
    for (let count = 0; count < 5; count += 1) await world.token('reports-sa')
    for (let count = 0; count < 2; count += 1) await world.token('reports-sa', 'https://mail.google.com/')
    await world.admin('POST credentials/reports-sa:rotate')
  })
  afterAll(() => world.close())

  test.each(['light', 'dark'] as const)('%s', async (scheme) => {
    const { page, close } = await openChromium({ width: 900, scheme })
    const go = async (path: string) => {
      await page.goto(`${world.url}/console${path}`)
      await page.getByRole('heading', { level: 1 }).waitFor()
    }
    try {
      await go('')
      await page.getByRole('button', { name: 'Sign in as Ann' }).click()
      await page.getByRole('button', { name: 'Allow' }).or(page.locator('footer')).first().click()
      await page.getByRole('heading', { name: 'Overview' }).waitFor()
      await take(page, `overview-${scheme}`)
      await go('/credentials')
      await take(page, `credentials-${scheme}`)
      await go('/credentials/reports-sa')
      await page.getByText('Use the new one').waitFor({ timeout: 60_000 })
      await take(page, `credential-${scheme}`)
      await go('/activity?outcome=refused')
      await page.locator('tbody a').first().click()
      await page.getByRole('link', { name: 'Why was it refused?' }).click()
      await page.getByRole('heading', { name: 'Gets no token' }).waitFor()
      await take(page, `explain-${scheme}`)
      await go('/policy')
      await take(page, `policy-${scheme}`)
      await go('/activity')
      await take(page, `activity-${scheme}`)
      await go('/stop')
      await page.getByRole('button', { name: 'Stop everything' }).click()
      await page.getByRole('heading', { name: 'Still alive upstream' }).waitFor()
      await take(page, `stop-${scheme}`)
    } finally {
      await close()
      await world.admin('POST service:resume')
    }
  })
})

async function take(page: Page, name: string): Promise<void> {
  const height = Number(await page.evaluate('document.documentElement.scrollHeight'))
  await page.screenshot({
    path: join(folder, `console-${name}.webp`),
    type: 'webp',
    quality: 70,
    clip: { x: 0, y: 0, width: 900, height: Math.min(height, 1_000) },
    fullPage: true,
  })
}

/** What a day of requests left in the trail, before the ones of now. */
async function keepOneDay({ store }: ConsoleWorld): Promise<void> {
  const clock = createSystemClock()
  const trail = createStoredAuditTrail({
    store,
    clock,
    background: { runsAfterAnswer: true, run: () => undefined },
    newId: () => crypto.randomUUID(),
    keepDays: 30,
    membersOf: auditMembers,
    sharesWork: false,
  })
  for (let hour = 1; hour < 24; hour += 1)
    for (let count = 0; count < 6 + ((hour * 7) % 11); count += 1) {
      const isRefused = (hour + count) % 9 === 0
      await trail({
        requestId: crypto.randomUUID(),
        at: later(clock.now(), seconds(-hour * 3_600 - count * 60)),
        action: 'token.exchange',
        outcome: isRefused ? 'refused' : 'issued',
        issuer: 'billing',
        caller: 'billing',
        credential: 'reports-sa',
        durationMs: 1,
        ...(isRefused ? { error: 'scope_refused', reason: 'beyond the rule' } : {}),
      })
    }
}
