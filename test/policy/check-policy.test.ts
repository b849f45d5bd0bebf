import { expect, test } from 'vitest'
import { checkPolicy } from '../../src/policy/check-policy.ts'
import { readPolicy } from '../../src/policy/parse-policy.ts'
import type { CredentialSummary } from '../../src/domain/credential.ts'
import { epochSeconds } from '../../src/domain/time.ts'
import { reach, under } from '../support/boundaries.ts'
import { credentialWith, ruleWith } from '../support/policies.ts'

const auth = 'https://www.googleapis.com/auth/'
const issuers = [
  { name: 'cluster', issuer: 'https://cluster.example', keys: { discovery: true } },
  { name: 'google', issuer: 'https://accounts.google.com', keys: { discovery: true } },
  { name: 'github', issuer: 'https://token.actions.githubusercontent.com', keys: { discovery: true } },
]

interface Checked {
  readonly rules: readonly object[]
  readonly admins?: readonly object[]
  /** All that are enrolled; without it nobody knows. */
  readonly credentials?: readonly CredentialSummary[]
}

/** Path and text of every warning. */
function warningsOf({ rules, admins = [], credentials }: Checked): readonly string[] {
  const text = JSON.stringify({ version: 1, issuers, rules, admins })
  const read = readPolicy(
    { text, revision: '1', origin: 'test' },
    { brokerIssuer: 'https://tokens.acme.example' },
  )
  return checkPolicy(read, credentials).map(({ path, text: warning }) => `${path} ${warning}`)
}

/** Of one rule, and of a credential that is enrolled. */
function warnings(rule: object, credential: Partial<CredentialSummary> = {}): readonly string[] {
  return warningsOf({ rules: [ruleWith(rule)], credentials: [credentialWith(credential)] })
}

test('a policy that gives what its credential can give, and no more than it says, has no warning', () => {
  const rules = [
    ruleWith({
      scopes: ['devstorage.read_only', `${auth}calendar`],
      boundary: [reach()],
      subjects: ['ann@a.example'],
    }),
    ruleWith({ name: 'other', credential: 'other', scopes: ['read'], lifetime_seconds_max: 60 }),
  ]
  const credentials = [
    credentialWith({ kind: 'impersonation' }),
    credentialWith({ name: 'other', kind: 'impersonation' }),
  ]

  expect(warningsOf({ rules })).toEqual([])
  expect(warningsOf({ rules, credentials })).toEqual([
    'rules[1].scopes[0] is no short name: a scope outside the catalogue is written as a URL',
  ])
})

test('a warning has the line and the column of what it is about, and comes in the order of the document', () => {
  const text = `version: 1
issuers: []
rules:
  - name: one
    callers: &callers [{ issuer: a, subject: a }]
    credential: reports
    scopes:
      - taskqueue
      - compute.readonly
      - compute
  - name: two
    callers: *callers
    credential: reports
    scopes: [compute]
`.replace(
    'issuers: []',
    'issuers: [{ name: a, issuer: a, self_issued: true, keys: { jwks_uri: https://a.example/jwks } }]',
  )
  const read = readPolicy({ text, revision: '1', origin: 'test' }, { brokerIssuer: 'https://b.example' })

  expect(checkPolicy(read, [])).toEqual([
    {
      line: 6,
      column: 17,
      path: 'rules[0].credential',
      code: 'unknown_credential',
      text: 'no credential "reports" is enrolled',
    },
    expect.objectContaining({ line: 8, column: 9, path: 'rules[0].scopes[0]' }),
    expect.objectContaining({ line: 9, column: 9, path: 'rules[0].scopes[1]' }),
    {
      line: 11,
      column: 5,
      path: 'rules[1]',
      code: 'never_reached',
      text: 'is never reached: "one" above takes every caller it names',
    },
    expect.objectContaining({ line: 13, column: 17, path: 'rules[1].credential' }),
  ])
})

test.each<[string, readonly string[], string]>([
  [
    'a scope that another one implies',
    ['compute', 'compute.readonly'],
    'rules[0].scopes[1] "compute" gives this too',
  ],
  ['a scope under both its names', [`${auth}compute`, 'compute'], 'gives this too'],
  ['two names of one scope', ['email', `${auth}userinfo.email`], 'gives this too'],
  ['a deprecated scope', ['taskqueue.consumer'], 'is deprecated: the Task Queue'],
  ['a deprecated scope by its URL', [`${auth}taskqueue`], 'is deprecated'],
  ['a misspelt short name', ['compute.raedonly'], 'did you mean "compute.readonly"?'],
  ['a misspelt URL', [`${auth}devstorage.readonly`], 'did you mean "devstorage.read_only"?'],
  ['a short name that is none', ['nothing.known'], 'is no short name'],
])('P13: warned of: %s', (_, scopes, text) => {
  const found = warnings({ scopes })

  expect(found.filter((warning) => warning.includes(text))).toHaveLength(1)
  expect(warnings({ scopes }, { kind: 'client_credentials', upstream: 'acme' }).join('\n')).not.toContain(
    text,
  )
})

