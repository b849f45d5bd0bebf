import type { Page } from 'playwright-core'
import { expect, onTestFinished, test } from 'vitest'
import { openChromium } from '../support/chromium.ts'
import { startStoryPlace } from '../support/dev-broker.ts'
import { pressByKeyboard, typeByKeyboard } from '../support/hands.ts'
import { until } from '../support/test-broker/until.ts'

// What an operator does at the console of a fresh `downscope dev`: `npm run browsers`. The same by the command line is
// in test/cli/dev-story.node.test.ts.

/** Somebody at the console, whatever they hold in their hands. */
interface Desk {
  readonly page: Page
  /** A button or a link whose words begin like that, of the page or of another tab. */
  readonly press: (words: string, tab?: Page) => Promise<void>
  readonly type: (label: string, text: string) => Promise<void>
}

test('by mouse and without JavaScript: sign in, connect, explain, rotate, change the policy, stop and start', async () => {
  const page = await openPage(false)
  await tell({
    page,
    press: (words, tab = page) =>
      tab
        .getByRole('button', { name: words })
        .or(tab.getByRole('link', { name: words }))
        .first()
        .click(),
    type: async (label, text) => {
      const field = page.getByLabel(label, { exact: true })
      if ((await field.getAttribute('autocomplete')) === null) await field.selectOption(text)
      else await field.fill(text)
    },
  })
}, 240_000)

test('the same by keyboard alone', async () => {
  const page = await openPage(true)
  await tell({
    page,
    press: (words, tab = page) => pressByKeyboard(tab, words),
    type: (label, text) => typeByKeyboard(page, label, text),
  })
}, 240_000)

async function openPage(javaScript: boolean): Promise<Page> {
  // Playwright's own look at what has the focus needs a script; the pages have none.
  const { page, close } = await openChromium({ width: 1280, scheme: 'light', javaScript })
  onTestFinished(close)
  return page
}

async function tell(desk: Desk): Promise<void> {
  const { page, press, type } = desk
  const { url, token } = await startStoryPlace()
  const heading = (name: string) => page.getByRole('heading', { name, exact: true }).waitFor()

  await page.goto(`${url}/console`)
  await press('Sign in as Ann')
  await press('Allow')
  await heading('Overview')

  await press('Credentials')
  await heading('Credentials')
  await type('Name', 'notes')
  await type('Upstream', 'dev')
  await type('Client', 'dev-client')
  await type('Scopes', 'notes.read notes.write')
  await press('Make the link')
  await heading('Connect notes')
  await consentInAnotherTab(desk)
  await press('Look whether they consented')
  await page.getByText('ann@dev.example').last().waitFor()
  await press('Finish')
  await heading('notes')
  expect(await token('notes', 'notes.read')).toMatchObject({ status: 0 })
  expect(await token('notes', 'notes.write')).toMatchObject({ status: 1 })

  await press('Activity')
  await heading('Activity')
  await page.getByRole('row', { name: 'issued token.exchange my-service notes' }).waitFor()
  await type('Credential', 'notes')
  await type('Outcome', 'refused')
  await press('Show')
  await page.getByRole('row', { name: 'refused token.exchange my-service notes' }).waitFor()
  await press('20')
  await press('Why was it refused?')
  await heading('Gets no token')
  await page.getByText('my service reads notes').first().waitFor()

  await press('Credentials')
  await press('reports-sa')
  await heading('reports-sa')
  await press('Rotate')
  await heading('Rotate reports-sa?')
  await press('Rotate')
  await heading('Rotation')
  await page.getByText('Use the new one; the former one stands by now').waitFor({ timeout: 90_000 })

  await press('Policy')
  await heading('Policy')
  await press('Edit')
  const text = await page.getByLabel('Document').inputValue()
  const changed = text.replace('scopes: [notes.read]', 'scopes: [notes.read, notes.write]')
  await type('Document', changed)
  await press('Check')
  await heading('No faults')
  await press('Apply')
  await heading('Policy, version 2')
  await page.getByText('+    scopes: [notes.read, notes.write]').waitFor()
  await until('the policy is in force', async () => (await token('notes', 'notes.write')).status === 0)

  await press('Stop')
  await heading('Stop')
  await press('Stop everything')
  await page.getByText('Everything is stopped').waitFor()
  await heading('Still alive upstream')
  expect((await token('notes')).status).not.toBe(0)
  await press('Start again')
  await page.getByRole('button', { name: 'Stop everything' }).waitFor()
  expect((await token('notes')).status).toBe(0)
}

/** The link that the page shows opens a tab of its own. */
async function consentInAnotherTab({ page, press }: Desk): Promise<void> {
  const [tab] = await Promise.all([page.context().waitForEvent('page'), press('http')])
  await press('Continue', tab)
  await press('Allow', tab)
  await tab.getByRole('heading', { name: 'Thank you' }).waitFor()
  await tab.close()
}
