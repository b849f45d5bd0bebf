import { expect, test } from 'vitest'
import { parsePolicy } from '../../src/policy/parse-policy.ts'
import { isBrokerError } from '../../src/domain/broker-error.ts'
import type { Policy } from '../../src/domain/policy.ts'
import { samplePolicy } from '../support/sample-policy.ts'

const brokerIssuer = 'https://tokens.acme.example'

function parse(text: string): Policy {
  return parsePolicy({ text, revision: '1', origin: 'file policy.yaml' }, { brokerIssuer })
}

/** What is wrong with a text, line by line; empty if nothing. Anything but a `document_invalid` fails the test. */
function faultsOf(text: string): readonly string[] {
  try {
    parse(text)
    return []
  } catch (error) {
    if (!isBrokerError(error) || error.code !== 'document_invalid') throw error
    expect(error.publicDetail).toBe(error.reason)
    return error.reason.split('\n')
  }
}

function lineOf(text: string, part: string): number {
  return text.slice(0, text.indexOf(part)).split('\n').length
}

/** The sample with one thing changed; the thing must be there. */
function sampleWith(before: string, after: string): string {
  expect(samplePolicy).toContain(before)
  return samplePolicy.replace(before, () => after)
}

const rulesAt = samplePolicy.indexOf('rules:')

/** The sample with other lines for its rule's scopes, lifetime, token types and so on. */
function sampleWithRule(lines: readonly string[]): string {
  const head = samplePolicy.slice(0, samplePolicy.indexOf('    scopes:'))
  return `${head}${lines.map((line) => `    ${line}\n`).join('')}`
}

test('the documented example means what it says', () => {
  const policy = parse(samplePolicy)

  expect(policy.issuers.map(({ name, keys }) => [name, keys.from])).toEqual([
    ['prod-cluster', 'discovery'],
    ['billing', 'inline'],
    ['ops', 'jwks_uri'],
  ])
  expect(policy.issuers[0]).toEqual({
    name: 'prod-cluster',
    issuer: 'https://container.googleapis.com/v1/projects/acme/locations/eu/clusters/prod',
    selfIssued: false,
    keys: {
      from: 'discovery',
      url: 'https://container.googleapis.com/v1/projects/acme/locations/eu/clusters/prod/.well-known/openid-configuration',
    },
    audiences: ['https://tokens.acme.example'],
    algorithms: ['RS256'],
    lifetimeMax: 3600,
    replay: 'allowed',
  })
  expect(policy.rules).toEqual([
    {
      name: 'billing reads report objects',
      callers: [
        {
          issuer: 'prod-cluster',
          subject: 'system:serviceaccount:billing:*',
          claims: { '/kubernetes.io/namespace': 'billing' },
        },
      ],
      credential: 'reports-sa',
      scopes: ['https://www.googleapis.com/auth/devstorage.read_only'],
      excessScopes: 'refuse',
      givesImplied: true,
      lifetimeMax: 3600,
      tokenTypes: ['access_token'],
      idTokenAudiences: [],
      subjects: [],
      boundary: [],
    },
  ])
  expect(policy.admins).toEqual([{ callers: [{ issuer: 'ops', subject: '*', claims: {} }], role: 'admin' }])
})

test('what an issuer does not say is the safe default', () => {
  expect(parse(samplePolicy).issuers[1]).toMatchObject({
    selfIssued: true,
    audiences: [brokerIssuer],
    algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'],
    lifetimeMax: 300,
    replay: 'once',
  })
})

test('a JSON document means the same as its YAML', () => {
  const policy = {
    version: 1,
    issuers: [{ name: 'a', issuer: 'https://a.example/', keys: { discovery: true } }],
    rules: [],
  }
  const ofJson = parse(JSON.stringify(policy, null, '\t'))

  expect(ofJson.issuers[0]?.keys).toEqual({
    from: 'discovery',
    url: 'https://a.example/.well-known/openid-configuration',
  })
})

test('rules may be missing or admins may, but not both: that is a text cut off', () => {
  expect(faultsOf('version: 1\nissuers: []\nrules: []\n')).toEqual([])
  expect(faultsOf('version: 1\nissuers: []\nadmins: []\n')).toEqual([])
  expect(faultsOf('version: 1\nissuers: []\n')).toEqual([
    'policy.yaml:1:1: has neither rules nor admins: is it cut off?',
  ])
})

