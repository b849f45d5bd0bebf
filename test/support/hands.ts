import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'
import { expect } from 'vitest'
import { createVisitor, type Page as PlainPage } from './visitor.ts'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Somebody at a browser, whatever they hold in their hands. */
export interface Hands {
  readonly open: (url: string) => Promise<void>
  /** A button whose words begin like that. */
  readonly press: (words: string) => Promise<void>
  /** Waits until the page has these words. */
  readonly reads: (words: string) => Promise<void>
  /** Presses the first of these that the page has: what a server asks depends on what it knows already. */
  readonly pressEither: (words: string, otherwise: string) => Promise<void>
  /** axe finds nothing. */
  readonly isAccessible: () => Promise<void>
  readonly close: () => Promise<void>
}

export function mouse(page: Page, close: () => Promise<void>): Hands {
  const button = (words: string) => page.getByRole('button', { name: words }).first()
  return {
    ...reading(page, close),
    press: (words) => button(words).click(),
    pressEither: async (words, otherwise) => {
      await button(words).or(button(otherwise)).first().waitFor()
      await button((await button(words).isVisible()) ? words : otherwise).click()
    },
  }
}

export function keyboard(page: Page, close: () => Promise<void>): Hands {
  const button = (words: string) => page.getByRole('button', { name: words }).first()
  return {
    ...reading(page, close),
    press: (words) => pressByKeyboard(page, words),
    pressEither: async (words, otherwise) => {
      await button(words).or(button(otherwise)).first().waitFor()
      await pressByKeyboard(page, (await button(words).isVisible()) ? words : otherwise)
    },
  }
}

/** By Tab and Enter, as somebody without a mouse: a button or a link whose words begin like that. */
export async function pressByKeyboard(page: Page, words: string): Promise<void> {
  await page
    .getByRole('button', { name: words })
    .or(page.getByRole('link', { name: words }))
    .first()
    .waitFor()
  const wanted = JSON.stringify(words)
  await tabTo(
    page,
    words,
    `/^(?:A|BUTTON)$/.test(document.activeElement?.tagName) && document.activeElement.textContent.trim().startsWith(${wanted})`,
  )
  await page.keyboard.press('Enter')
}

/** A field by its label: its text is replaced, and of a list an option is chosen by its first letters. */
export async function typeByKeyboard(page: Page, label: string, text: string): Promise<void> {
  await page.getByLabel(label, { exact: true }).waitFor()
  const wanted = JSON.stringify(label)
  await tabTo(page, label, `document.activeElement?.labels?.[0]?.textContent === ${wanted}`)
  if ((await page.evaluate<unknown>("document.activeElement.tagName === 'SELECT'")) === true)
    return page.keyboard.type(text)
  await page.keyboard.press('Control+a')
  // As by pasting: a policy is long.
  await page.keyboard.insertText(text)
}

async function tabTo(page: Page, what: string, isThere: string): Promise<void> {
  for (let tabs = 0; tabs < 100; tabs += 1) {
    await page.keyboard.press('Tab')
    if ((await page.evaluate<unknown>(isThere)) === true) return
  }
  throw new Error(`${what} is not reached by Tab`)
}

function reading(page: Page, close: () => Promise<void>) {
  return {
    open: async (url: string) => void (await page.goto(url)),
    reads: (words: string) => page.getByText(words).first().waitFor(),
    isAccessible: () => expectAccessible(page),
    close,
  }
}

/** Into the page's world, past its policy of content. */
export async function expectAccessible(page: Page): Promise<void> {
  const found = await page.evaluate(`${axe}; axe.run().then((results) =>
    results.violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' ')))`)
  expect(found).toEqual([])
}

/** Without any browser: forms are sent as they stand in the page. */
export function noBrowser(): Hands {
  const visitor = createVisitor()
  let page: PlainPage | undefined
  const at = (): PlainPage => {
    if (page === undefined) throw new Error('no page is open')
    return page
  }
  const press = async (words: string) => {
    page = await visitor.press(at(), words)
  }
  return {
    open: async (url) => {
      page = await visitor.open(url)
    },
    press,
    pressEither: (words, otherwise) => press(at().html.includes(words) ? words : otherwise),
    reads: async (words) => {
      if (!at().html.includes(words)) throw new Error(`the page does not say ${words}: ${at().html}`)
    },
    isAccessible: async () => undefined,
    close: async () => undefined,
  }
}
