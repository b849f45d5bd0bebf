import { expect, test } from 'vitest'
import { seconds } from '../../src/domain/time.ts'
import { ask, refusal, type Situation } from '../support/authorize-situation.ts'
import { credentialWith, ruleWith } from '../support/policies.ts'

const impersonating = credentialWith({ kind: 'impersonation' })

test.each<[string, Situation, number]>([
  ['an hour where nobody says anything', {}, 3600],
  ['what is asked', { request: { lifetime: seconds(600) } }, 600],
  [
    'an hour of a longer parameters, where the rule says nothing',
    { request: { lifetime: seconds(7200) } },
    3600,
  ],
  ['the rule’s where that is shorter', { rules: [ruleWith({ lifetime_seconds_max: 900 })] }, 900],
  [
    'what is asked within the rule’s',
    { rules: [ruleWith({ lifetime_seconds_max: 900 })], request: { lifetime: seconds(300) } },
    300,
  ],
  [
    'more than an hour where rule and request say so',
    { rules: [ruleWith({ lifetime_seconds_max: 43_200 })], request: { lifetime: seconds(20_000) } },
    20_000,
  ],
  ['an hour unless it is asked for', { rules: [ruleWith({ lifetime_seconds_max: 43_200 })] }, 3600],
  [
    'twelve hours at most',
    { rules: [ruleWith({ lifetime_seconds_max: 86_400 })], request: { lifetime: seconds(80_000) } },
    43_200,
  ],
])('an impersonated account’s token really lives %s', async (_, situation, lifetime) => {
  expect(await ask({ credential: impersonating, ...situation })).toMatchObject({ lifetime })
})

test('an impersonated account’s token is refused rather than given for less than a minute', async () => {
  expect(await refusal({ credential: impersonating, request: { lifetime: seconds(59) } })).toMatchObject({
    code: 'request_malformed',
    publicDetail: 'requested_lifetime is too short: the least is 60',
  })
})

test('P12: a rule’s lifetime that its credential cannot keep gives no token, and the reason names the rule', async () => {
  const rules = [ruleWith({ lifetime_seconds_max: 900 })]

  const situations: readonly Situation[] = [
    ...(['service_account_key', 'refresh_token', 'broker_identity'] as const).map((kind) => ({
      rules,
      credential: credentialWith({ kind }),
    })),
    // Signed for by Google, the assertion of a user's token is shown to the token endpoint, which takes no lifetime.
    {
      rules: [ruleWith({ lifetime_seconds_max: 900, subjects: ['ann'] })],
      credential: impersonating,
      request: { subject: 'ann' },
    },
    {
      rules: [ruleWith({ lifetime_seconds_max: 900, token_types: ['api_key'], scopes: [] })],
      credential: credentialWith({ kind: 'api_key' }),
      request: { tokenType: 'api_key' },
    },
  ]
  for (const situation of situations) {
    const { code, publicDetail, reason } = await refusal(situation)

    expect([code, publicDetail]).toEqual(['target_unavailable', undefined])
    expect(reason).toContain('rule "everybody reads": lifetime_seconds_max of 900 cannot be kept')
  }
})

test('of an upstream whose tokens nobody can tell, a rule’s lifetime is held against the token itself', async () => {
  const credential = credentialWith({ kind: 'client_credentials', upstream: 'acme' })

  expect(await ask({ credential, rules: [ruleWith({ lifetime_seconds_max: 900 })] })).toMatchObject({
    lifetime: 900,
  })
  expect(await refusal({ credential, request: { lifetime: seconds(900) } })).toMatchObject({
    code: 'request_malformed',
  })
})

test("the rule's lifetime is what the token is held to, whatever longer one is asked for", async () => {
  const rules = [ruleWith({ lifetime_seconds_max: 7200 })]
  expect(await ask({ rules })).toMatchObject({ lifetime: 7200 })
  for (const lifetime of [3600, 3601, 7200])
    expect(await ask({ rules, request: { lifetime: seconds(lifetime) } })).toMatchObject({ lifetime: 7200 })
  expect(await ask({ request: { lifetime: seconds(90_000) } })).not.toHaveProperty('lifetime')
})

test.each([
  [7201, 'longer'],
  [3599, 'cannot shorten'],
  [1, 'cannot shorten'],
  [0, 'whole number'],
  [-3600, 'whole number'],
  [3600.5, 'whole number'],
  [Number.NaN, 'whole number'],
  [Infinity, 'whole number'],
])('a lifetime of %d s is refused rather than pretended', async (lifetime, detail) => {
  const rules = [ruleWith({ lifetime_seconds_max: 7200 })]
  const error = await refusal({ rules, request: { lifetime: seconds(lifetime) } })

  expect(error.code).toBe('request_malformed')
  expect(error.publicDetail).toContain(detail)
})
