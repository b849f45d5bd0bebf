import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ServiceAccountFile } from '../support/google/service-accounts.ts'
import type { CredentialSummary } from '../../src/domain/credential.ts'
import { parseCredentialFile } from '../../src/enrolment/parse-credential-file.ts'
import { faultsOfSuccessor } from '../../src/rotation/administer-rotation.ts'
import { STORAGE_READ } from '../support/mint-world.ts'
import { name, startRotationWorld, type RotationWorld } from '../support/rotation-world.ts'

const day = 86_400_000

let world: RotationWorld
let one: ReturnType<RotationWorld['createRotator']>

beforeEach(async () => {
  world = await startRotationWorld()
  one = world.createRotator('one')
})
afterEach(() => world.google.close())

const oldKey = () => world.file.private_key_id
const oldKeyUpstream = () => world.keysUpstream().find(({ id }) => id === oldKey())
const isInOverlap = ({ rotation }: CredentialSummary) => rotation?.step === 'overlap'

function brought(file: ServiceAccountFile) {
  const judgement = parseCredentialFile({ secret: file }, undefined)
  if (!judgement.ok) throw new Error(judgement.faults.join())
  return judgement.credential
}

describe('P28: a key whose former version is due to be removed', () => {
  test('stays upstream when it was brought back meanwhile, as in an emergency', async () => {
    await one.rotations.begin(name)
    const { versions } = await world.rotate(one.drive)
    world.google.enableKey(world.file.client_email, oldKey())
    await one.rotations.beginImport(name, brought(world.file), { withdrawsFormer: false })
    const recovered = await world.rotate(one.drive)
    expect(recovered.keyId).toBe(oldKey())

    world.clock.skip(day)
    expect((await one.removeVersions(await world.read())).removed).toContain(versions[0]?.id)
    expect(oldKeyUpstream()).toEqual({ id: oldKey(), disabled: false })
    const token = await world.mint(await world.grantFor(name, [STORAGE_READ]))
    expect(token.drawnFrom).toEqual([recovered.version])
  })

  test('stays upstream while another credential draws on it, and goes with the last', async () => {
    await world.enrol('team-calendar', world.file)
    await one.rotations.begin(name)
    const isWaiting = ({ rotation }: CredentialSummary) =>
      rotation?.reason?.includes('in use by credential team-calendar too') === true
    await world.rotate(one.drive, isWaiting)
    world.clock.skip(day)
    const { removed, waiting } = await one.removeVersions(await world.read())
    expect(removed).toEqual([])
    expect(waiting).toEqual([
      `key ${oldKey()} is kept for credential team-calendar: it goes a day after that one is rotated`,
    ])
    expect(oldKeyUpstream()).toEqual({ id: oldKey(), disabled: false })

    await world.credentials.remove('team-calendar')
    expect((await one.removeVersions(await world.read())).removed).toHaveLength(1)
    expect(oldKeyUpstream()).toBeUndefined()
  })

  test('P25: stays upstream while a credential cannot be read, which may need it', async () => {
    await world.enrol('team-calendar', world.file)
    const readable = (await world.store.get('credentials/team-calendar'))?.value ?? {}
    await world.store.put('credentials/team-calendar', { ...readable, kind: 'of_a_newer_version' })
    await one.rotations.begin(name)
    const isWaiting = ({ rotation }: CredentialSummary) =>
      rotation?.reason?.includes('cannot be read: document credentials/team-calendar is malformed') === true
    await world.rotate(one.drive, isWaiting)
    world.clock.skip(day)
    await expect(one.removeVersions(await world.read())).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(oldKeyUpstream()).toEqual({ id: oldKey(), disabled: false })

    await world.credentials.remove('team-calendar')
    expect((await one.removeVersions(await world.read())).removed).toHaveLength(1)
    expect(oldKeyUpstream()).toBeUndefined()
  })

  test('goes although a revoked credential has it, which draws on it no more', async () => {
    await world.enrol('team-calendar', world.file)
    await world.credentials.revoke('team-calendar')
    await one.rotations.begin(name)
    await world.rotate(one.drive)
    world.clock.skip(day)
    await one.removeVersions(await world.read())
    expect(oldKeyUpstream()).toBeUndefined()
  })
})

describe('P28: an overlap that is about to end', () => {
  test('does not end when the new version is disabled at that moment: the former one is in use', async () => {
    let isToBeDisabled = false
    const two = world.createRotator('two', {
      beforeSettle: async () => {
        if (!isToBeDisabled) return
        isToBeDisabled = false
        await world.credentials.disableVersion(name, (await world.read()).version)
      },
    })
    await two.rotations.begin(name)
    const { standby } = await world.rotate(two.drive, isInOverlap)
    isToBeDisabled = true
    const after = await world.rotate(two.drive)
    world.clock.skip(day)
    await two.removeVersions(await world.read())

    expect(after.version).toBe(standby)
    expect(world.keysUpstream()).toEqual([{ id: oldKey(), disabled: false }])
  })
})

describe('a key file that is brought once more', () => {
  test('cannot withdraw itself', async () => {
    const succession = { credential: await world.read(), brought: brought(world.file), former: undefined }
    const { faults } = faultsOfSuccessor({ ...succession, withdrawFormer: true })
    expect(faults).toEqual(['withdraw_former: would withdraw the key that is brought'])
    expect(faultsOfSuccessor({ ...succession, withdrawFormer: undefined }).faults).toEqual([])
  })
})