const everyObject: readonly (readonly [string, string, string])[] = [
  ['the document', 'version: 1', 'version: 1\nsurprise: 1'],
  ['an issuer', '    self_issued: true', '    self_issued: true\n    surprise: 1'],
  ['keys', '      jwks:', '      surprise: 1\n      jwks:'],
  ['jwks', '        keys:\n', '        surprise: 1\n        keys:\n'],
  ['a rule', '    credential: reports-sa', '    credential: reports-sa\n    surprise: 1'],
  ['a caller', '        subject: system', '        surprise: 1\n        subject: system'],
  ['an admin entry', '    role: admin', '    role: admin\n    surprise: 1'],
  ['a boundary rule', '    boundary: []', `    boundary:\n      - surprise: 1\n        ${bucketRule()}`],
  [
    'a condition',
    '    boundary: []',
    `    boundary:\n      - ${bucketRule()}\n        availabilityCondition:\n          expression: "true"\n          surprise: 1`,
  ],
]

function bucketRule(): string {
  return `{ availableResource: //storage.googleapis.com/projects/_/buckets/reports, availablePermissions: ["inRole:roles/storage.objectViewer"] }`
    .slice(2, -2)
    .replace(', available', '\n        available')
}

test.each(everyObject)('an unknown key in %s is reported with its line', (_, before, after) => {
  const text = sampleWith(before, after)

  const faults = faultsOf(text)

  expect(faults).toHaveLength(1)
  expect(faults[0]).toMatch(
    new RegExp(String.raw`^policy\.yaml:${lineOf(text, 'surprise')}:\d+ .*surprise: unknown key "surprise"`),
  )
})

test.each([
  ['    excess_scopes: refuse', '    excessScopes: drop', 'excess_scopes'],
  ['    credential: reports-sa', '    credential: reports-sa\n    scope: [a]', 'scopes'],
  ['    replay: allowed', '    relpay: allowed', 'replay'],
  ['    self_issued: true', '    self-issued: true', 'self_issued'],
  ['    role: admin', '    role: admin\n    caller: []', 'callers'],
])('a near miss is told what it was meant to be: %s → %s', (before, after, meant) => {
  expect(faultsOf(sampleWith(before, after)).join('\n')).toContain(`did you mean "${meant}"?`)
})

test('all faults are listed at once, in the order of the document, each at its place', () => {
  const text = sampleWith('    algorithms: [RS256]', '    algorithms: [HS256]\n    colour: red')
    .replace('    self_issued: true', '    self_issued: yes')
    .replace('    credential: reports-sa', '    credential: Reports/SA\n    owner: me')
    .replace('prod-cluster\n        subject', 'prod-clutser\n        subject')
    .replace('role: admin', 'role: root')

  expect(faultsOf(text)).toEqual([
    'policy.yaml:7:18 issuers[0].algorithms[0]: "HS256" is symmetric: whoever verifies could sign',
    'policy.yaml:8:5 issuers[0].colour: unknown key "colour"; known here: name, issuer, self_issued, keys, audiences, tolerated_audiences, accepts, algorithms, lifetime_seconds_max, replay, trust_traceparent',
    'policy.yaml:13:18 issuers[1].self_issued: expected boolean, received string',
    'policy.yaml:28:17 rules[0].callers[0].issuer: no issuer has the name "prod-clutser"',
    'policy.yaml:31:17 rules[0].credential: must be 1 to 63 of a-z, 0-9, ".", "_" and "-", a letter or digit first',
    'policy.yaml:32:5 rules[0].owner: unknown key "owner"; known here: name, callers, credential, scopes, excess_scopes, implied_scopes, lifetime_seconds_max, token_types, id_token_audiences, signature, subjects, boundary',
    'policy.yaml:41:11 admins[0].role: expected one of "viewer"|"auditor"|"operator"|"admin"',
  ])
})

test('what is wrong beside a faulty member is told too', () => {
  const faults = faultsOf(sampleWithRule(['excess_scopes: perhaps', 'scopes: []'])).join('\n')

  expect(faults).toContain('rules[0].excess_scopes: ')
  expect(faults).toContain('rules[0].scopes: must name at least one scope')
})

