import { expect, test } from 'vitest'

import type { CompiledPolicy } from '../../src/authorize/compile-policy.ts'
import { createAuthorize, type AuthorizeDeps } from '../../src/authorize/authorize.ts'
import { createExplain } from '../../src/authorize/explain.ts'
import { isBrokerError, type BrokerError } from '../../src/domain/broker-error.ts'
import { inForce } from '../../src/domain/blocks.ts'
import type { Caller } from '../../src/domain/caller.ts'
import type { CredentialKind, CredentialSummary } from '../../src/domain/credential.ts'
import type { ExchangeRequest } from '../../src/domain/exchange-request.ts'
import type { Grant } from '../../src/domain/grant.ts'
import { Secret } from '../../src/domain/secret.ts'
import { seconds } from '../../src/domain/time.ts'
import { bucket, reach, under } from '../support/boundaries.ts'
import { callerOf, credentialWith, policyOf, ruleWith } from '../support/policies.ts'

interface Situation {
  readonly rules?: readonly object[]
  readonly credential?: CredentialSummary | 'none'
  readonly upstreams?: readonly object[]
  /** Enrolled beside it. */
  readonly others?: readonly CredentialSummary[]
  readonly caller?: Caller
  readonly request?: Partial<ExchangeRequest>
}

const lookUps: string[] = []
const nothingBlocked = () => inForce({ callers: [], tokens: [] })

const defaultRequest = { target: 'reports', scopes: [], tokenType: 'access_token' } as const

function depsOf({
  rules = [ruleWith()],
  credential = credentialWith(),
  upstreams = [],
  others = [],
}: Situation): AuthorizeDeps {
  const policy: CompiledPolicy = policyOf(rules, [], upstreams)
  return {
    policy: () => Promise.resolve(policy),
    findCredential: (name) => {
      const enrolled = credential === 'none' ? others : [credential, ...others]
      return Promise.resolve(enrolled.find((summary) => summary.name === name))
    },
    brokerIssuer: 'https://tokens.acme.example',
  }
}