test.each<[string, object, Partial<CredentialSummary>, string]>([
  [
    'a scope never consented to',
    { scopes: ['drive', 'drive.file'] },
    { kind: 'refresh_token', consentedScopes: [`${auth}drive`] },
    'rules[0].scopes[1] was never consented to for "reports"',
  ],
  [
    'a lifetime that a key cannot keep',
    { lifetime_seconds_max: 900 },
    {},
    'rules[0].lifetime_seconds_max cannot be kept, and so gives nothing: an access_token of service_account_key lives 3600 s',
  ],
  [
    'a lifetime that an ID token cannot keep',
    {
      lifetime_seconds_max: 900,
      token_types: ['access_token', 'id_token'],
      id_token_audiences: ['https://a.example'],
    },
    { kind: 'impersonation' },
    'an id_token of impersonation lives 3600 s',
  ],
  [
    'a lifetime that a user’s token cannot keep',
    { lifetime_seconds_max: 900, subjects: ['ann@a.example'] },
    { kind: 'impersonation' },
    'user’s access_token',
  ],
  [
    'a lifetime that an organisation must allow',
    { lifetime_seconds_max: 7200 },
    { kind: 'impersonation' },
    'only where an organisation policy',
  ],
  [
    'a lifetime that nobody gets',
    { lifetime_seconds_max: 50_000 },
    { kind: 'impersonation' },
    'more than 43200 s to nobody',
  ],
  [
    'a key’s lifetime',
    { lifetime_seconds_max: 900, token_types: ['api_key'], scopes: [] },
    { kind: 'api_key' },
    'lives for ever',
  ],
  [
    'ID tokens of a consent',
    { token_types: ['id_token'], scopes: [], id_token_audiences: ['https://a.example'] },
    { kind: 'refresh_token' },
    'rules[0].token_types refresh_token "reports" gives no ID tokens',
  ],
  ['tokens of an API key', {}, { kind: 'api_key' }, 'gives no access_token'],
  ['an API key of what is none', { token_types: ['api_key'], scopes: [] }, {}, 'gives no api_key'],
  ['users of a consent', { subjects: ['ann'] }, { kind: 'refresh_token' }, 'cannot act for users'],
  ['a boundary at another upstream', { boundary: [reach()] }, { upstream: 'acme' }, 'cannot be bounded'],
  [
    'an upstream that the policy has not',
    {},
    { upstream: 'acme' },
    'upstream "acme", which is not in this policy',
  ],
  [
    'a source that is not enrolled',
    {},
    { kind: 'impersonation', source: 'gone' },
    'draws on "gone", which is not enrolled',
  ],
  [
    'a boundary without a scope for it',
    { scopes: ['compute'], boundary: [reach()] },
    {},
    'leaves Cloud Storage only',
  ],
  [
    'a prefix that ends in a variable',
    { boundary: [reach({ availabilityCondition: under('${claims.sub}') })] },
    {},
    'reaches what belongs to "ab" too',
  ],
  [
    'a prefix without a slash at its end',
    { boundary: [reach({ availabilityCondition: under('team') })] },
    {},
    'objects/team" ends without "/"',
  ],
])('warned of: %s', (_, rule, credential, text) => {
  expect(warnings(rule, credential).filter((warning) => warning.includes(text))).toHaveLength(1)
})

test('P4: warned of callers that anybody in the world can be, in rules', () => {
  const everybody = { issuer: 'google', subject: '*' }
  const found = warningsOf({
    rules: [
      ruleWith({
        callers: [
          everybody,
          { ...everybody, claims: { email_verified: true } },
          { ...everybody, claims: { email: 'a@b.example' } },
          { issuer: 'google', subject: '117' },
          { issuer: 'github', subject: 'repo:*/shop:ref:refs/heads/main' },
          { issuer: 'github', subject: 'repo:acme/*:ref:refs/heads/main' },
        ],
      }),
    ],
    admins: [{ callers: [{ issuer: 'google', subject: '117' }], role: 'admin' }],
  })

  expect(found.map((warning) => warning.split(' ')[0])).toEqual([
    'rules[0].callers[0]',
    'rules[0].callers[1]',
    'rules[0].callers[4]',
  ])
})

const first = { issuer: 'cluster', subject: 'a:*:c' }

