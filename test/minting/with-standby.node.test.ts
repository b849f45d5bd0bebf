import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Grant } from '../../src/domain/grant.ts'
import { Secret } from '../../src/domain/secret.ts'
import { enteringStep } from '../../src/records/rotations.ts'
import { promoteVersion } from '../../src/records/version-changes.ts'
import { failureOf, startMintWorld, STORAGE_READ, type MintWorld } from '../support/mint-world.ts'

type KeyFile = Awaited<ReturnType<MintWorld['google']['createServiceAccount']>>

let world: MintWorld
let old: KeyFile
let fresh: KeyFile

beforeEach(async () => {
  world = await startMintWorld()
  old = await world.google.createServiceAccount()
  await world.enrol('reports-sa', old)
  world.clock.skip(3600_000)
  world.google.tune({ keyPropagation: 30 })
  fresh = await world.google.addKey(old.client_email)
  await promote(fresh)
})
afterEach(async () => {
  expect(world.leaks()).toEqual([])
  await world.google.close()
})

/** Makes the file's key the active version, as a rotation does, but without any proof. */
async function promote(file: KeyFile): Promise<void> {
  const secret = {
    kind: 'service_account_key' as const,
    clientEmail: file.client_email,
    keyId: file.private_key_id,
    privateKey: new Secret(file.private_key),
  }
  await world.rotations.beginImport(
    'reports-sa',
    { secret, identity: file.client_email, keyId: file.private_key_id },
    { withdrawsFormer: false },
  )
  const turn = await world.rotations.claim('reports-sa')
  if (turn?.rotation.candidate === undefined) throw new Error('there is a candidate')
  const { candidate } = turn.rotation
  await world.rotations.settle(turn, (record, now) => ({
    ...promoteVersion(record, candidate, now),
    rotation: enteringStep(record.rotation, 'overlap', now),
  }))
}

async function grant(): Promise<Grant> {
  const plain = await world.grantFor('reports-sa', [STORAGE_READ])
  const { standby = '' } = await world.administration.read('reports-sa')
  return { ...plain, credential: { ...plain.credential, standby } }
}

const keysUsed = () => world.google.calls.all().map(({ credential }) => credential)

describe('P28: a credential whose former version stands by', () => {
  test('mints from that one while the upstream does not know the new one, and says which it was', async () => {
    const { credential, ...rest } = await grant()
    const token = await world.mint({ credential, ...rest })

    expect(token.drawnFrom).toEqual([credential.standby])
    expect(world.google.token(token.secret.reveal())?.scopes).toEqual([STORAGE_READ])
    const [warning] = world.book.lines.filter(({ level }) => level === 'warn')
    expect(warning?.message).toContain('the one that stands by')
  })

  test('mints from the active one alone as soon as that works', async () => {
    world.clock.skip(31_000)
    const before = keysUsed().length
    const token = await world.mint(await grant())

    expect(token.drawnFrom).toEqual([(await grant()).credential.version])
    expect(keysUsed()).toHaveLength(before + 1)
  })

  test('is healthy while either of them works', async () => {
    await world.mint(await grant())
    await world.background.settled()

    expect((await world.administration.read('reports-sa')).health.status).toBe('healthy')
  })

  test('fails for the reason of the active one when both are refused', async () => {
    world.clock.skip(3600_000)
    world.google.deleteKey(old.client_email, fresh.private_key_id)
    world.google.deleteKey(old.client_email, old.private_key_id)
    const failure = await failureOf(world.mint(await grant()))
    await world.background.settled()

    expect(failure.code).toBe('target_unavailable')
    expect((await world.administration.read('reports-sa')).health.status).toBe('broken')
  })

  test('P21: an upstream that is down is not asked for the other one too', async () => {
    world.clock.skip(31_000)
    await world.google.goDown()
    const others = world.book.lines.length
    await failureOf(world.mint(await grant()))
    await world.google.comeBack()

    expect(world.book.lines.length).toBe(others)
    expect((await failureOf(world.mint({ ...(await grant()), scopes: [] }))).code).toBe('scope_refused')
  })
})
