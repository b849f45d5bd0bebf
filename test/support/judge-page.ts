import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { expect } from 'vitest'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Where pictures of pages go: SCREENSHOTS, by default below the system's temporary folder. */
export const screenshotFolder = process.env['SCREENSHOTS'] ?? join(tmpdir(), 'downscope-screenshots')

/** axe finds nothing, nothing is wider than the window, and a picture is kept. */
export async function judgePage(page: Page, picture: string): Promise<void> {
  await page.screenshot({ path: picture, fullPage: true })
  const wide = await page.evaluate('document.documentElement.scrollWidth > window.innerWidth')
  expect(wide).toBe(false)
  // Into the page's world, past its policy of content.
  const found = await page.evaluate(`${axe}; axe.run().then((results) =>
    results.violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' ')))`)
  expect(found).toEqual([])
}

/** By Tab and Enter, as somebody without a mouse: a button or a link whose words begin like that. */
export async function pressByKeyboard(page: Page, words: string): Promise<void> {
  await page
    .getByRole('button', { name: words })
    .or(page.getByRole('link', { name: words }))
    .first()
    .waitFor()
  for (let tabs = 0; tabs < 80; tabs += 1) {
    await page.keyboard.press('Tab')
    const text = String(
      await page.evaluate(
        "/^(?:A|BUTTON)$/.test(document.activeElement?.tagName) ? document.activeElement.textContent : ''",
      ),
    )
    if (text.trim().startsWith(words)) return page.keyboard.press('Enter')
  }
  throw new Error(`${words} is not reached by Tab`)
}