test('what only follows from another fault of a rule is not told', () => {
  const faults = faultsOf(sampleWithRule(['token_types: [identity]', 'id_token_audiences: [a]']))

  expect(faults).toHaveLength(1)
  expect(faults[0]).toContain('rules[0].token_types[0]')
})

test('an entry with nothing but unknown keys is still judged for what its parts mean together', () => {
  const text = sampleWith('    credential: reports-sa', '    credential: reports-sa\n    owner: me').replace(
    'prod-cluster\n        subject',
    'prod-clutser\n        subject',
  )
  const faults = faultsOf(text)

  expect(faults).toHaveLength(2)
  expect(faults[0]).toContain('rules[0].callers[0].issuer: no issuer has the name "prod-clutser"')
  expect(faults[1]).toContain('rules[0].owner: unknown key')
})

test.each([
  ['a missing key', '    credential: reports-sa\n', '', 'rules[0].credential: is missing'],
  [
    'a number for a text',
    'issuer: billing',
    'issuer: 12',
    'issuers[1].issuer: expected string, received number; put it in quotes',
  ],
  ['another version', 'version: 1', 'version: 2', 'version: expected 1'],
  ['a name twice', 'name: billing ', 'name: ops ', 'issuers[2].name: "ops" occurs twice'],
  [
    'an issuer twice',
    'issuer: https://ops.acme.example',
    'issuer: billing',
    'issuers[2].issuer: "billing" occurs twice',
  ],
  [
    'a rule without scopes',
    'scopes: [https://www.googleapis.com/auth/devstorage.read_only]',
    'scopes: []',
    'rules[0].scopes: must name at least one scope',
  ],
  ['no way to the keys', '{ discovery: true }', '{}', 'issuers[0].keys: needs exactly one of'],
  [
    'two ways to the keys',
    '{ discovery: true }',
    '{ discovery: true, jwks_uri: https://a.example/k }',
    'issuers[0].keys: needs exactly one of',
  ],
  [
    'T8: access tokens beside tolerated audiences',
    '{ discovery: true }',
    '{ discovery: true }\n    accepts: [at+jwt]\n    tolerated_audiences: [account]',
    'issuers[0].accepts: must not stand beside tolerated_audiences',
  ],
  [
    'a kind of token that nobody accepts',
    '{ discovery: true }',
    '{ discovery: true }\n    accepts: [dpop+jwt]',
    'issuers[0].accepts[0]: expected "at+jwt"',
  ],
  [
    'a use of keys that are not at an address',
    '{ discovery: true }',
    '{ discovery: true, use: jwt-svid }',
    'issuers[0].keys.use: means nothing without jwks_uri',
  ],
  ['discovery turned off', 'discovery: true', 'discovery: false', 'issuers[0].keys.discovery: expected true'],
  [
    'discovery from no URL',
    'https://container.googleapis.com',
    'container',
    'issuers[0].issuer: keys are found by discovery, so the issuer must be a URL',
  ],
  ['discovery without TLS', 'https://container', 'http://container', 'so the issuer must be an https URL'],
  ['discovery with a query', 'clusters/prod', 'clusters/prod?x=1', 'must have no query'],
  [
    'a jwks_uri without TLS',
    'https://ops.acme.example/jwks',
    'http://ops.acme.example/jwks',
    'issuers[2].keys.jwks_uri: must be an https URL',
  ],
  [
    'a jwks_uri with a password',
    'https://ops.acme.example/jwks',
    'https://u:p@ops.acme.example/jwks',
    'must not hold a user name or password',
  ],
  [
    'a jwks_uri that looks local',
    'https://ops.acme.example/jwks',
    'http://127.0.0.1.evil.example/jwks',
    'must be an https URL',
  ],
  [
    'algorithm none',
    'algorithms: [RS256]',
    'algorithms: [none]',
    'issuers[0].algorithms[0]: "none" is no signature',
  ],
  [
    'no algorithm',
    'algorithms: [RS256]',
    'algorithms: []',
    'issuers[0].algorithms: expected array to have >=1 items',
  ],
  [
    'a lifetime beyond a day',
    'lifetime_seconds_max: 3600\n    replay',
    'lifetime_seconds_max: 86401\n    replay',
    'issuers[0].lifetime_seconds_max: expected number to be <=86400',
  ],
  [
    'a key for other algorithms',
    'self_issued: true',
    'algorithms: [RS256, ES384]',
    'issuers[1].keys.jwks.keys: none of these keys can be used',
  ],
  [
    'a private key',
    'crv: P-256',
    'd: c2VjcmV0\n            crv: P-256',
    'issuers[1].keys.jwks.keys[0]: a public key must not have the private member "d"',
  ],
  ['a symmetric key', 'kty: EC', 'kty: oct', 'issuers[1].keys.jwks.keys[0]: "kty" must be RSA, EC or OKP'],
  [
    'a malformed scope',
    'auth/devstorage.read_only]',
    'auth/devstorage read]',
    'rules[0].scopes[0]: must be one scope',
  ],
  [
    'no scope',
    '[https://www.googleapis.com/auth/devstorage.read_only]',
    '[]',
    'rules[0].scopes: must name at least one scope',
  ],
  [
    'a lifetime nobody can keep',
    'lifetime_seconds_max: 3600\n    token_types',
    'lifetime_seconds_max: 30\n    token_types',
    'rules[0].lifetime_seconds_max: no upstream can make a token live less than 60 seconds',
  ],
  [
    'an ID token for nobody',
    'token_types: [access_token]',
    'token_types: [access_token, id_token]',
    'rules[0].id_token_audiences: must name at least one audience',
  ],
  [
    'an audience without ID tokens',
    'subjects: []',
    'id_token_audiences: [https://a.example]',
    'rules[0].id_token_audiences: means nothing unless',
  ],
  ['a double star', 'billing:*', 'billing:**', 'rules[0].callers[0].subject: must not contain **'],
  [
    'an empty subject',
    'subject: "*"',
    'subject: ""',
    'admins[0].callers[0].subject: must have 1 to 2048 characters',
  ],
  ['no callers', '[{ issuer: ops, subject: "*" }]', '[]', 'admins[0].callers: expected array'],
  ['an unquoted star', 'subject: "*" }', 'subject: * }', 'in quotes'],
  [
    'a claim wanted to be a list',
    'namespace: billing',
    'namespace: [billing]',
    'must be text, a number, true, false or null',
  ],
  [
    'a claim that JSON cannot hold exactly',
    'namespace: billing',
    'namespace: 9007199254740993',
    'too large to be compared exactly',
  ],
  ['a broken JSON Pointer', '/kubernetes.io/namespace', '/kubernetes~2io', 'not a JSON Pointer'],
  ['a claim called __proto__', '/kubernetes.io/namespace', '__proto__', 'a key must not be "__proto__"'],
  [
    'a key twice',
    '    role: admin',
    '    role: viewer\n    role: admin',
    'admins[0]: the key "role" occurs twice',
  ],
  ['a tag', 'version: 1', 'version: !!int 1', 'version: the tag "!!int" is not allowed'],
  ['a custom tag', 'role: admin', 'role: !env ADMIN', 'tag'],
  ['an older YAML', 'version: 1', '%YAML 1.1\n---\nversion: 1', 'a %YAML directive is not allowed'],
  ['a second document', 'admins:', '---\nadmins:', 'multiple documents'],
  ['a merge key', '    role: admin', '    <<: { role: admin }', 'unknown key "<<"'],
  [
    'a bucket boundary of another service',
    'boundary: []',
    'boundary: [{ availableResource: //bigquery.googleapis.com/x, availablePermissions: ["inRole:roles/a"] }]',
    'rules[0].boundary[0].availableResource: must be //storage',
  ],
  [
    'a boundary by permission',
    'boundary: []',
    'boundary: [{ availableResource: //storage.googleapis.com/projects/_/buckets/abc, availablePermissions: ["storage.objects.get"] }]',
    'availablePermissions[0]: must be inRole:',
  ],
])('%s is refused by name', (_, before, after, fault) => {
  expect(faultsOf(sampleWith(before, after)).join('\n')).toContain(fault)
})

