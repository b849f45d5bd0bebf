import { expect, test } from 'vitest'
import { ask, refusal, type Situation } from '../support/authorize-situation.ts'
import { credentialWith, ruleWith } from '../support/policies.ts'

test('a subject that the rule names may be acted for; without one the token is the credential’s own', async () => {
  const rules = [ruleWith({ subjects: ['ann@acme.example', '*@sales.acme.example'] })]

  expect(await ask({ rules, request: { subject: 'ann@acme.example' } })).toMatchObject({
    subject: 'ann@acme.example',
  })
  expect(await ask({ rules, request: { subject: 'x@sales.acme.example' } })).toMatchObject({
    subject: 'x@sales.acme.example',
  })
  expect(await ask({ rules })).not.toHaveProperty('subject')
})

test.each<[string, Situation]>([
  ['a subject that no rule names', { request: { subject: 'ann@acme.example' } }],
  [
    'a subject in another case',
    { rules: [ruleWith({ subjects: ['ann@acme.example'] })], request: { subject: 'Ann@acme.example' } },
  ],
  ['the empty subject', { rules: [ruleWith({ subjects: ['*'] })], request: { subject: '' } }],
  [
    'a subject with a refresh token',
    {
      rules: [ruleWith({ subjects: ['*'] })],
      credential: credentialWith({ kind: 'refresh_token' }),
      request: { subject: 'ann' },
    },
  ],
])('P12: refused: %s', async (_, situation) => {
  expect(await refusal(situation)).toMatchObject({ code: 'target_unavailable', publicDetail: undefined })
})
