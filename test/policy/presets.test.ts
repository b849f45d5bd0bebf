import { describe, expect, test } from 'vitest'

import { isBrokerError } from '../../src/domain/broker-error.ts'
import type { Upstream } from '../../src/domain/upstream.ts'
import { upstreamPresets } from '../../src/domain/upstream-presets.ts'
import { parsePolicy } from '../../src/policy/parse-policy.ts'
import { policyOf } from '../support/policies.ts'

/** The upstream that an entry means, or its faults. */
function read(entry: object): Upstream | string {
  const text = JSON.stringify({ version: 1, issuers: [], upstreams: [entry], rules: [] })
  try {
    const [upstream] = parsePolicy(
      { text, revision: '1', origin: 'test' },
      { brokerIssuer: 'https://tokens.acme.example' },
    ).upstreams
    return upstream ?? 'nothing'
  } catch (error) {
    if (isBrokerError(error)) return error.reason
    throw error
  }
}

describe('presets', () => {
  const without = Object.entries(upstreamPresets).filter(([, preset]) => preset.placeholders === undefined)

  test.each(without)('%s is an upstream by its name', (name) => {
    expect(policyOf([]).findUpstream(name)).toMatchObject({
      name,
      endpoints: { authorization: expect.stringMatching(/^https:/) as unknown },
    })
    expect(read({ name: 'mine', preset: name })).toMatchObject({ name: 'mine' })
  })

  test('a placeholder is filled, and an entry may say more than its preset', () => {
    const entry = { name: 'm', preset: 'microsoft', with: { tenant: 'acme-1' }, scope_in_refresh: 'omit' }

    expect(read(entry)).toMatchObject({
      issuer: 'https://login.microsoftonline.com/acme-1/v2.0',
      scopeInRefresh: 'omit',
      consent: { subjectClaims: ['tid', 'oid'] },
    })
  })

  test.each(['evil.example/#', 'evil.example', 'a@b', '', 'A', '../x', 'a:b'])(
    'T20 a placeholder cannot leave its host: %j',
    (domain) => {
      expect(read({ name: 's', preset: 'salesforce', with: { domain } })).toContain('must be 1 to 63 of a-z')
    },
  )

  test.each(['common', 'organizations', 'consumers'])('T15 the tenant %s is refused', (tenant) => {
    expect(read({ name: 'm', preset: 'microsoft', with: { tenant } })).toContain('there anybody may sign in')
  })

  test('a preset that is none, a placeholder that is missing or unknown', () => {
    expect(read({ name: 'x', preset: 'gitlap' })).toContain('did you mean "gitlab"?')
    expect(read({ name: 'x', preset: 'salesforce' })).toContain('domain is missing')
    expect(read({ name: 'x', preset: 'github', with: { a: 'b' } })).toContain('is no placeholder')
  })
})
