import { describe, expect, test } from 'vitest'
import type { BrokerErrorCode } from '../../src/domain/broker-error.ts'
import { Secret } from '../../src/domain/secret.ts'
import { epochSeconds } from '../../src/domain/time.ts'
import type { UpstreamReply } from '../../src/oauth/send-with-retry.ts'
import { judgeFailure, quoteUpstream, type FailureContext } from '../../src/oauth/upstream-failure.ts'

const now = epochSeconds(1_800_000_000)

function replied(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): UpstreamReply {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const answer = { kind: 'answer', status, header: (name: string) => headers[name], body: text } as const
  return { kind: 'answer', answer, sentAt: now, uncertain: false }
}

function judge(status: number, error: string, description?: string, more: Partial<FailureContext> = {}) {
  return judgeFailure(replied(status, { error, error_description: description }), {
    now,
    secrets: [],
    ...more,
  })
}

const blamed = true
const spared = false

const catalogue: readonly (readonly [number, string, string | undefined, BrokerErrorCode, boolean])[] = [
  [400, 'invalid_grant', 'Token has been expired or revoked.', 'target_unavailable', blamed],
  [400, 'invalid_grant', 'Bad Request', 'target_unavailable', blamed],
  [400, 'invalid_grant', 'Account has been deleted', 'target_unavailable', blamed],
  [400, 'invalid_grant', 'Invalid JWT Signature.', 'target_unavailable', blamed],
  [400, 'invalid_grant', 'Invalid grant: account not found', 'target_unavailable', blamed],
  [400, 'invalid_grant', 'Robot is disabled.', 'target_unavailable', blamed],
  [400, 'invalid_grant', undefined, 'target_unavailable', blamed],
  [
    400,
    'invalid_grant',
    'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.',
    'upstream_unavailable',
    spared,
  ],
  [400, 'invalid_grant', 'Invalid JWT: Failed audience check.', 'upstream_nonsense', spared],
  [401, 'invalid_client', 'The OAuth client was not found.', 'target_unavailable', blamed],
  [401, 'deleted_client', 'The OAuth client was deleted.', 'target_unavailable', blamed],
  [401, 'disabled_client', 'The OAuth client was disabled.', 'target_unavailable', blamed],
  [401, 'unauthorized_client', 'Client is unauthorized', 'target_unavailable', spared],
  [401, 'access_denied', 'Requested client not authorized.', 'target_unavailable', spared],
  [400, 'invalid_scope', 'Bad Request', 'scope_refused', spared],
  [400, 'invalid_request', 'Invalid impersonation "sub" field', 'target_unavailable', spared],
  [400, 'org_internal', undefined, 'target_unavailable', spared],
  [400, 'admin_policy_enforced', undefined, 'target_unavailable', spared],
  [400, 'temporarily_unavailable', 'Backend Error', 'upstream_unavailable', spared],
  [400, 'internal_failure', undefined, 'upstream_unavailable', spared],
  [500, 'server_error', 'Backend Error', 'upstream_unavailable', spared],
  [503, 'invalid_grant', 'Bad Request', 'upstream_unavailable', spared],
  [400, 'unsupported_grant_type', undefined, 'upstream_nonsense', spared],
]

