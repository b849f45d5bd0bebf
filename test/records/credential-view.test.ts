import { describe, expect, it } from 'vitest'
import { createCredentialView } from '../../src/records/credential-view.ts'
import { createCredentialWorld, keyCredential } from '../support/credential-world.ts'

async function createWorld(outageMs = 3_600_000) {
  const world = createCredentialWorld()
  await world.credentials.add(keyCredential)
  return { ...world, view: createCredentialView({ ...world, outageMs, sharesWork: true }).current }
}

describe('the view of credentials', () => {
  it('costs one look at the store in five seconds, for presence and absence alike', async () => {
    const { view, store } = await createWorld()
    for (let use = 0; use < 10; use += 1) {
      expect((await view('reports-sa'))?.state).toBe('enabled')
      expect(await view('nobody')).toBeUndefined()
    }
    expect(store.counts.get).toBe(2)
  })

  it('P26: a credential disabled elsewhere is seen so within 10 s, also after a long idle time', async () => {
    const { view, credentials, clock } = await createWorld()
    await view('reports-sa')
    await credentials.setState('reports-sa', 'disabled')
    await clock.advance(5_001)
    expect((await view('reports-sa'))?.state).toBe('disabled')
    await credentials.remove('reports-sa')
    await clock.advance(3_600_000)
    expect(await view('reports-sa')).toBeUndefined()
  })

  it('P26: a store that answers slowly delays that by 2 s at most', async () => {
    const { view, credentials, clock, store } = await createWorld()
    await view('reports-sa')
    await credentials.setState('reports-sa', 'disabled')
    store.before = () => clock.sleep(1_900)
    await clock.advance(5_001)
    const seen = view('reports-sa')
    await clock.advance(2_000)
    expect((await seen)?.state).toBe('disabled')
  })

  it('P20: while the store is down the last view serves, for an hour', async () => {
    const { view, clock, store } = await createWorld()
    await view('reports-sa')
    store.down = true
    await clock.advance(3_000_000)
    expect((await view('reports-sa'))?.state).toBe('enabled')
    await expect(view('never-seen')).rejects.toMatchObject({ code: 'store_unavailable' })
    await clock.advance(700_000)
    await expect(view('reports-sa')).rejects.toMatchObject({ code: 'store_unavailable' })
  })

  it.each([0, 60_000])(
    'P26: while the store cannot be read it serves for %i ms and no longer',
    async (outageMs) => {
      const { view, clock, store } = await createWorld(outageMs)
      await view('reports-sa')
      store.down = true
      await clock.advance(Math.max(outageMs, 5_000) - 1)
      expect((await view('reports-sa'))?.state).toBe('enabled')
      await clock.advance(5_001)
      await expect(view('reports-sa')).rejects.toMatchObject({ code: 'store_unavailable' })
      store.down = false
      await clock.advance(5_001)
      expect((await view('reports-sa'))?.state).toBe('enabled')
    },
  )

  it('P25: a malformed credential affects no other', async () => {
    const { view, store } = await createWorld()
    await store.put('credentials/broken', { schema: 1 })
    await expect(view('broken')).rejects.toMatchObject({ code: 'store_unavailable' })
    expect((await view('reports-sa'))?.state).toBe('enabled')
  })
})
