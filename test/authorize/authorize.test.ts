import { expect, test } from 'vitest'

import type { CompiledPolicy } from '../../src/authorize/compile-policy.ts'
import { createAuthorize, type AuthorizeDeps } from '../../src/authorize/authorize.ts'
import { createExplain } from '../../src/authorize/explain.ts'
import { isBrokerError, type BrokerError } from '../../src/domain/broker-error.ts'
import type { Caller } from '../../src/domain/caller.ts'
import type { CredentialKind, CredentialSummary } from '../../src/domain/credential.ts'
import type { ExchangeRequest } from '../../src/domain/exchange-request.ts'
import type { Grant } from '../../src/domain/grant.ts'
import { Secret } from '../../src/domain/secret.ts'
import { seconds } from '../../src/domain/time.ts'
import { callerOf, credentialWith, policyOf, ruleWith } from '../support/policies.ts'

interface Situation {
  readonly rules?: readonly object[]
  readonly credential?: CredentialSummary | 'none'
  /** Enrolled beside it. */
  readonly others?: readonly CredentialSummary[]
  readonly caller?: Caller
  readonly request?: Partial<ExchangeRequest>
}

const lookUps: string[] = []

const defaultRequest = { target: 'reports', scopes: [], tokenType: 'access_token' } as const

function depsOf({
  rules = [ruleWith()],
  credential = credentialWith(),
  others = [],
}: Situation): AuthorizeDeps {
  const policy: CompiledPolicy = policyOf(rules)
  return {
    policy: () => Promise.resolve(policy),
    findCredential: (name) => {
      const enrolled = credential === 'none' ? others : [credential, ...others]
      return Promise.resolve(enrolled.find((summary) => summary.name === name))
    },
    brokerIssuer: 'https://tokens.acme.example',
  }
}

function ask(situation: Situation): Promise<Grant> {
  const { caller = callerOf('exporter'), request } = situation
  const deps = depsOf(situation)
  const findCredential: AuthorizeDeps['findCredential'] = (name) => {
    lookUps.push(name)
    return deps.findCredential(name)
  }
  return createAuthorize({ ...deps, findCredential })(caller, {
    proof: { form: 'subject_token', assertion: new Secret('x') },
    ...defaultRequest,
    ...request,
  })
}

/** Every refusal of this file is explained as well: by the same code and reason, and with its condition. */
async function refusal(situation: Situation): Promise<BrokerError> {
  const outcome = await ask(situation).catch((error: unknown) => error)
  if (!isBrokerError(outcome)) throw new Error('expected a refusal', { cause: outcome })
  const { caller = callerOf('exporter'), request } = situation
  if (caller.issuer === callerOf('exporter').issuer) {
    const { code, reason, condition } = outcome
    const question = {
      issuer: caller.issuer,
      claims: { ...caller.claims, sub: caller.subject },
      ...defaultRequest,
      ...request,
    }
    expect(await createExplain(depsOf(situation))(question)).toMatchObject({
      outcome: 'refused',
      error: code,
      reason,
      condition,
    })
    expect(condition).toMatch(/./)
  }
  return outcome
}

test('a caller that a rule names gets what the rule gives', async () => {
  expect(await ask({})).toEqual({
    caller: callerOf('exporter'),
    rule: 'everybody reads',
    credential: { name: 'reports', version: 'v1', kind: 'service_account_key', upstream: 'google' },
    scopes: ['read'],
    tokenType: 'access_token',
  })
})

test.each([
  'reports',
  '//tokens.acme.example/credentials/reports',
  'https://tokens.acme.example/credentials/reports',
])('the target %s is the credential', async (target) => {
  expect((await ask({ request: { target } })).credential.name).toBe('reports')
})

test.each([
  '',
  'Reports',
  'reports/',
  '/reports',
  '../reports',
  'credentials/reports',
  '//evil.example/credentials/reports',
  '//tokens.acme.example.evil.example/credentials/reports',
  '//tokens.acme.example:8443/credentials/reports',
  '//TOKENS.acme.example/credentials/reports',
  'http://tokens.acme.example/credentials/reports',
  'https://tokens.acme.example/credentials/reports?x',
  'https://tokens.acme.example/credentials//tokens.acme.example/credentials/reports',
  'a'.repeat(64),
  '__proto__',
  'constructor',
])('P12: the target %j is no credential, and nothing is looked up', async (target) => {
  lookUps.length = 0
  expect(await refusal({ request: { target } })).toMatchObject({
    code: 'target_unavailable',
    publicDetail: undefined,
  })
  expect(lookUps).toEqual([])
})

test('a credential that draws on another names the version of both', async () => {
  const credential = credentialWith({ kind: 'impersonation', source: 'robot' })
  const others = [credentialWith({ name: 'robot', version: 's2', fallback: 's1' })]
  expect((await ask({ credential, others })).credential).toEqual({
    name: 'reports',
    version: 'v1',
    kind: 'impersonation',
    upstream: 'google',
    source: {
      name: 'robot',
      version: 's2',
      fallback: 's1',
      kind: 'service_account_key',
      upstream: 'google',
    },
  })
})

