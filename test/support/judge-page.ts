import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { expect } from 'vitest'
import { expectAccessible } from './hands.ts'

/** Where pictures of pages go: SCREENSHOTS, by default below the system's temporary folder. */
export const screenshotFolder = process.env['SCREENSHOTS'] ?? join(tmpdir(), 'downscope-screenshots')

/** axe finds nothing, nothing is wider than the window, and a picture is kept. */
export async function judgePage(page: Page, picture: string): Promise<void> {
  await page.screenshot({ path: picture, fullPage: true })
  const wide = await page.evaluate('document.documentElement.scrollWidth > window.innerWidth')
  expect(wide).toBe(false)
  await expectAccessible(page)
}
