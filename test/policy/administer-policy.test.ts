import { describe, expect, it } from 'vitest'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { createPolicyInForce } from '../../src/policy/policy-in-force.ts'
import { parsePolicy } from '../../src/policy/parse-policy.ts'
import { createCheckDocument } from '../../src/policy/policy-warnings.ts'
import { createAdministerPolicy } from '../../src/policy/administer-policy.ts'
import { createPolicies } from '../../src/records/policies.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createLogBook } from '../support/quiet.ts'
import { createSequence } from '../support/sequence.ts'
import { samplePolicy } from '../support/sample-policy.ts'

const caller = { issuer: 'https://ops.acme.example', issuerName: 'ops', subject: 'operator', claims: {} }

function createWorld() {
  const clock = createFakeClock()
  const store = createMemoryStore({ clock })
  const entropy = createSequence()
  const policies = createPolicies({ store, clock, newId: () => entropy.uuid() })
  const context = { brokerIssuer: 'https://tokens.acme.example', clock }
  const credentials = { list: () => Promise.resolve([]) }
  const inForce = createPolicyInForce({
    source: policies,
    parse: (document) => parsePolicy(document, context),
    clock,
    log: createLogBook().log,
    sharesWork: true,
    isWrittenInPlace: false,
  })
  const look = async () => {
    await clock.advance(2_001)
    await inForce.current()
  }
  const deps = {
    inForce: inForce.status,
    check: createCheckDocument(credentials, context),
    lockOut: () => undefined,
  }
  return {
    clock,
    look,
    stored: createAdministerPolicy({ ...deps, policies }),
    fixed: createAdministerPolicy(deps),
  }
}

describe('administering policy', () => {
  it('the first policy of an empty store is applied without a revision, and is then in force', async () => {
    const { stored, look } = createWorld()
    await expect(stored.read()).rejects.toMatchObject({ code: 'policy_unavailable' })
    const { revision, warnings } = await stored.apply({ text: samplePolicy, ifMatch: undefined, caller })
    await look()
    expect(await stored.read()).toMatchObject({ text: samplePolicy, revision, origin: 'store version 1' })
    expect(warnings.map(({ path }) => path)).toEqual(['rules[0].credential'])
  })

  it('P25: a document with a fault replaces nothing', async () => {
    const { stored, look } = createWorld()
    const { revision } = await stored.apply({ text: samplePolicy, ifMatch: undefined, caller })
    await look()
    const broken = samplePolicy.replace('credential: reports-sa', 'credentials: reports-sa')
    await expect(stored.apply({ text: broken, ifMatch: revision, caller })).rejects.toMatchObject({
      code: 'document_invalid',
    })
    await look()
    expect(await stored.read()).toMatchObject({ text: samplePolicy, revision })
  })

  it('a change against another revision is refused', async () => {
    const { stored } = createWorld()
    await stored.apply({ text: samplePolicy, ifMatch: undefined, caller })
    const text = `${samplePolicy}# changed\n`
    await expect(stored.apply({ text, ifMatch: 'another', caller })).rejects.toMatchObject({
      code: 'changed_meanwhile',
    })
  })

  it('a policy that lies in a file or setting is changed there', async () => {
    const { fixed } = createWorld()
    await expect(fixed.apply({ text: samplePolicy, ifMatch: undefined, caller })).rejects.toMatchObject({
      code: 'not_supported',
    })
  })

  it('a document can be checked without being applied', async () => {
    const { stored, look } = createWorld()
    expect(await stored.validate(samplePolicy)).toEqual([
      expect.objectContaining({
        path: 'rules[0].credential',
        text: 'no credential "reports-sa" is enrolled',
      }),
    ])
    await expect(stored.validate('version: 2')).rejects.toMatchObject({ code: 'document_invalid' })
    await expect(look()).rejects.toMatchObject({ code: 'policy_unavailable' })
  })
})
