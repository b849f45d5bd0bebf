import { describe, expect, it } from 'vitest'
import type { Explanation } from '../../src/domain/explanation.ts'
import { seconds } from '../../src/domain/time.ts'
import type { Explainable, ExplainedRequest } from '../../src/advice/record-use.ts'
import type { PolicySuggestion } from '../../src/domain/policy.ts'
import { call } from '../support/call-admin.ts'
import { summary } from '../support/fake-modules.ts'
import { createFakeHttpLayer } from '../support/http-layer.ts'

const explanation: Explanation = {
  outcome: 'refused',
  error: 'scope_refused',
  reason: 'beyond rule "reads": write',
  condition: 'scopes',
  caller: { issuer: 'https://a.example', issuerName: 'a', subject: 's' },
  credential: { name: 'reports', kind: 'service_account_key', state: 'enabled', version: '1' },
  rules: [
    {
      rule: 'other',
      outcome: 'does_not_match',
      failed: [{ condition: 'callers[0].subject', wanted: 'x', found: 's' }],
    },
    { rule: 'reads', outcome: 'decides', failed: [] },
  ],
  narrowestScopes: ['read'],
  hints: ['Ask for less.'],
}

/** A question as text, for JSON.stringify would not write it. */
const nested = (levels: number) =>
  `{"issuer":"a","credential":"b","claims":{"x":${'['.repeat(levels)}${']'.repeat(levels)}}}`

function createWorld(explained: ExplainedRequest = { explanation }) {
  const asked: Explainable[] = []
  const days: number[] = []
  const suggestion: PolicySuggestion = {
    days: 30,
    observedSince: summary.createdAt,
    rules: [
      {
        rule: 'reads',
        credential: 'reports',
        advice: 'narrow',
        lastUsed: summary.createdAt,
        changes: [{ member: 'scopes', now: ['a', 'b'], enough: ['a'] }],
        notes: ['a note'],
      },
      { rule: 'idle', credential: 'reports', advice: 'remove', changes: [], notes: [] },
    ],
    unusedCredentials: ['payroll'],
  }
  const fake = createFakeHttpLayer({
    explain: async (what) => {
      await Promise.resolve(asked.push(what))
      return explained
    },
    suggest: async (count) => {
      await Promise.resolve(days.push(count))
      return suggestion
    },
  })
  const explain = (body: unknown, as = 'operator') =>
    call(fake, 'POST /v1/admin/policy:explain', { as, body })
  const suggest = (body: unknown, as = 'viewer') => call(fake, 'POST /v1/admin/policy:suggest', { as, body })
  return { asked, days, explain, suggest }
}

const question = { issuer: 'a', claims: { sub: 's' }, credential: 'reports' }

