import { describe, expect, test } from 'vitest'
import { createAuditLine } from '../../../src/adapters/system/audit-trail.ts'
import type { AuditRecord } from '../../../src/domain/audit-record.ts'
import { epochSeconds, seconds } from '../../../src/domain/time.ts'

const issued: AuditRecord = {
  requestId: 'r1',
  at: epochSeconds(1_800_000_000),
  action: 'token.exchange',
  outcome: 'issued',
  issuer: 'billing',
  caller: 'reporter',
  rule: 'billing reads reports',
  credential: 'reports-sa',
  credentialVersion: '3',
  scopesAsked: ['b', 'a'],
  scopesIssued: ['a'],
  subject: 'user@acme.example',
  tokenType: 'id_token',
  audience: 'https://a.example',
  bounded: true,
  source: 'memory',
  remaining: seconds(2400),
  tokenDigest: 'ab'.repeat(32),
  durationMs: 0.734_56,
}

describe('the line of an audit record', () => {
  test('P27: holds the whole record in snake_case, and a sentence for people', () => {
    expect(JSON.parse(createAuditLine('instance-1')(issued))).toEqual({
      severity: 'INFO',
      time: '2027-01-15T08:00:00.000Z',
      message: 'issued token to billing/reporter by rule "billing reads reports" (memory)',
      audit: {
        request_id: 'r1',
        instance: 'instance-1',
        at: 1_800_000_000,
        action: 'token.exchange',
        outcome: 'issued',
        issuer: 'billing',
        caller: 'reporter',
        rule: 'billing reads reports',
        credential: 'reports-sa',
        credential_version: '3',
        scopes_asked: ['b', 'a'],
        scopes_issued: ['a'],
        subject: 'user@acme.example',
        token_type: 'id_token',
        audience: 'https://a.example',
        bounded: true,
        source: 'memory',
        remaining_seconds: 2400,
        token_sha256: 'ab'.repeat(32),
        duration_ms: 0.735,
      },
    })
  })

  test.each([
    ['issued', 'INFO', /^issued token to billing\/reporter by rule/],
    ['done', 'NOTICE', /^did token\.exchange of "reports-sa" for billing\/reporter$/],
    ['refused', 'WARNING', /^refused token\.exchange of "reports-sa" to billing\/reporter: because$/],
    ['failed', 'ERROR', /^failed at token\.exchange of "reports-sa" for billing\/reporter: because$/],
  ] as const)('%s has severity %s', (outcome, severity, sentence) => {
    const line: unknown = JSON.parse(createAuditLine()({ ...issued, outcome, reason: 'because' }))

    expect(line).toMatchObject({ severity, message: expect.stringMatching(sentence) as unknown })
  })

  test('P27: an act of administration says whom it was done to, and which policy gave way to which', () => {
    const { requestId, at } = issued
    const act = { requestId, at, outcome: 'done', issuer: 'ops', caller: 'ops', durationMs: 1 } as const
    const lines = [
      createAuditLine()({ ...act, action: 'caller.restore', target: 'billing/billing' }),
      createAuditLine()({
        ...act,
        action: 'policy.apply',
        formerPolicyRevision: 'first',
        policyRevision: 'second',
        forced: true,
      }),
    ]

    expect(lines.map((line): unknown => JSON.parse(line))).toMatchObject([
      {
        message: 'did caller.restore of "billing/billing" for ops/ops',
        audit: { target: 'billing/billing' },
      },
      { audit: { former_policy_revision: 'first', policy_revision: 'second', forced: true } },
    ])
  })

  test('what is not known is not there', () => {
    const { requestId, at, action } = issued
    const line = createAuditLine()({ requestId, at, action, outcome: 'refused', reason: 'x', durationMs: 1 })

    expect(JSON.parse(line)).toMatchObject({
      message: 'refused token.exchange to an unknown caller: x',
      audit: { request_id: 'r1', at, action, outcome: 'refused', reason: 'x', duration_ms: 1 },
    })
    expect(line).not.toContain('undefined')
  })

  test('nothing a caller sends makes it more than one line, or longer than Cloud Logging takes', () => {
    const long = '\u0001"\n'.repeat(20_000)
    const scopes = Array.from({ length: 30_000 }, (_, n) => `s${n}`)
    const line = createAuditLine()({
      ...issued,
      outcome: 'refused',
      issuer: long,
      caller: long,
      credential: long,
      subject: long,
      audience: long,
      target: long,
      formerPolicyRevision: long,
      reason: long,
      scopesAsked: scopes,
    })

    expect(line).not.toContain('\n')
    expect(new TextEncoder().encode(line).length).toBeLessThan(100_000)
    expect(JSON.parse(line)).toMatchObject({
      audit: { scopes_asked: expect.arrayContaining(['s99', '… and 29900 more']) as unknown },
    })
  })

  test.each([
    ['a JWT', `eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJiaWxsaW5nIn0.${'s'.repeat(86)}`],
    ['a JWT cut off', 'eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIi'],
    ['a refresh token', `1//0${'r'.repeat(99)}`],
    ['a refresh token, encoded once more', `1%2F%2F0${'r'.repeat(99)}`],
    ['an access token', `ya29.c.${'t'.repeat(99)}`],
    ['a client secret', `GOCSPX-${'c'.repeat(28)}`],
  ])('P23: %s in the wrong parameter is not in it, and the words around it are', (_, secret) => {
    const line = createAuditLine()({
      ...issued,
      outcome: 'refused',
      credential: secret,
      subject: `user ${secret}`,
      scopesAsked: ['scope', `a:${secret}`],
      reason: `the target "${secret}" names no credential`,
    })

    expect(line).not.toContain(secret)
    expect(JSON.parse(line)).toMatchObject({
      message: expect.stringContaining('the target "[cut]" names no credential') as unknown,
      audit: { credential: '[cut]', subject: 'user [cut]', scopes_asked: ['scope', 'a:[cut]'] },
    })
  })

  test('names, users, issuers and scopes that are none are shown as they are', () => {
    const credential = 'https://tokens.acme.example/credentials/eyjafjallajokull-reports-sa'
    const scopesAsked = ['https://www.googleapis.com/auth/devstorage.read_only', 'openid']
    const subject = 'eyJonathan@acme.example'
    const line = createAuditLine()({ ...issued, outcome: 'refused', credential, scopesAsked, subject })

    expect(JSON.parse(line)).toMatchObject({ audit: { credential, scopes_asked: scopesAsked, subject } })
  })

  test('the time follows the record', () => {
    const auditLine = createAuditLine()
    const times = [0, 1, 1, 0].map((at): unknown =>
      JSON.parse(auditLine({ ...issued, at: epochSeconds(at) })),
    )

    expect(times).toMatchObject([0, 1, 1, 0].map((at) => ({ time: `1970-01-01T00:00:0${at}.000Z` })))
  })
})