async function ask(situation: Situation): Promise<Grant> {
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
    expect(await createExplain({ ...depsOf(situation), blocks: nothingBlocked })(question)).toMatchObject({
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

test('P13: where the upstream cannot narrow a refresh, only all that was consented is granted', async () => {
  const crm = { name: 'crm', token_endpoint: 'https://crm.example/token', client_auth: 'none' }
  const upstreams = [{ ...crm, scope_in_refresh: 'omit' }]
  const credential = credentialWith({
    kind: 'refresh_token',
    upstream: 'crm',
    consentedScopes: ['read', 'write'],
  })
  expect(await ask({ rules: [twoScopes], credential, upstreams })).toMatchObject({
    scopes: ['read', 'write'],
  })
  for (const situation of [{ rules: [ruleWith()] }, { rules: [twoScopes], request: { scopes: ['read'] } }]) {
    const { code, reason } = await refusal({ ...situation, credential, upstreams })
    expect([code, reason.includes('upstream crm cannot narrow a refresh')]).toEqual(['scope_refused', true])
  }
  expect(await ask({ credential, upstreams: [crm] })).toMatchObject({ scopes: ['read'] })
})

test('P14: a grant knows how its upstream is asked, so that another audience makes another token', async () => {
  const credential = credentialWith({ kind: 'client_credentials', upstream: 'crm' })
  const grantFor = async (change: object) => {
    const crm = { name: 'crm', token_endpoint: 'https://crm.example/token', client_auth: 'none', ...change }
    return (await ask({ credential, upstreams: [crm] })).upstreamTerms
  }
  const terms = [
    await grantFor({}),
    await grantFor({ extra_parameters: { audience: 'a' } }),
    await grantFor({ extra_parameters: { audience: 'b' } }),
    await grantFor({ token_endpoint: 'https://crm.example/other' }),
  ]
  expect(new Set(terms).size).toBe(terms.length)
  expect(await grantFor({ client_auth: 'client_secret_post' })).toBe(terms[0])
  expect(await ask({})).not.toHaveProperty('upstreamTerms')
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

const auth = 'https://www.googleapis.com/auth/'
const google = (...names: readonly string[]) => names.map((name) => `${auth}${name}`)
const dropBeyond = (...scopes: readonly string[]) => ruleWith({ scopes, excess_scopes: 'drop' })

test.each<[string, Situation, readonly string[]]>([
  [
    'a scope that the rule’s implies, as it was asked for',
    { rules: [ruleWith({ scopes: ['compute'] })], request: { scopes: google('compute.readonly') } },
    google('compute.readonly'),
  ],
  [
    'the rule’s scopes by their full names',
    { rules: [ruleWith({ scopes: ['compute.readonly', 'openid', 'email'] })] },
    ['email', ...google('compute.readonly'), 'openid'],
  ],
  [
    'of cloud-platform what the rule has of it, where it drops',
    { rules: [dropBeyond('compute', 'drive.readonly')], request: { scopes: google('cloud-platform') } },
    google('compute'),
  ],
  [
    'of a broad scope the broadest that both imply',
    { rules: [dropBeyond('drive.readonly')], request: { scopes: google('documents', 'drive') } },
    google('drive.readonly'),
  ],
  [
    'what both a broad scope and the rule imply, though neither names it',
    { rules: [dropBeyond('drive.readonly')], request: { scopes: google('documents') } },
    google('documents.readonly'),
  ],
  [
    'of a consent only what was consented word for word',
    {
      rules: [dropBeyond('compute')],
      credential: credentialWith({ kind: 'refresh_token', consentedScopes: google('compute.readonly') }),
      request: { scopes: google('cloud-platform') },
    },
    google('compute.readonly'),
  ],
  [
    'either name of one scope',
    { rules: [ruleWith({ scopes: ['email'] })], request: { scopes: google('userinfo.email') } },
    google('userinfo.email'),
  ],
  [
    'words of another upstream as words',
    { rules: [ruleWith({ scopes: ['drive'] })], credential: credentialWith({ upstream: 'acme' }) },
    ['drive'],
  ],
])('P13: given: %s', async (_, situation, scopes) => {
  expect((await ask(situation)).scopes).toEqual(scopes)
})

test.each<[string, Situation]>([
  [
    'a broader scope than the rule’s',
    { rules: [ruleWith({ scopes: ['compute.readonly'] })], request: { scopes: google('compute') } },
  ],
  [
    'a broad scope that implies nothing of the rule',
    { rules: [dropBeyond('drive')], request: { scopes: google('cloud-platform') } },
  ],
  [
    'a narrower scope than was consented',
    {
      rules: [ruleWith({ scopes: ['drive'] })],
      credential: credentialWith({ kind: 'refresh_token', consentedScopes: google('drive') }),
      request: { scopes: google('drive.readonly') },
    },
  ],
  [
    'a scope that only Google’s implies, of another upstream',
    {
      rules: [ruleWith({ scopes: google('drive') })],
      credential: credentialWith({ upstream: 'acme' }),
      request: { scopes: google('drive.readonly') },
    },
  ],
  [
    'a short name in a request',
    { rules: [ruleWith({ scopes: ['drive'] })], request: { scopes: ['drive.readonly'] } },
  ],
])('P13: not given: %s', async (_, situation) => {
  expect(await refusal(situation)).toMatchObject({ code: 'scope_refused', publicDetail: undefined })
})

const impersonating = credentialWith({ kind: 'impersonation' })

test.each<[string, Situation, number]>([
  ['an hour where nobody says anything', {}, 3600],
  ['what is asked', { request: { lifetime: seconds(600) } }, 600],
  ['an hour of a longer wish, where the rule says nothing', { request: { lifetime: seconds(7200) } }, 3600],
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

const ofCaller = ruleWith({
  boundary: [reach({ availabilityCondition: under('${claims.team}/') })],
})

test('P13: a rule’s boundary holds the caller’s claims, and a caller’s own only narrows it', async () => {
  const caller = callerOf('exporter', { team: "o'neil" })
  const own = reach({ availabilityCondition: { expression: 'resource.type == "object"' } })

  expect((await ask({ rules: [ofCaller], caller })).boundary).toEqual([
    reach({ availabilityCondition: under(String.raw`o\u0027neil/`) }),
  ])
  expect((await ask({ caller, request: { boundary: [own] } })).boundary).toEqual([own])
  expect((await ask({ rules: [ofCaller], caller, request: { boundary: [own] } })).boundary).toEqual([
    reach({
      availabilityCondition: {
        expression: String.raw`(resource.type == "object") && (resource.name.startsWith('projects/_/buckets/reports/objects/o\u0027neil/'))`,
      },
    }),
  ])
})

test('P12: no token where the caller lacks a claim of the boundary, or the credential cannot be bounded', async () => {
  const refusals = [
    await refusal({ rules: [ofCaller] }),
    await refusal({
      rules: [ruleWith({ boundary: [reach()] })],
      credential: credentialWith({ upstream: 'acme' }),
    }),
    await refusal({ request: { boundary: [reach()] }, credential: credentialWith({ upstream: 'acme' }) }),
  ]

  for (const error of refusals)
    expect(error).toMatchObject({ code: 'target_unavailable', publicDetail: undefined })
  expect(refusals.map(({ reason }) => reason)).toEqual([
    'rule "everybody reads", boundary: the claim "team" is missing',
    expect.stringContaining('rule "everybody reads": "reports" cannot be bounded'),
    expect.stringContaining('rule "everybody reads": "reports" cannot be bounded'),
  ])
})

test.each([
  [[], 'accessBoundaryRules: needs at least one rule'],
  [[reach({ availablePermissions: ['x'] })], 'accessBoundaryRules[0].availablePermissions[0]: must be'],
  [
    [reach(), reach({ availableResource: bucket('other') })],
    'accessBoundaryRules[1].availableResource: is not',
  ],
  [
    [reach({ availablePermissions: ['inRole:roles/x.y'] })],
    'accessBoundaryRules[0].availablePermissions[0]: cannot',
  ],
])(
  'a caller’s boundary that is faulty or cannot be compared is refused with its place',
  async (boundary, detail) => {
    const error = await refusal({ rules: [ruleWith({ boundary: [reach()] })], request: { boundary } })

    expect(error.code).toBe('request_malformed')
    expect(error.publicDetail).toContain(detail)
    expect(error.reason).toContain('rule "everybody reads"')
  },
)

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
