import { expect, test } from 'vitest'
import { chromiumPath, hasChromium, openChromium } from '../support/chromium.ts'
import { startPeopleWorld } from '../support/people-world.ts'

test.skipIf(!hasChromium)(
  'a page in a real browser: somebody signs in and out',
  async () => {
    const world = await startPeopleWorld({
      settings: () => ({ DOWNSCOPE_SIGN_IN_SCOPES: 'openid email profile groups' }),
    })
    const { page, close } = await openChromium({ width: 360, scheme: 'light' })
    try {
      await page.goto(`${world.url}/console`)
      await page.getByRole('button', { name: 'Sign in as Ann' }).click()
      await page.getByRole('button', { name: 'Allow' }).click()
      await page.getByRole('heading', { name: 'Overview' }).waitFor()
      await page.getByRole('button', { name: 'Sign out' }).click()
      await page.getByRole('heading', { name: 'You are signed out' }).waitFor()
      expect(await page.context().cookies()).not.toContainEqual(
        expect.objectContaining({ name: '__Host-downscope_session' }),
      )
    } finally {
      await close()
      await world.close()
    }
  },
  60_000,
)

test.skipIf(hasChromium)('is skipped without a browser, and says so', () => {
  process.stdout.write(
    `no page was opened in a browser: there is none at ${chromiumPath}; npm run browsers has them all\n`,
  )
})