describe('Google’s error catalogue (docs/google.md §1.3)', () => {
  test.each(catalogue)('%i %s "%s" is %s', (status, error, description, code, blames) => {
    const failure = judge(status, error, description)
    expect([failure.error.code, failure.blamesCredential]).toEqual([code, blames])
    expect(failure.error.reason).toContain(error)
  })

  test.each<[number, string, string | undefined, string]>([
    [401, 'unauthorized_client', 'Client is unauthorized to retrieve access tokens', 'exactly these scopes'],
    [401, 'access_denied', 'Requested client not authorized.', 'every one of them'],
    [400, 'access_denied', 'Account restricted', 'access level'],
    [400, 'invalid_grant', 'Invalid email or User ID', 'does not exist'],
    [400, 'invalid_grant', 'Not a valid email', 'does not exist'],
    [400, 'invalid_grant', 'Account has been deleted', 'deleted or suspended'],
    [400, 'invalid_grant', undefined, 'about the user'],
    [400, 'invalid_request', 'Invalid impersonation "sub" field', "must be a user's e-mail address"],
    [400, 'invalid_request', 'Invalid impersonation prn email address', "must be a user's e-mail address"],
  ])('acting for a user, %i %s "%s" says what to do, and blames no key', (status, error, text, told) => {
    const failure = judge(status, error, text, { actsForUser: true })
    expect([failure.error.code, failure.blamesCredential]).toEqual(['target_unavailable', spared])
    expect(failure.error.reason).toContain(told)
    expect(judge(status, error, text).error.reason).not.toContain(told)
  })

  test('P17: a user who may not be acted for is not the key’s fault', () => {
    const text = 'Invalid email or User ID'
    expect(judge(400, 'invalid_grant', text, { actsForUser: true }).blamesCredential).toBe(false)
    expect(judge(400, 'invalid_grant', text).blamesCredential).toBe(true)
    expect(judge(400, 'invalid_grant', 'Robot is disabled.', { actsForUser: true }).blamesCredential).toBe(
      true,
    )
  })

  test('the session’s end is known by error_subtype, whatever the text', () => {
    const body = { error: 'invalid_grant', error_subtype: 'rapt_required', error_description: 'Bad Request' }
    expect(judgeFailure(replied(400, body), { now, secrets: [] }).error.reason).toContain('session control')
  })

  test('a wrong signature is passing for 60 s after the version was added', () => {
    const at = (age: number) => ({ versionCreatedAt: epochSeconds(now - age) })
    const text = 'Invalid JWT Signature.'
    expect(judge(400, 'invalid_grant', text, at(59)).error.code).toBe('upstream_unavailable')
    expect(judge(400, 'invalid_grant', text, at(60)).error.code).toBe('target_unavailable')
  })

  test('Retry-After is passed on, and there is one without it', () => {
    const wait = (headers: Readonly<Record<string, string>>) =>
      judgeFailure(replied(503, '', headers), { now, secrets: [] }).error.retryAfter
    expect(wait({ 'retry-after': '17' })).toBe(17)
    expect(wait({})).toBe(2)
  })

  test('a nested error of Google’s JSON services is understood', () => {
    const nested = (status: string) =>
      judgeFailure(replied(403, { error: { code: 403, message: 'because', status } }), { now, secrets: [] })
        .error
    expect(nested('PERMISSION_DENIED')).toMatchObject({ code: 'target_unavailable' })
    expect(nested('PERMISSION_DENIED').reason).toContain('because')
    expect(nested('RESOURCE_EXHAUSTED').code).toBe('upstream_unavailable')
    expect(nested('SOMETHING_NEW').code).toBe('upstream_nonsense')
  })

  test('P23: what was sent and what looks like a token is cut out of the quotation', () => {
    const secrets = [new Secret('hunter22')]
    const text = `the secret hunter22 and ya29.${'a'.repeat(40)}\u0007 for https://www.googleapis.com/auth/drive ${'x '.repeat(300)}`
    const { reason } = judge(400, 'invalid_grant', text, { secrets }).error
    expect(reason).not.toMatch(/hunter22|aaaa|[^ -~]/)
    expect(reason).toContain('https://www.googleapis.com/auth/drive')
    expect(reason.length).toBeLessThan(260)
  })
})

test('an upstream’s own words are at most 200 characters in a log', () => {
  const words = (count: number): string => 'no way '.repeat(count).trim()
  expect(quoteUpstream(words(1_000), [])).toHaveLength(200)
  expect(quoteUpstream(words(1_000), [])).toMatch(/^no way .*\.\.\.$/)
  expect(quoteUpstream(words(10), [])).toBe(words(10))
})
