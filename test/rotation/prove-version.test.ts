import { expect, test } from 'vitest'
import { provingWith } from '../../src/rotation/prove-version.ts'
import { BrokerError } from '../../src/domain/broker-error.ts'
import type { ScopeSet } from '../../src/domain/scopes.ts'
import { Secret } from '../../src/domain/secret.ts'
import { epochSeconds } from '../../src/domain/time.ts'
import { createCredentialWorld } from '../support/credential-world.ts'

/** Client credentials enrolled without scopes, and an upstream that refuses `delete`, or answers as it is told to. */
async function createProof(rules: readonly { readonly name: string; readonly scopes: ScopeSet }[]) {
  const { credentials } = createCredentialWorld()
  const credential = await credentials.add({
    name: 'robot',
    upstream: 'crm',
    identity: 'robot-client',
    secret: { kind: 'client_credentials', client: { id: 'robot-client', proof: 'none' } },
  })
  if (credential === undefined) throw new Error('the name is taken')
  const asked: string[] = []
  const upstream = { isDown: false }
  const prove = provingWith(
    async ({ scopes }) => {
      asked.push(scopes.join(' '))
      if (upstream.isDown) throw new BrokerError('upstream_unavailable', { reason: 'it is away' })
      if (scopes.includes('delete')) throw new BrokerError('scope_refused', { reason: 'invalid_scope' })
      return {
        secret: new Secret('a token'),
        scopes,
        issuedAt: epochSeconds(0),
        expiresAt: epochSeconds(3600),
        tokenType: 'access_token',
        drawnFrom: [credential.version],
      }
    },
    { find: credentials.find, rulesInUse: () => Promise.resolve(rules) },
  )
  return { asked, upstream, prove: () => prove(credential, credential.version) }
}

const tooMuch = { name: 'too-much', scopes: ['delete', 'read'] }

test('a secret is proved with the scopes of the next rule where the upstream refuses those of the first', async () => {
  const { asked, prove } = await createProof([tooMuch, { name: 'readers', scopes: ['read'] }])
  await prove()
  expect(asked).toEqual(['delete read', 'read'])
})

test('a proof whose scopes are refused for every rule names the rule, and tries three at most', async () => {
  const rules = ['first', 'second', 'third', 'fourth'].map((name) => ({ ...tooMuch, name }))
  const { asked, prove } = await createProof(rules)
  await expect(prove()).rejects.toMatchObject({
    code: 'scope_refused',
    reason: 'with the scopes of rule third: invalid_scope',
  })
  expect(asked).toHaveLength(3)
})

test('a proof that fails for another reason tries no other rule', async () => {
  const { asked, prove, upstream } = await createProof([tooMuch, tooMuch])
  upstream.isDown = true
  await expect(prove()).rejects.toMatchObject({ code: 'upstream_unavailable', reason: 'it is away' })
  expect(asked).toHaveLength(1)
})

test('a proof without scopes and without a rule that names any says so', async () => {
  const { asked, prove } = await createProof([])
  await expect(prove()).rejects.toMatchObject({ code: 'target_unavailable' })
  expect(asked).toEqual([])
})
