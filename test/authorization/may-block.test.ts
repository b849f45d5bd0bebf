import { expect, test } from 'vitest'
import { createAuthorizeAdmin, createMayBlock } from '../../src/authorization/authorize-admin.ts'
import { policyOf } from '../support/policies.ts'

const policy = async () =>
  policyOf(
    [],
    [
      { callers: [{ issuer: 'ops', subject: 'olga' }], role: 'operator' },
      { callers: [{ issuer: 'ops', subject: 'alice' }], role: 'admin' },
      { callers: [{ issuer: 'ops', subject: 'team:*', claims: { mfa: true } }], role: 'admin' },
    ],
  )
const mayBlock = createMayBlock({ policy, authorizeAdmin: createAuthorizeAdmin({ policy }) })
const ops = 'https://ops.example'
const by = (subject: string) => ({ issuer: ops, issuerName: 'ops', subject, claims: {} })

test.each([
  ['an admin', ops, 'alice'],
  ['whom a claim would make an admin', ops, 'team:bob'],
])('only an admin blocks %s', async (_, issuer, subject) => {
  await expect(mayBlock({ issuer, subject }, by('olga'))).rejects.toMatchObject({ code: 'admin_forbidden' })
  await expect(mayBlock({ issuer, subject }, by('alice'))).resolves.toBeUndefined()
})

test.each([
  ['an operator', ops, 'olga'],
  ['somebody without a role', ops, 'team'],
  ['another of the same name', 'https://cluster.example', 'alice'],
])('an operator blocks %s', async (_, issuer, subject) => {
  await expect(mayBlock({ issuer, subject }, by('olga'))).resolves.toBeUndefined()
})
