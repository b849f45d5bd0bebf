import { expect, test } from 'vitest'
import type { CredentialSummary } from '../../src/domain/credential.ts'
import { ask, lookUpsOf, refusal } from '../support/authorize-situation.ts'
import { callerOf, credentialWith, ruleWith } from '../support/policies.ts'

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
  expect(await refusal({ request: { target } })).toMatchObject({
    code: 'target_unavailable',
    publicDetail: undefined,
  })
  expect(await lookUpsOf({ request: { target } })).toEqual([])
})

test('a credential that draws on another names the version of both', async () => {
  const credential = credentialWith({ kind: 'impersonation', source: 'robot' })
  const others = [credentialWith({ name: 'robot', version: 's2', standby: 's1' })]
  expect((await ask({ credential, others })).credential).toEqual({
    name: 'reports',
    version: 'v1',
    kind: 'impersonation',
    upstream: 'google',
    source: {
      name: 'robot',
      version: 's2',
      standby: 's1',
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
  expect(await lookUpsOf({ caller: callerOf('a:b') })).toEqual([])
  expect(await lookUpsOf({ request: { target: 'payroll' } })).toEqual([])

  expect(await lookUpsOf({})).toEqual(['reports'])
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
