import { expect, test } from 'vitest'
import { ask, refusal, type Situation } from '../support/authorize-situation.ts'
import { credentialWith, ruleWith } from '../support/policies.ts'

const keyRule = ruleWith({ token_types: ['api_key'], scopes: [] })
const apiKey = credentialWith({ kind: 'api_key' })

test('an API key is handed out by a rule that says so, to who asks for one', async () => {
  const grant = await ask({ rules: [keyRule], credential: apiKey, request: { tokenType: 'api_key' } })

  expect(grant).toMatchObject({ tokenType: 'api_key', scopes: [], credential: { kind: 'api_key' } })
})

test.each<[string, Situation, string]>([
  ['a key for who asks for a token', { rules: [keyRule], credential: apiKey }, 'target_unavailable'],
  [
    'a token of a key, whatever the rule says',
    { rules: [ruleWith()], credential: apiKey },
    'target_unavailable',
  ],
  [
    'a key by a rule for tokens',
    { credential: apiKey, request: { tokenType: 'api_key' } },
    'target_unavailable',
  ],
  [
    'a key of a credential that is none',
    { rules: [keyRule], request: { tokenType: 'api_key' } },
    'target_unavailable',
  ],
  ...[
    { scopes: ['read'] },
    { subject: 'ann@acme.example' },
    { boundary: [] },
    { resource: 'https://a.example' },
  ].map((more): [string, Situation, string] => [
    `a key with ${Object.keys(more).join()}`,
    { rules: [keyRule], credential: apiKey, request: { tokenType: 'api_key', ...more } },
    'request_malformed',
  ]),
])('P13: refused: %s', async (_, situation, code) => {
  expect((await refusal(situation)).code).toBe(code)
})