test.each<[string, readonly CredentialSummary[]]>([
  ['not enrolled', []],
  ['disabled', [credentialWith({ name: 'robot', state: 'disabled' })]],
  ['revoked', [credentialWith({ name: 'robot', state: 'revoked' })]],
  ['which draws on another itself', [credentialWith({ name: 'robot', source: 'reports' })]],
])('P12: a credential whose source is %s is refused like an unknown one', async (why, others) => {
  const credential = credentialWith({ kind: 'impersonation', source: 'robot' })
  const { code, reason } = await refusal({ credential, others })
  expect(code).toBe('target_unavailable')
  expect(reason).toContain(why)
})

test('P12: unknown, forbidden and disabled credentials are refused alike, each with its own reason', async () => {
  const refusals = [
    await refusal({ credential: 'none' }),
    await refusal({ credential: credentialWith({ state: 'disabled' }) }),
    await refusal({ rules: [] }),
    await refusal({ request: { target: 'payroll' } }),
    await refusal({ caller: { ...callerOf('exporter'), issuer: 'https://ops.example' } }),
    await refusal({ request: { tokenType: 'id_token' } }),
  ]

  for (const { code, publicDetail, retryAfter } of refusals)
    expect({ code, publicDetail, retryAfter }).toEqual({
      code: 'target_unavailable',
      publicDetail: undefined,
      retryAfter: undefined,
    })
  expect(new Set(refusals.map(({ reason }) => reason)).size).toBe(refusals.length)
})

test('P12: a credential that no rule gives this caller is not looked up', async () => {
  lookUps.length = 0
  await refusal({ caller: callerOf('a:b') })
  await refusal({ request: { target: 'payroll' } })
  expect(lookUps).toEqual([])

  await ask({})
  expect(lookUps).toEqual(['reports'])
})

test('the first rule that matches caller and credential decides, also when a later one would give more', async () => {
  const rules = [
    ruleWith({ name: 'other credential', credential: 'payroll', scopes: ['all'] }),
    ruleWith({
      name: 'somebody else',
      callers: [{ issuer: 'cluster', subject: 'importer' }],
      scopes: ['all'],
    }),
    ruleWith({ name: 'first' }),
    ruleWith({ name: 'second', scopes: ['read', 'write'] }),
  ]

  expect(await ask({ rules })).toMatchObject({ rule: 'first', scopes: ['read'] })
  expect(await refusal({ rules, request: { scopes: ['write'] } })).toMatchObject({ code: 'scope_refused' })
})

const twoScopes = ruleWith({ scopes: ['write', 'read'] })
const dropping = ruleWith({ scopes: ['write', 'read'], excess_scopes: 'drop' })
const consentedToRead = credentialWith({ kind: 'refresh_token', consentedScopes: ['openid', 'read'] })
const consentedToNothing = credentialWith({ kind: 'refresh_token', consentedScopes: [] })

test.each<[string, Situation, readonly string[]]>([
  ['no scope asked for is all that the rule allows', { rules: [twoScopes] }, ['read', 'write']],
  ['one asked for is one given', { rules: [twoScopes], request: { scopes: ['write'] } }, ['write']],
  ['dropped beyond the rule', { rules: [dropping], request: { scopes: ['admin', 'read'] } }, ['read']],
  [
    'no scope asked for is what the rule allows and was consented',
    { rules: [twoScopes], credential: consentedToRead },
    ['read'],
  ],
  [
    'dropped where not consented',
    { rules: [dropping], credential: consentedToRead, request: { scopes: ['read', 'write'] } },
    ['read'],
  ],
])('P13: %s', async (_, situation, scopes) => {
  expect((await ask(situation)).scopes).toEqual(scopes)
})

test.each<[string, Situation, string]>([
  [
    'a scope beyond the rule',
    { rules: [twoScopes], request: { scopes: ['admin', 'read'] } },
    'beyond rule "everybody reads": admin',
  ],
  [
    'nothing left after dropping',
    { rules: [dropping], request: { scopes: ['admin'] } },
    'allows none of: admin',
  ],
  [
    'a scope not consented',
    { rules: [twoScopes], credential: consentedToRead, request: { scopes: ['read', 'write'] } },
    'not consented for "reports": write; consented: openid read',
  ],
  [
    'nothing consented',
    { rules: [dropping], credential: consentedToNothing },
    'not consented for "reports": read write; consented: ',
  ],
  [
    'nothing left of what was consented',
    { rules: [dropping], credential: consentedToRead, request: { scopes: ['admin'] } },
    'allows none of: admin',
  ],
  ['another case', { rules: [twoScopes], request: { scopes: ['READ'] } }, 'beyond rule'],
])('P13: refused: %s', async (_, situation, reason) => {
  const error = await refusal(situation)

  expect(error).toMatchObject({ code: 'scope_refused', publicDetail: undefined })
  expect(error.reason).toContain(reason)
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
