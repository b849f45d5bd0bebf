import { describe, expect, test } from 'vitest'
import { createAuthorizeAdmin } from '../../src/authorization/authorize-admin.ts'
import { parsePolicy } from '../../src/policy/parse-policy.ts'
import { isBrokerError } from '../../src/domain/broker-error.ts'
import { policyOf } from '../support/policies.ts'

const google = { name: 'google', issuer: 'https://accounts.google.com', keys: { discovery: true } }
const consumers = {
  name: 'microsoft',
  issuer: 'https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0',
  keys: { discovery: true },
}

/** The faults of a policy with such an admin. */
function faultsOf(
  caller: object,
  issuer: object = google,
  brokerIssuer = 'https://tokens.acme.example',
): string {
  const text = JSON.stringify({
    version: 1,
    issuers: [issuer],
    admins: [{ callers: [caller], role: 'admin' }],
  })
  try {
    parsePolicy({ text, revision: '1', origin: 'test' }, { brokerIssuer })
    return ''
  } catch (error) {
    if (isBrokerError(error)) return error.reason
    throw error
  }
}

describe('T21 who may be an administrator', () => {
  const ann = { issuer: 'google', subject: '*', claims: { email: 'ann@acme.example' } }
  const verified = { email_verified: true }

  test.each<[string, object, object, string]>([
    ['an e-mail address that nobody verified', ann, google, 'beside email_verified: true'],
    [
      'one that is said to be false',
      { ...ann, claims: { ...ann.claims, email_verified: false } },
      google,
      'email_verified',
    ],
    [
      'any account of the world',
      { ...ann, claims: { ...ann.claims, ...verified } },
      google,
      'ask for hd, or for one subject',
    ],
    ['everybody', { issuer: 'google', subject: '*' }, google, 'ask for hd'],
    ['every private account of Microsoft', { issuer: 'microsoft', subject: '*' }, consumers, 'ask for tid'],
  ])('T21 %s is a fault', (_, caller, issuer, fault) => {
    expect(faultsOf(caller, issuer)).toContain(fault)
  })

  test.each<[string, object, object]>([
    ['an organisation', { ...ann, claims: { ...ann.claims, ...verified, hd: 'acme.example' } }, google],
    ['one account', { issuer: 'google', subject: '109876543210987654321' }, google],
    ['a tenant', { issuer: 'microsoft', subject: '*', claims: { tid: 'acme' } }, consumers],
  ])('T21 %s is none', (_, caller, issuer) => {
    expect(faultsOf(caller, issuer)).toBe('')
  })
})

describe('T27 the development issuer', () => {
  const dev = { name: 'dev', issuer: 'http://127.0.0.1:8081', keys: { discovery: true } }
  const caller = { issuer: 'dev', subject: 'ann' }

  test('T27 is refused by a broker that is not on loopback itself', () => {
    expect(faultsOf(caller, dev)).toContain('trust no development issuer')
    expect(faultsOf(caller, dev, 'http://localhost:8080')).toBe('')
  })
})

describe('T22 sign-in by device code', () => {
  const policy = policyOf(
    [],
    [
      { callers: [{ issuer: 'ops', subject: '*' }], role: 'viewer' },
      { callers: [{ issuer: 'ops', subject: 'ann' }], role: 'admin' },
      { callers: [{ issuer: 'ops', subject: 'ada' }], role: 'auditor' },
      { callers: [{ issuer: 'ops', subject: 'bea', claims: { aud: 'device' } }], role: 'operator' },
    ],
  )
  const authorizeAdmin = createAuthorizeAdmin({ policy: async () => policy, deviceClientId: 'device' })
  const person = (subject: string, aud: string) => ({
    issuer: 'https://ops.example',
    issuerName: 'ops',
    subject,
    claims: { aud },
  })

  test('T22 an auditor stays one', async () => {
    expect(await authorizeAdmin(person('ada', 'device'), 'auditor')).toBe('auditor')
  })

  test('T22 gives at most viewer, unless the rule itself asks for that client', async () => {
    expect(await authorizeAdmin(person('ann', 'cli'), 'admin')).toBe('admin')
    await expect(authorizeAdmin(person('ann', 'device'), 'operator')).rejects.toMatchObject({
      code: 'admin_forbidden',
    })
    expect(await authorizeAdmin(person('ann', 'device'), 'viewer')).toBe('viewer')
    expect(await authorizeAdmin(person('bea', 'device'), 'operator')).toBe('operator')
    await expect(authorizeAdmin(person('bea', 'cli'), 'operator')).rejects.toMatchObject({
      code: 'admin_forbidden',
    })
  })
})
