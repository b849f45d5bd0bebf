import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { consentAs, startConnectWorld, type Connecting } from '../support/connecting.ts'
import type { PeopleWorld } from '../support/people-world.ts'
import { createVisitor } from '../support/visitor.ts'

let world: PeopleWorld
let connecting: Connecting
beforeAll(async () => {
  ;({ world, connecting } = await startConnectWorld())
})
afterAll(() => world.close())

describe('connecting', () => {
  test('a link, a consent, a nonce: and the caller has its token', async () => {
    const { start, stateOf, finalize } = connecting
    const { id, url, nonce } = await start({ name: 'notes' })
    expect(await stateOf(id)).toMatchObject({ state: 'pending' })
    const visitor = createVisitor()
    const asking = await visitor.open(url)
    expect(asking.html).toContain('Continue to dev')
    expect(asking.html).toContain('<code>ops</code>')
    const thanks = await consentAs(visitor, url)

    expect(thanks.html).toContain('Thank you')
    expect(await stateOf(id)).toMatchObject({
      state: 'consented',
      account: 'ann@dev.example',
      scopes: ['notes.read', 'notes.write'],
    })
    const finished = await finalize(id, { nonce, account: 'ann@dev.example' })
    expect(finished.document).toMatchObject({
      name: 'notes',
      kind: 'refresh_token',
      state: 'enabled',
      source: 'dev-client',
      account: 'ann@dev.example',
      scopes: ['notes.read', 'notes.write'],
    })
    expect(await stateOf(id)).toMatchObject({ state: 'finished' })
    // Revoking the consent of one person ends nothing of another.
    const other = await start({ name: 'other' })
    await consentAs(createVisitor(), other.url, 'Vera')
    expect((await finalize(other.id, { nonce: other.nonce, account: 'vera@dev.example' })).status).toBe(200)
    expect((await world.admin('POST credentials/other:revoke')).document['upstream']).toBe('done')
    const token = await world.token('notes')
    expect([token.status, token.document['scope']]).toEqual([200, 'notes.read'])
  })
})