test.each([
  ['keys by http on this machine', 'https://ops.acme.example/jwks', 'http://localhost:9000/jwks'],
  [
    'a boundary',
    'boundary: []',
    'boundary: [{ availableResource: //storage.googleapis.com/projects/_/buckets/abc, availablePermissions: ["inRole:roles/storage.objectViewer"], availabilityCondition: { expression: "true", title: t } }]',
  ],
  [
    'claims of every kind',
    '{ /kubernetes.io/namespace: billing }',
    '{ a: 1, b: true, c: null, d: x-*, https://a.example/e: f }',
  ],
])('%s is accepted', (_, before, after) => {
  expect(faultsOf(sampleWith(before, after))).toEqual([])
})

test('a rule for ID tokens alone needs audiences and no scopes', () => {
  const identity = ['token_types: [id_token]', 'id_token_audiences: [https://run.example]']

  expect(faultsOf(sampleWithRule(identity))).toEqual([])
  expect(faultsOf(sampleWithRule([...identity, 'subjects: [a@acme.example]'])).join('\n')).toContain(
    'subjects: means nothing',
  )
})

test('a rule for an API key has no scopes, and gives nothing else', () => {
  expect(faultsOf(sampleWithRule(['token_types: [api_key]']))).toEqual([])
  expect(faultsOf(sampleWithRule(['token_types: [api_key]', 'scopes: [a]'])).join()).toContain(
    'rules[0].scopes: mean nothing for an API key',
  )
  expect(faultsOf(sampleWithRule(['token_types: [access_token, api_key]', 'scopes: [a]'])).join()).toContain(
    'api_key stands alone',
  )
})

