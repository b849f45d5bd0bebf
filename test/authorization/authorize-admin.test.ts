import { expect, test } from 'vitest'
import { createAuthorizeAdmin } from '../../src/authorization/authorize-admin.ts'
import type { Caller } from '../../src/domain/caller.ts'
import type { AdminRole } from '../../src/domain/policy.ts'
import { callerOf, policyOf } from '../support/policies.ts'

const roles: readonly AdminRole[] = ['viewer', 'operator', 'admin']

const policy = policyOf(
  [],
  [
    { callers: [{ issuer: 'ops', subject: '*' }], role: 'viewer' },
    { callers: [{ issuer: 'ops', subject: 'olga' }], role: 'operator' },
    { callers: [{ issuer: 'ops', subject: 'operator', claims: { mfa: true } }], role: 'admin' },
  ],
)
const authorizeAdmin = createAuthorizeAdmin({ policy: () => Promise.resolve(policy) })

function ops(subject: string, claims: Caller['claims'] = {}): Caller {
  return { issuer: 'https://ops.example', issuerName: 'ops', subject, claims }
}

test.each<[string, Caller, AdminRole | undefined]>([
  ['anybody of ops', ops('vera'), 'viewer'],
  ['the operator', ops('olga'), 'operator'],
  ['the admin', ops('operator', { mfa: true }), 'admin'],
  ['the admin without the claim', ops('operator'), 'viewer'],
  ['a caller of another issuer with the same subject', callerOf('olga'), undefined],
])('%s may do what the highest matching role may, and no more', async (_, caller, held) => {
  for (const needed of roles) {
    const mayDo = held !== undefined && roles.indexOf(needed) <= roles.indexOf(held)
    const outcome = authorizeAdmin(caller, needed)
    if (mayDo) expect(await outcome).toBe(held)
    else await expect(outcome).rejects.toMatchObject({ code: 'admin_forbidden', publicDetail: undefined })
  }
})

test('a policy without admins gives no role to anybody', async () => {
  const none = createAuthorizeAdmin({ policy: () => Promise.resolve(policyOf([])) })

  await expect(none(ops('operator', { mfa: true }), 'viewer')).rejects.toMatchObject({
    code: 'admin_forbidden',
  })
})