test.each<[string, object, object, boolean]>([
  ['the same', first, first, true],
  ['one of many', first, { ...first, subject: 'a:b:c' }, true],
  ['fewer of many', first, { ...first, subject: 'a:b*d:c' }, true],
  ['more', { ...first, subject: 'a:b*:c' }, first, false],
  ['another segment', first, { ...first, subject: 'a:b:c:d' }, false],
  ['another issuer', first, { ...first, issuer: 'google' }, false],
  ['a claim asked for later only', first, { ...first, claims: { a: 1 } }, true],
  ['a claim asked for earlier only', { ...first, claims: { a: 1 } }, first, false],
  ['one of the values', { ...first, claims: { a: 'x*' } }, { ...first, claims: { a: 'xy', b: true } }, true],
  ['another value', { ...first, claims: { a: 1 } }, { ...first, claims: { a: '1' } }, false],
  ['null and nothing', { ...first, claims: { a: null } }, first, false],
])('a rule that is never reached is told, and no other: %s', (_, earlier, later, isShadowed) => {
  const rules = [ruleWith({ callers: [earlier] }), ruleWith({ name: 'later', callers: [later] })]

  expect(warningsOf({ rules })).toEqual(
    isShadowed ? ['rules[1] is never reached: "everybody reads" above takes every caller it names'] : [],
  )
  expect(
    warningsOf({
      rules: [rules[0] ?? {}, ruleWith({ name: 'later', credential: 'other', callers: [later] })],
    }),
  ).toEqual([])
})

test('of a rule that others partly take, the caller is told', () => {
  const rules = [
    ruleWith({ callers: [{ issuer: 'cluster', subject: 'a' }] }),
    ruleWith({ name: 'second', callers: [{ issuer: 'cluster', subject: 'b' }] }),
    ruleWith({ name: 'third', callers: ['a', 'c'].map((subject) => ({ issuer: 'cluster', subject })) }),
    ruleWith({ name: 'fourth', callers: ['b', 'a'].map((subject) => ({ issuer: 'cluster', subject })) }),
  ]

  expect(warningsOf({ rules })).toEqual([
    'rules[2].callers[0] is never reached: "everybody reads" above takes it',
    'rules[3] is never reached: "second", "everybody reads" above takes every caller it names',
  ])
})

test('a rule for less than a consent that cannot be narrowed, or was not a moment ago, is warned of', () => {
  const scopes = [`${auth}calendar`]
  const consented = { kind: 'refresh_token', consentedScopes: [...scopes, `${auth}tasks`] } as const
  const refusedUntil = epochSeconds(1)
  const cannot = `rules[0].scopes give nothing: the upstream of refresh_token "reports" gives all that was consented or nothing, and these are missing: ${auth}tasks`
  const didNot =
    'rules[0].scopes gave nothing when they were last asked for: the upstream of refresh_token "reports" gave more than was asked'

  expect(warnings({ scopes }, consented)).toEqual([])
  expect(warnings({ scopes }, { ...consented, narrowing: { way: 'by_token' } })).toEqual([])
  expect(warnings({ scopes }, { ...consented, narrowing: { way: 'no' } })).toEqual([cannot])
  expect(warnings({ scopes }, { ...consented, narrowing: { refusedUntil } })).toEqual([didNot])
  const whole = { scopes: consented.consentedScopes }
  for (const narrowing of [{ way: 'no' }, { refusedUntil }] as const)
    expect(warnings(whole, { ...consented, narrowing })).toEqual([])
})

test('T8: callers of an issuer that accepts access tokens are warned of unless they name a client_id', () => {
  const sso = { name: 'sso', issuer: 'https://sso.example', keys: { discovery: true }, accepts: ['at+jwt'] }
  const callers = [
    { issuer: 'sso', subject: 'robot' },
    { issuer: 'sso', subject: 'robot', claims: { client_id: 'robot' } },
    { issuer: 'cluster', subject: 'robot' },
  ]
  expect(checked({ issuers: [...issuers, sso], rules: [ruleWith({ callers })] })).toEqual([
    'rules[0].callers[0] names no client_id among its claims, and so takes no access token (at+jwt) of "sso"',
  ])
})

test('replay: once is warned of where an issuer was seen without jti, and for JWT-SVIDs beforehand', () => {
  const spire = {
    name: 'spire',
    issuer: 'https://spire.example',
    keys: { jwks_uri: 'https://spire.example/bundle', use: 'jwt-svid' },
  }
  const both = [...issuers, spire]
  const rules = [ruleWith({})]
  expect(checked({ issuers: both, rules })).toEqual([expect.stringMatching(/^issuers\[3\].replay JWT-SVIDs/)])
  expect(checked({ issuers: [...issuers, { ...spire, replay: 'allowed' }], rules })).toEqual([])
  expect(checked({ issuers, rules, withoutJti: new Set(['google', 'nobody']) })).toEqual([
    expect.stringMatching(/^issuers\[1\].replay "google" signs without a jti/),
  ])
})

function checked(given: {
  readonly issuers: readonly object[]
  readonly rules: readonly object[]
  readonly withoutJti?: ReadonlySet<string>
}): readonly string[] {
  const { withoutJti, ...document } = given
  const text = JSON.stringify({ version: 1, ...document })
  const read = readPolicy(
    { text, revision: '1', origin: 'test' },
    { brokerIssuer: 'https://tokens.acme.example' },
  )
  return checkPolicy(read, undefined, withoutJti).map(({ path, text: warning }) => `${path} ${warning}`)
}
