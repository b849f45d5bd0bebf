import { describe, expect, it } from 'vitest'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { createPolicies } from '../../src/records/policies.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createFaultyStore } from '../support/faulty-store.ts'
import { createSequence } from '../support/sequence.ts'

function createWorld() {
  const clock = createFakeClock()
  const store = createFaultyStore(createMemoryStore({ clock }))
  const policies = createPolicies({ store, clock, newId: createSequence().uuid })
  const apply = (text: string, expected: string | undefined) =>
    policies.apply({ text, expected, by: 'ops/me' })
  return { store, policies, apply }
}

describe('policies in the store', () => {
  it('an empty store says how to begin', async () => {
    const { policies } = createWorld()
    await expect(policies.read()).rejects.toThrow(/^policy_unavailable: .*DOWNSCOPE_POLICY/)
  })

  it('the version that was applied is in force, and reading it again costs one look', async () => {
    const { policies, apply, store } = createWorld()
    const { revision } = await apply('version: 1', undefined)
    expect(await policies.read()).toEqual({ text: 'version: 1', revision, origin: 'store version 1' })
    const gets = store.counts.get
    expect(await policies.read(revision)).toBeUndefined()
    expect(store.counts.get).toBe(gets + 1)
  })

  it('a change needs the revision it changes', async () => {
    const { policies, apply } = createWorld()
    const first = await apply('one', undefined)
    await expect(apply('two', undefined)).rejects.toMatchObject({ code: 'changed_meanwhile' })
    await expect(apply('two', 'another')).rejects.toMatchObject({ code: 'changed_meanwhile' })
    const second = await apply('two', first.revision)
    expect(await policies.read()).toMatchObject({
      text: 'two',
      revision: second.revision,
      origin: 'store version 2',
    })
  })

  it('of ten changes at once exactly one wins', async () => {
    const { apply } = createWorld()
    const { revision } = await apply('one', undefined)
    const changes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, n) => apply(`change ${n}`, revision)),
    )
    expect(changes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  it('P25: a crash between version and pointer leaves the old policy in force', async () => {
    const { policies, apply, store } = createWorld()
    const { revision } = await apply('one', undefined)
    let puts = 0
    store.before = async (operation) => {
      await Promise.resolve()
      if (operation === 'put') puts += 1
      store.down = puts === 2
    }
    await expect(apply('two', revision)).rejects.toMatchObject({ code: 'store_unavailable' })
    store.before = () => Promise.resolve()
    store.down = false
    expect(await policies.read()).toMatchObject({ text: 'one' })
  })

  it('P25: a half-written pointer is named', async () => {
    const { policies, apply, store } = createWorld()
    await apply('one', undefined)
    await store.put('policies/current', { schema: 1 })
    await expect(policies.read()).rejects.toThrow('document policies/current is malformed')
  })

  it.each([
    ['of 1 MB', `# ${'x'.repeat(999_000)}`],
    ['whose every character is escaped or takes three octets', `"\n€`.repeat(110_000)],
    ['with a pair of surrogates where it is parted', `${'x'.repeat(249_999)}🔑y`],
  ])('a policy %s is kept whole', async (_, text) => {
    const { policies, apply } = createWorld()
    const { revision } = await apply(text, undefined)
    const read = await policies.read()
    expect(read).toEqual({ text: read?.text, revision, origin: 'store version 1' })
    expect(read?.text === text).toBe(true)
  })

  it('P25: of a policy whose second part is missing nothing comes into force', async () => {
    const { policies, apply, store } = createWorld()
    const { revision } = await apply('x'.repeat(600_000), undefined)
    await store.delete(`policies/v-${revision}-2`)
    await expect(policies.read()).rejects.toThrow(/^policy_unavailable: policy version 1 .* is missing/)
  })
})
