import { expect, test } from 'vitest'
import { createCheckDocument, createLogWarnings } from '../../src/policy/policy-warnings.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createAwaitableBackground, createLogBook } from '../support/quiet.ts'
import { credentialWith } from '../support/policies.ts'
import { samplePolicy } from '../support/sample-policy.ts'

const context = { brokerIssuer: 'https://tokens.acme.example', clock: createFakeClock() }

/** Enrolled, in pages that are full until the last, as the records give them. */
function enrolled(names: readonly string[]) {
  const all = names.map((name) => credentialWith({ name }))
  return {
    list: ({ after = '', limit }: { readonly after?: string; readonly limit: number }) =>
      Promise.resolve(all.filter(({ name }) => name > after).slice(0, limit)),
  }
}

async function told(names: readonly string[], text = samplePolicy): Promise<readonly unknown[]> {
  const book = createLogBook()
  const background = createAwaitableBackground()
  const clock = createFakeClock()
  const tellWarnings = createLogWarnings({
    check: createCheckDocument(enrolled(names), context),
    background,
    clock,
    log: book.log,
  })
  tellWarnings({ text, revision: '7', origin: 'file policy.yaml' })
  expect(background.started()).toBe(0)
  await clock.advance(1_000)
  await background.settled()
  return book.lines
}

test('a policy in force is held against every credential that is enrolled, page by page', async () => {
  const others = Array.from({ length: 450 }, (_, index) => `a${index + 1000}`)

  expect(await told([...others, 'reports-sa'])).toEqual([])
  expect(await told(others)).toEqual([
    {
      level: 'warn',
      message: 'policy warning',
      fields: {
        origin: 'file policy.yaml',
        revision: '7',
        line: 30,
        column: 17,
        path: 'rules[0].credential',
        code: 'unknown_credential',
        text: 'no credential "reports-sa" is enrolled',
      },
    },
  ])
})

test('a log does not drown in warnings', async () => {
  const callers = [{ issuer: 'a', subject: 'a' }]
  const rules = Array.from({ length: 60 }, (_, index) => ({
    name: `r${index}`,
    callers,
    credential: `c${index}`,
    scopes: ['read'],
  }))
  const issuers = [{ name: 'a', issuer: 'a', keys: { jwks_uri: 'https://a.example' } }]
  const lines = await told([], JSON.stringify({ version: 1, issuers, rules }))

  expect(lines).toHaveLength(51)
  expect(lines.at(-1)).toMatchObject({ message: 'more policy warnings', fields: { hidden: 10 } })
})