test('anchors and aliases stand for what they name, and a fault within is reported where it is written', () => {
  const text = sampleWith('    callers:\n', '    callers: &billing\n').replace(
    'admins:\n',
    'admins:\n  - callers: *billing\n    role: viewer\n',
  )
  expect(parse(text).admins[0]?.callers).toEqual(parse(text).rules[0]?.callers)

  const broken = text.replace('billing:*', 'billing:**')
  for (const fault of faultsOf(broken))
    expect(fault).toContain(`policy.yaml:${lineOf(broken, 'billing:**')}:`)
})

const bomb = Array.from({ length: 20 }, (_, i) => `k${i + 1}: &a${i + 1} [${`*a${i},`.repeat(10)}]`).join(
  '\n',
)

test.each([
  ['nothing', ''],
  ['white space', ' \n\t\n'],
  ['a comment', '# later\n'],
  ['null', 'null'],
  ['a list', '[]'],
  ['a word', 'policy'],
  ['octets', '\u0000\u0001\uFFFD\u0002'],
  ['half a surrogate pair', 'version: 1\nissuers: [] # \uD800'],
  ['five megabytes', 'a: b\n'.repeat(1_000_000)],
  ['five megabytes of three-octet characters', `# ${'€'.repeat(1_700_000)}`],
  ['an alias bomb', `k0: &a0 [x]\n${bomb}`],
  ['an alias of itself', 'version: 1\nissuers: &a [*a, *a]\nrules: *a'],
  ['a deep list', '['.repeat(100_000)],
  ['a deep block', '- '.repeat(50_000)],
  ['many keys', Array.from({ length: 60_000 }, (_, i) => `k${i}: 1`).join('\n')],
  ['a complex key', '? [a, b]\n: c\n'],
  ['a key without text', ': x\n'],
  ['entries of every wrong kind', 'version: 1\nissuers: [1, null, x, [], {}]\nrules: {}\nadmins: [[[]]]'],
])('P25: %s is refused with a reason and nothing else happens', (_, text) => {
  const faults = faultsOf(text)

  expect(faults[0]).toMatch(/./)
  expect(faults.length).toBeLessThanOrEqual(101)
})

test('P25: a policy cut off anywhere is either refused or means what its whole lines say', () => {
  let refused = 0
  for (let end = 0; end < samplePolicy.length; end += 1) {
    const text = samplePolicy.slice(0, end)
    if (faultsOf(text).length > 0) refused += 1
    // What still parses has come to its rules.
    else expect(end).toBeGreaterThan(rulesAt)
  }
  expect(refused).toBeGreaterThan(samplePolicy.length * 0.75)
  expect(faultsOf(samplePolicy)).toEqual([])
})

test('P23: no fault shows the value of a key', () => {
  const text = sampleWith('kty: EC', 'kty: RSA\n            d: c2VjcmV0LXZhbHVl')

  expect(faultsOf(text).join('\n')).toContain('private member')
  expect(faultsOf(text).join('\n')).not.toContain('c2VjcmV0')
})
