import { describe, expect, test } from 'vitest'
import { suggestedPolicy, type RuleAdvice } from '../../src/cli/suggested-policy.ts'
import { judgePolicy } from '../../src/policy/policy-warnings.ts'

const storage = 'https://www.googleapis.com/auth/devstorage.read_only'
const yaml = `# Who may have what.
version: 1
issuers:
  - { name: ci,   issuer: https://ci.example, keys: { discovery: true } } # as it is written

rules: # the first that matches decides
  # Reports are read every hour.
  - name: reports
    callers: [{ issuer: ci, subject: "*" }]
    credential: reports-sa
    scopes: # widest first
      - cloud-platform # to be narrowed
      - drive
      # for the mailer
      - gmail.send
    # whom the mailer writes for
    subjects: ['a@acme.example', 'b@acme.example',   'c@acme.example']

  # Nobody remembers why.
  - name: forgotten
    callers: [{ issuer: ci, subject: "*" }]
    credential: old-sa
    scopes: [drive]

  # Mail.
  - name: mail
    callers: [{ issuer: ci, subject: "*" }]
    credential: mail-sa
    scopes: [gmail.send, drive]
    token_types: [access_token, id_token]
    # for the portal
    id_token_audiences:
      - https://portal.example

admins: [] # nobody yet
`
const remove = (rule: string): RuleAdvice => ({ rule, advice: 'remove', changes: [] })
const narrow = (rule: string, ...changes: RuleAdvice['changes']): RuleAdvice => ({
  rule,
  advice: 'narrow',
  changes,
})
const mailWithoutIdToken = narrow(
  'mail',
  { member: 'token_types', now: ['access_token', 'id_token'], enough: ['access_token'] },
  { member: 'id_token_audiences', now: ['https://portal.example'], enough: [] },
)
const reportsScopes = ['cloud-platform', 'drive', 'gmail.send']
const users = ['a@acme.example', 'b@acme.example', 'c@acme.example']

describe('the policy that a suggestion makes', () => {
  test('is the same text when there is nothing to change', () => {
    const keep = { rule: 'reports', advice: 'keep', changes: [] }

    expect(suggestedPolicy(yaml, [keep])).toEqual({ text: yaml, left: [] })
    expect(suggestedPolicy(yaml, [])).toEqual({ text: yaml, left: [] })
  })

  test('loses a rule with the comment above it, and no other line', () => {
    const { text, left } = suggestedPolicy(yaml, [remove('forgotten')])
    const [before = '', after = ''] = yaml.split(/ {2}# Nobody[^]*scopes: \[drive\]\n\n/)

    expect(left).toEqual([])
    expect(text).toBe(before + after)
  })

  test('narrows lists where they are written, comments and layout kept', () => {
    const advice = [
      narrow(
        'reports',
        { member: 'scopes', now: reportsScopes, enough: ['bigquery.readonly', 'gmail.send', storage] },
        { member: 'subjects', now: users, enough: ['b@acme.example'] },
      ),
      mailWithoutIdToken,
    ]
    const { text, left } = suggestedPolicy(yaml, advice)

    expect(left).toEqual([])
    expect(text).toBe(
      yaml
        .replace('- cloud-platform #', `- bigquery.readonly\n      - ${storage} #`)
        .replace('      - drive\n', '')
        .replace(/\['a@acme[^\]]*\]/, "['b@acme.example']")
        .replace('[access_token, id_token]', '[access_token]')
        .replace(/ {4}# for the portal\n.*\n.*\n/, ''),
    )
    expectValid(text)
  })

  test('may be one without rules', () => {
    const { text, left } = suggestedPolicy(yaml, ['reports', 'forgotten', 'mail'].map(remove))

    expect(left).toEqual([])
    expect(text).toContain('rules: [] # the first that matches decides\n')
    expect(text).toContain('admins: [] # nobody yet\n')
    expectValid(text)
  })

  test.each([
    ['on many lines', 2],
    ['on one', undefined],
  ])('may be JSON %s', (_, indent) => {
    const [first, second] = [
      ruleOf('reports', { scopes: reportsScopes, subjects: users }),
      ruleOf('old', { scopes: ['drive'] }),
    ]
    const json = (rules: readonly object[]) => JSON.stringify({ ...jsonPolicy, rules }, undefined, indent)
    const { text, left } = suggestedPolicy(json([first, second]), [
      narrow(
        'reports',
        { member: 'scopes', now: reportsScopes, enough: ['drive.readonly', 'gmail.send'] },
        { member: 'subjects', now: users, enough: [] },
      ),
      remove('old'),
    ])

    expect(left).toEqual([])
    expect(text).toBe(json([ruleOf('reports', { scopes: ['drive.readonly', 'gmail.send'] })]))
    expectValid(text)
  })
})

describe('a rule that cannot be followed stays, and is told', () => {
  test('when what is left would not be valid; the others are followed all the same', () => {
    const invalid = narrow('reports', { member: 'scopes', now: reportsScopes, enough: [] })
    const { text, left } = suggestedPolicy(yaml, [invalid, remove('forgotten')])

    expect(left).toMatchObject([
      { rule: 'reports', reason: expect.stringContaining('not be a valid rule') as unknown },
    ])
    expect(text).toBe(suggestedPolicy(yaml, [remove('forgotten')]).text)
    expectValid(text)
  })

  test('when the policy is no longer the one that was looked at', () => {
    const stale = narrow('reports', { member: 'scopes', now: ['drive', 'gmail.send'], enough: ['drive'] })

    expect(suggestedPolicy(yaml, [stale, remove('unknown')])).toMatchObject({
      text: yaml,
      left: [{ rule: 'reports' }, { rule: 'unknown' }],
    })
  })

  test('when a list is shared by an anchor', () => {
    const shared = yaml
      .replace("['a@", "&users ['a@")
      .replace('[gmail.send, drive]', '$&\n    subjects: *users')
    const advice = ['reports', 'mail'].map((rule) =>
      narrow(rule, { member: 'subjects', now: users, enough: ['a@acme.example'] }),
    )

    expectValid(shared)
    expect(suggestedPolicy(shared, advice)).toMatchObject({
      text: shared,
      left: [{ rule: 'reports' }, { rule: 'mail' }],
    })
  })
})

const jsonPolicy = {
  version: 1,
  issuers: [{ name: 'ci', issuer: 'https://ci.example', keys: { discovery: true } }],
}

function ruleOf(name: string, lists: object): object {
  return { name, callers: [{ issuer: 'ci', subject: '*' }], credential: 'some-sa', ...lists }
}

function expectValid(text: string): void {
  expect(judgePolicy({ text, origin: 'test', brokerIssuer: 'https://broker.example' })).toMatchObject({
    ok: true,
  })
}
