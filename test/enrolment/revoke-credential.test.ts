import { describe, expect, it } from 'vitest'
import { Secret } from '../../src/domain/secret.ts'
import { createRevokeCredential } from '../../src/enrolment/revoke-credential.ts'
import { createCredentialWorld, refreshCredential } from '../support/credential-world.ts'

const { name } = refreshCredential

/** A refresh is out when the credential is revoked, and an upstream that does not end what it gave for it. */
async function createScene() {
  const world = createCredentialWorld()
  const { credentials } = world
  const version = (await credentials.add(refreshCredential))?.version ?? ''
  const leases = world.createLeases('one')
  const lease = await leases.begin({ name, version })
  if (!lease.held) throw new Error('the lease is free')
  const sent: string[] = []
  let whileOut = () => Promise.resolve()
  const revoke = createRevokeCredential({
    credentials,
    withdraw: async () => {
      const secret = await credentials.openWithdrawn(name, version)
      if (secret.kind === 'refresh_token') sent.push(secret.refreshToken.reveal())
      await whileOut()
      return { result: 'done' }
    },
  })
  return {
    ...world,
    sent,
    answerRefresh: () => leases.end(lease, { rotated: new Secret('refresh-2') }),
    revoke: async (during = () => Promise.resolve()) => {
      whileOut = during
      return (await revoke(name)).revocation.upstream
    },
  }
}

describe('revoking a credential while a refresh is out', () => {
  it('is not done before the token that comes of it is revoked too, whether it comes before or after', async () => {
    for (const comes of ['meanwhile', 'later']) {
      const { revoke, answerRefresh, sent, credentials } = await createScene()
      const answer = async () => void (await answerRefresh())
      expect(await revoke(comes === 'meanwhile' ? answer : undefined)).toBe('failed')
      expect((await credentials.find(name))?.revocation).toMatchObject({
        upstream: 'failed',
        detail: 'a refresh was on its way; revoke it again to finish',
      })
      if (comes === 'later') await answer()
      expect(await revoke()).toBe('done')
      expect(sent).toEqual(['refresh-1', 'refresh-2'])
      expect(await credentials.heldVersions(name)).toEqual([])
    }
  })

  it('waits for no instance that crashed in it', async () => {
    const { revoke, clock, credentials } = await createScene()
    expect(await revoke()).toBe('failed')
    await clock.advance(13_000)
    expect(await revoke()).toBe('done')
    expect(await credentials.heldVersions(name)).toEqual([])
  })
})