describe('policy:explain', () => {
  it('shows the path of a request in snake_case', async () => {
    const answer = await createWorld().explain(question)
    expect(answer.status).toBe(200)
    expect(await answer.json()).toEqual({
      outcome: 'refused',
      error: 'scope_refused',
      reason: 'beyond rule "reads": write',
      condition: 'scopes',
      caller: { issuer: 'https://a.example', issuer_name: 'a', subject: 's' },
      credential: { name: 'reports', kind: 'service_account_key', state: 'enabled', version: '1' },
      rules: explanation.rules,
      narrowest_scopes: ['read'],
      hints: ['Ask for less.'],
    })
  })

  it('shows what the token would carry, and what was decided then', async () => {
    const { credential: _, ...rest } = explanation
    const boundary = [{ availableResource: '//r', availablePermissions: ['inRole:roles/x'] }]
    const answer = await createWorld({
      explanation: {
        ...rest,
        outcome: 'granted',
        token: {
          tokenType: 'access_token',
          scopes: ['a'],
          boundary,
          lifetimeMax: seconds(900),
          upstream: 'google',
        },
      },
      refused: {
        requestId: 'r',
        at: summary.createdAt,
        error: 'target_unavailable',
        reason: 'no rule',
        condition: 'rules',
        question: { issuer: 'a', claims: {}, target: 't', scopes: [], tokenType: 'access_token' },
      },
    }).explain({ request_id: 'r' })
    expect(await answer.json()).toMatchObject({
      token: {
        token_type: 'access_token',
        scopes: ['a'],
        access_boundary_rules: boundary,
        lifetime_seconds_max: 900,
        upstream: 'google',
      },
      refused_then: {
        at: '2023-11-14T22:13:20Z',
        error: 'target_unavailable',
        reason: 'no rule',
        condition: 'rules',
      },
    })
  })

  it('takes everything that a caller can ask for', async () => {
    const { asked, explain } = createWorld()
    const accessBoundaryRules = [{ availableResource: '//r', availablePermissions: ['inRole:roles/x'] }]
    await explain({
      ...question,
      scope: 'b a b',
      requested_subject: 'user@acme.example',
      requested_lifetime: 900,
      options: { accessBoundary: { accessBoundaryRules } },
    })
    await explain({ ...question, scope: ['b', 'a'], token_type: 'id_token', resource: 'https://a.example' })
    await explain({ request_id: 'r1' })
    expect(asked).toEqual([
      {
        question: {
          issuer: 'a',
          claims: { sub: 's' },
          target: 'reports',
          scopes: ['a', 'b'],
          tokenType: 'access_token',
          subject: 'user@acme.example',
          lifetime: 900,
          boundary: accessBoundaryRules,
        },
      },
      {
        question: {
          issuer: 'a',
          claims: { sub: 's' },
          target: 'reports',
          scopes: ['a', 'b'],
          tokenType: 'id_token',
          resource: 'https://a.example',
        },
      },
      { requestId: 'r1' },
    ])
  })

  it.each<[string, unknown, RegExp]>([
    ['nothing', {}, /issuer is missing/],
    ['half a question', { issuer: 'a', claims: {} }, /credential is missing/],
    ['a request id and more', { request_id: 'r', issuer: 'a' }, /may have only the members request_id/],
    ['a member nobody knows', { ...question, scopes: [] }, /may have only the members/],
    ['a scope of strange characters', { ...question, scope: 'a"b' }, /scope/],
    ['a boundary of a wrong form', { ...question, options: { accessBoundary: {} } }, /options/],
    ['claims that are a list', { ...question, claims: [] }, /claims/],
    ['claims without a bottom', nested(30_000), /nested deeper than 16 levels/],
  ])('refuses %s', async (_, body, detail) => {
    const { explain, asked } = createWorld()
    const answer = await explain(body)
    expect(answer.status).toBe(400)
    expect(JSON.stringify(await answer.json())).toMatch(detail)
    expect(asked).toEqual([])
  })

  it('is for administrators', async () => {
    expect((await createWorld().explain(question, 'nobody')).status).toBe(403)
    expect((await createWorld().suggest({}, 'nobody')).status).toBe(403)
  })
})

describe('policy:suggest', () => {
  it('shows what could go, over thirty days unless told otherwise', async () => {
    const { days, suggest } = createWorld()
    expect(await (await suggest({})).json()).toEqual({
      days: 30,
      observed_since: '2023-11-14T22:13:20Z',
      rules: [
        {
          rule: 'reads',
          credential: 'reports',
          advice: 'narrow',
          last_used: '2023-11-14T22:13:20Z',
          changes: [{ member: 'scopes', now: ['a', 'b'], enough: ['a'] }],
          notes: ['a note'],
        },
        { rule: 'idle', credential: 'reports', advice: 'remove', changes: [], notes: [] },
      ],
      unused_credentials: ['payroll'],
    })
    await suggest({ days: 7 })
    expect(days).toEqual([30, 7])
  })

  it.each([0, 121, 1.5, '7'])('refuses %j days', async (days) => {
    expect((await createWorld().suggest({ days })).status).toBe(400)
  })
})
