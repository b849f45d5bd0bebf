import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type BrowserContext, type Page } from 'playwright-core'

/** Debian's; `CHROMIUM` names another. */
export const chromiumPath = process.env['CHROMIUM'] ?? '/usr/bin/chromium'
export const hasChromium = existsSync(chromiumPath)

export interface Look {
  readonly width: 360 | 900 | 1280
  readonly scheme: 'light' | 'dark'
  readonly javaScript?: boolean
}

export interface OpenBrowser {
  readonly page: Page
  readonly context: BrowserContext
  readonly close: () => Promise<void>
}

/** A browser that knows nothing and nobody, and asks nobody but the pages it is sent to. */
export async function openChromium({ width, scheme, javaScript = true }: Look): Promise<OpenBrowser> {
  const folder = mkdtempSync(join(tmpdir(), 'downscope-chromium-'))
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: chromiumPath,
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
    viewport: { width, height: 900 },
    colorScheme: scheme,
    javaScriptEnabled: javaScript,
  })
  const page = context.pages()[0] ?? (await context.newPage())
  page.setDefaultTimeout(30_000)
  return {
    page,
    context,
    close: async () => {
      await context.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
