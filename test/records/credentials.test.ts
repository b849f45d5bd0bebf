import { describe, expect, it } from 'vitest'
import type { VersionState } from '../../src/domain/credential.ts'
import { credentialDocumentOf, parseCredentialRecord } from '../../src/records/credential-codec.ts'
import type { Credentials } from '../../src/records/credentials.ts'
import { createCredentialWorld, keyCredential, refreshCredential } from '../support/credential-world.ts'

function fail(): never {
  throw new Error('it was put a moment ago')
}

async function openKey(credentials: Credentials, version = ''): Promise<string | undefined> {
  const { secret } = await credentials.openSecret('reports-sa', version)
  return secret.kind === 'service_account_key' ? secret.privateKey.reveal() : undefined
}

describe('credentials', () => {
  it('come back as they were enrolled, without their secret', async () => {
    const { credentials } = createCredentialWorld()
    await credentials.add(refreshCredential)
    const found = await credentials.find('calendar-user')
    expect(found).toMatchObject({
      name: 'calendar-user',
      kind: 'refresh_token',
      state: 'enabled',
      identity: 'client-1',
      consentedScopes: ['a', 'b'],
      health: { status: 'unknown' },
    })
    expect(JSON.stringify(found)).not.toMatch(/secret|refresh-1/)
  })

  it('give the secret of exactly the version that was asked for', async () => {
    const { credentials } = createCredentialWorld()
    const added = await credentials.add(keyCredential)
    expect(await openKey(credentials, added?.version)).toBe('the private key')
    await expect(credentials.openSecret('reports-sa', 'another')).rejects.toMatchObject({
      code: 'target_unavailable',
    })
  })

  it('a version draws on its secret until it is disabled', async () => {
    const { credentials, store } = createCredentialWorld()
    const added = await credentials.add(keyCredential)
    const first = added?.version ?? ''
    const stored = (await store.get('credentials/reports-sa')) ?? fail()
    const record = parseCredentialRecord(stored)
    const [one = fail()] = record.versions
    const moveTo = (state: VersionState) => {
      const versions = [
        { ...one, state },
        { ...one, id: 'second', state: 'active' as const },
      ]
      return store.put(stored.key, credentialDocumentOf({ ...record, versions }))
    }
    for (const state of ['candidate', 'retiring'] as const) {
      await moveTo(state)
      expect(await openKey(credentials, first)).toBe('the private key')
    }
    expect(await credentials.find('reports-sa')).toMatchObject({ version: 'second', standby: first })
    for (const state of ['disabled', 'destroyed'] as const) {
      await moveTo(state)
      await expect(credentials.openSecret('reports-sa', first)).rejects.toThrow(`has its version ${state}`)
      expect((await credentials.find('reports-sa'))?.standby).toBeUndefined()
    }
    await moveTo('active')
    await expect(credentials.find('reports-sa')).rejects.toThrow('not exactly one version is active')
  })

  it('a name is enrolled once, also by 20 at once', async () => {
    const { credentials } = createCredentialWorld()
    const added = await Promise.all(Array.from({ length: 20 }, () => credentials.add(keyCredential)))
    expect(added.filter((summary) => summary !== undefined)).toHaveLength(1)
  })

  it('a disabled credential keeps its secret shut, and comes back when it is enabled', async () => {
    const { credentials } = createCredentialWorld()
    const added = await credentials.add(keyCredential)
    const version = added?.version ?? ''
    expect((await credentials.setState('reports-sa', 'disabled'))?.state).toBe('disabled')
    await expect(credentials.openSecret('reports-sa', version)).rejects.toMatchObject({
      code: 'target_unavailable',
    })
    await credentials.setState('reports-sa', 'enabled')
    expect(await openKey(credentials, version)).toBe('the private key')
  })

  it('a name that is enrolled again has another version, so that no token of its former self is met', async () => {
    const { credentials } = createCredentialWorld()
    const first = await credentials.add(keyCredential)
    expect(await credentials.remove('reports-sa')).toBe(true)
    expect(await credentials.find('reports-sa')).toBeUndefined()
    const second = await credentials.add(keyCredential)
    expect(second?.version).not.toBe(first?.version)
  })

  it('what does not exist is not changed', async () => {
    const { credentials } = createCredentialWorld()
    expect(await credentials.setState('nobody', 'disabled')).toBeUndefined()
    expect(await credentials.remove('nobody')).toBe(false)
    await credentials.noteHealth('nobody', { status: 'broken', reason: 'x' })
    expect(await credentials.find('nobody')).toBeUndefined()
  })

  it('health is written when it changes and only then', async () => {
    const { credentials, store, clock } = createCredentialWorld()
    await credentials.add(keyCredential)
    await credentials.noteHealth('reports-sa', { status: 'healthy' })
    const puts = store.counts.put
    await clock.advance(60_000)
    await credentials.noteHealth('reports-sa', { status: 'healthy' })
    expect(store.counts.put).toBe(puts)
    await credentials.noteHealth('reports-sa', { status: 'broken', reason: 'revoked' })
    expect((await credentials.find('reports-sa'))?.health).toEqual({
      status: 'broken',
      reason: 'revoked',
      since: clock.now(),
      checkedAt: clock.now(),
      history: [
        { status: 'healthy', since: clock.now() - 60 },
        { status: 'unknown', since: clock.now() - 60 },
      ],
    })
  })

  it('remembers how a credential fared before, 20 changes long, also across a new consent', async () => {
    const { credentials, store, clock } = createCredentialWorld()
    await credentials.connect(refreshCredential, { id: 'first' })
    const { name } = refreshCredential
    for (let count = 0; count < 12; count += 1) {
      await clock.advance(60_000)
      await credentials.noteHealth(name, { status: 'broken', reason: `invalid_grant ${count}` })
      await credentials.noteHealth(name, { status: 'healthy' })
    }
    await credentials.connect(refreshCredential, { id: 'second' })
    const { status, history = [] } = (await credentials.find(name))?.health ?? {}
    expect([status, history.length]).toEqual(['unknown', 20])
    expect(history.slice(0, 2)).toMatchObject([
      { status: 'healthy', since: clock.now() },
      { status: 'broken', reason: 'invalid_grant 11' },
    ])
    const stored = await store.get(`credentials/${name}`)
    expect(stored?.value['health']).toMatchObject({
      history: history.map(({ status: one }) => ({ status: one })),
    })
  })

  it('health that stays the same is noted again half a day later, with its beginning', async () => {
    const { credentials, clock } = createCredentialWorld()
    await credentials.add(keyCredential)
    await credentials.noteHealth('reports-sa', { status: 'healthy' })
    const first = (await credentials.find('reports-sa'))?.health
    await clock.advance(12 * 3600_000)
    await credentials.noteHealth('reports-sa', { status: 'healthy' })
    expect((await credentials.find('reports-sa'))?.health).toEqual({ ...first, checkedAt: clock.now() })
    expect(clock.now()).toBeGreaterThan(first?.since ?? Infinity)
  })

  it('P25: a half-written document names what is wrong and hides no other', async () => {
    const { credentials, store, malformed } = createCredentialWorld()
    await credentials.add(keyCredential)
    await credentials.add(refreshCredential)
    const whole = await store.get('credentials/reports-sa')
    await store.put('credentials/reports-sa', { schema: 1, name: whole?.value['name'] ?? null })
    await expect(credentials.find('reports-sa')).rejects.toThrow(
      'store_unavailable: document credentials/reports-sa is malformed (kind: ',
    )
    const listed = await credentials.list({ limit: 10 })
    expect(listed.map(({ name }) => name)).toEqual(['calendar-user'])
    expect(malformed).toHaveLength(1)
  })

  it('P25: a page is full although documents in it cannot be read, however many', async () => {
    const { credentials, store, malformed } = createCredentialWorld()
    for (const name of ['a', 'm', 'z']) await credentials.add({ ...keyCredential, name })
    for (const name of ['b', 'c', 'd', 'n']) await store.put(`credentials/${name}`, { schema: 1, name })
    const names = async (page: { after?: string; limit: number }) =>
      (await credentials.list(page)).map(({ name }) => name)
    expect(await names({ limit: 2 })).toEqual(['a', 'm'])
    expect(malformed).toHaveLength(3)
    expect(await names({ after: 'a', limit: 1 })).toEqual(['m'])
    expect(await names({ after: 'm', limit: 2 })).toEqual(['z'])
    expect(await names({ limit: 10 })).toEqual(['a', 'm', 'z'])
  })

  it('P23: a sealed secret moved to another credential does not open', async () => {
    const { credentials, store } = createCredentialWorld()
    const added = await credentials.add(keyCredential)
    const stored = await store.get('credentials/reports-sa')
    await store.put('credentials/stolen', { ...stored?.value, name: 'stolen' })
    await expect(credentials.openSecret('stolen', added?.version ?? '')).rejects.toMatchObject({
      code: 'key_ring_unavailable',
    })
  })

  it('are listed by name, page by page', async () => {
    const { credentials } = createCredentialWorld()
    for (const name of ['c', 'a', 'b']) await credentials.add({ ...keyCredential, name })
    const page = await credentials.list({ limit: 2 })
    expect(page.map(({ name }) => name)).toEqual(['a', 'b'])
    expect((await credentials.list({ after: 'b', limit: 2 })).map(({ name }) => name)).toEqual(['c'])
  })
})
