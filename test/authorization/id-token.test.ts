import { expect, test } from 'vitest'
import type { CredentialKind } from '../../src/domain/credential.ts'
import { ask, refusal, type Situation } from '../support/authorize-situation.ts'
import { credentialWith, ruleWith } from '../support/policies.ts'

const identity = ruleWith({
  token_types: ['id_token'],
  scopes: [],
  id_token_audiences: ['https://run.example'],
})

const twoAudiences = ruleWith({
  token_types: ['access_token', 'id_token'],
  id_token_audiences: ['https://run.example', 'https://b.example'],
})

test('an ID token is for an audience of the rule, carries no scope, and defaults to the only audience', async () => {
  const expected = { tokenType: 'id_token', audience: 'https://run.example', scopes: [] }

  expect(await ask({ rules: [identity], request: { tokenType: 'id_token' } })).toMatchObject(expected)
  expect(
    await ask({
      rules: [twoAudiences],
      request: { tokenType: 'id_token', resource: 'https://run.example', scopes: ['read'] },
    }),
  ).toMatchObject(expected)
})

test.each<[string, Situation, string]>([
  [
    'an audience beyond the rule',
    { rules: [identity], request: { tokenType: 'id_token', resource: 'https://run.example/' } },
    'target_unavailable',
  ],
  [
    'no audience where there are several',
    { rules: [twoAudiences], request: { tokenType: 'id_token' } },
    'request_malformed',
  ],
  [
    'an ID token of a refresh token',
    {
      rules: [identity],
      credential: credentialWith({ kind: 'refresh_token' }),
      request: { tokenType: 'id_token' },
    },
    'target_unavailable',
  ],
  ['an access token of a rule for ID tokens', { rules: [identity] }, 'target_unavailable'],
  [
    'an ID token on behalf of a user',
    {
      rules: [twoAudiences],
      request: { tokenType: 'id_token', resource: 'https://b.example', subject: 'a' },
    },
    'request_malformed',
  ],
  [
    'a bounded ID token',
    { rules: [identity], request: { tokenType: 'id_token', boundary: [] } },
    'request_malformed',
  ],
  ['an access token for a resource', { request: { resource: 'https://run.example' } }, 'request_malformed'],
])('P13: refused: %s', async (_, situation, code) => {
  expect((await refusal(situation)).code).toBe(code)
})

test.each<CredentialKind>(['impersonation', 'broker_identity'])(
  'a credential of kind %s stands for a service account: it gives ID tokens and acts for users',
  async (kind) => {
    const credential = credentialWith({ kind })
    const rules = [ruleWith({ subjects: ['ann@acme.example'] })]

    expect(await ask({ rules: [identity], credential, request: { tokenType: 'id_token' } })).toMatchObject({
      audience: 'https://run.example',
    })
    expect(await ask({ rules, credential, request: { subject: 'ann@acme.example' } })).toMatchObject({
      subject: 'ann@acme.example',
    })
  },
)
