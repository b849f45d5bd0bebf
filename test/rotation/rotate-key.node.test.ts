import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { CredentialSummary } from '../../src/domain/credential.ts'
import { name, startRotationWorld, type RotationWorld } from '../support/rotation-world.ts'
import { STORAGE_READ } from '../support/mint-world.ts'

let world: RotationWorld

beforeEach(async () => {
  world = await startRotationWorld()
})
afterEach(async () => {
  expect(world.leaks()).toEqual([])
  await world.google.close()
})

const iamCalls = () => world.google.calls.where({ endpoint: 'iam' }).map(({ grant }) => grant)
const oldKey = () => world.file.private_key_id
const atStep = (step: string) => (credential: CredentialSummary) => credential.rotation?.step === step
const hasFailedAt = (step: string) => (credential: CredentialSummary) =>
  atStep(step)(credential) && hasFailed(credential)
/** The key is there, and nobody heard of it. */
const loseAnswerToUpload = () => {
  world.google.script.iam.next(1, { do: 'honest' })
  world.google.script.iam.next(1, { do: 'reset' })
}
const hasFailed = ({ rotation }: CredentialSummary) => (rotation?.failures ?? 0) > 0

describe('a rotation of a service-account key', () => {
  test('ends with a new key, made here and proved, and the old one disabled', async () => {
    const { drive, rotations } = world.createRotator('one')
    await rotations.begin(name)
    const after = await world.rotate(drive)

    expect(after.keyId).not.toBe(oldKey())
    expect(after.versions.map(({ state }) => state)).toEqual(['disabled', 'active'])
    expect(world.keysUpstream()).toEqual([
      { id: oldKey(), disabled: true },
      { id: after.keyId, disabled: false },
    ])
    const token = await world.mint(await world.grantFor(name, [STORAGE_READ]))
    expect(token.drawnFrom).toEqual([after.version])
    // The private half never travelled: the upstream was only told a certificate.
    expect(iamCalls()).not.toContain('createKey')
  })

  test('P28: proves the new key three times in a row before it is used', async () => {
    const { drive, rotations } = world.createRotator('one')
    await rotations.begin(name)
    const before = await world.read()
    const proving = await world.rotate(drive, ({ rotation }) => (rotation?.failures ?? 0) > 2)
    expect(proving.version).toBe(before.version)
    expect(proving.rotation?.reason).toContain('Invalid JWT Signature')
    // Twice, and then not: it begins to count anew.
    world.clock.skip(60_000)
    world.google.script.token.next(2, { do: 'honest' })
    world.google.script.token.next(1, { do: 'refuse', as: 'jwt_signature' })
    const exchanges = world.google.calls.count({ endpoint: 'token' })
    const refused = await world.rotate(drive, atStep('overlap'))
    expect(world.google.calls.count({ endpoint: 'token' }) - exchanges).toBe(2 + 1 + 3)
    expect(refused.version).toBe(refused.rotation?.candidate)
    expect(refused.standby).toBe(before.version)
  })

  test('the former version stands by for ten minutes, and its key is deleted a day later', async () => {
    const { drive, rotations, removeVersions } = world.createRotator('one')
    await rotations.begin(name)
    const promoted = await world.rotate(drive, atStep('overlap'))
    const overlap = (promoted.rotation?.nextTryAt ?? 0) - world.clock.now()
    expect(overlap).toBeGreaterThanOrEqual(600)
    await drive(name)
    expect((await world.read()).standby).toBe(promoted.standby)

    await world.rotate(drive)
    world.clock.skip(86_000_000)
    expect((await removeVersions(await world.read())).removed).toEqual([])
    world.clock.skip(1_000_000)
    expect((await removeVersions(await world.read())).removed).toEqual([promoted.standby])
    expect(world.keysUpstream().map(({ id }) => id)).not.toContain(oldKey())
    expect((await world.read()).versions.map(({ state }) => state)).toEqual(['destroyed', 'active'])
  })

  test('a former version stays while the new one does not work', async () => {
    const { drive, rotations } = world.createRotator('one')
    await rotations.begin(name)
    const { keyId = '' } = await world.rotate(drive, atStep('overlap'))
    world.google.disableKey(world.file.client_email, keyId)
    const stuck = await world.rotate(drive, hasFailed)
    expect(stuck.rotation).toMatchObject({ step: 'overlap' })
    expect(stuck.rotation?.reason).toContain('the former version stands by still')

    world.google.enableKey(world.file.client_email, keyId)
    expect((await world.rotate(drive)).versions.map(({ state }) => state)).toEqual(['disabled', 'active'])
  })

  test('begun twice is begun once, and two instances take no step twice', async () => {
    const [one, two] = [world.createRotator('one'), world.createRotator('two')]
    const [first, second] = await Promise.all([one.rotations.begin(name), two.rotations.begin(name)])
    expect(first?.rotation?.id).toBe(second?.rotation?.id)
    await Promise.all([one.drive(name), two.drive(name)])
    await world.rotate(async (credential) => (await one.drive(credential)) + (await two.drive(credential)))

    expect(world.keysUpstream()).toHaveLength(2)
    expect(iamCalls().filter((grant) => grant === 'uploadKey')).toHaveLength(1)
  })
})

describe('a rotation that cannot go on says why', () => {
  test('at ten keys, with the ids of those it does not hold', async () => {
    const others = []
    for (let count = 1; count < 10; count += 1)
      others.push((await world.google.addKey(world.file.client_email)).private_key_id)
    const { drive, rotations } = world.createRotator('one')
    await rotations.begin(name)
    const { rotation } = await world.rotate(drive, hasFailed)
    expect(rotation?.step).toBe('count')
    expect(rotation?.reason).toContain('10 user-managed keys and Google allows 10')
    for (const id of others) expect(rotation?.reason).toContain(id)
    expect(rotation?.reason).not.toContain(oldKey())

    world.google.deleteKey(world.file.client_email, others[0] ?? '')
    await world.rotate(drive)
    expect(world.keysUpstream().map(({ id }) => id)).toContain((await world.read()).keyId)
  })

  test('without the role that it takes', async () => {
    world.google.denyKeyAdministration(world.file.client_email, world.file.client_email)
    const { drive, rotations } = world.createRotator('one')
    await rotations.begin(name)
    const { rotation } = await world.rotate(drive, hasFailed)

    expect(rotation?.reason).toContain('iam.serviceAccountKeys.list')
    expect(rotation?.reason).toContain('roles/iam.serviceAccountKeyAdmin')
  })

  test('where organisation policies forbid uploading and creating', async () => {
    world.google.tune({ keyUploadDisabled: true, keyCreationDisabled: true })
    const { drive, rotations } = world.createRotator('one')
    await rotations.begin(name)
    const { rotation, versions } = await world.rotate(drive, hasFailed)

    expect(rotation).toMatchObject({ step: 'create', method: 'create' })
    expect(rotation?.reason).toContain('an organisation policy forbids uploading keys and creating them')
    expect(rotation?.reason).toContain('constraints/iam.disableServiceAccountKeyCreation')
    expect(versions.map(({ state }) => state)).toEqual(['active', 'destroyed'])
  })

  test('with the key ring down, and goes on when it is back', async () => {
    const { drive, rotations } = world.createRotator('one')
    await rotations.begin(name)
    world.keyRing.down = true
    const stuck = await world.rotate(drive, hasFailed)
    expect(stuck.rotation?.reason).toContain('the key ring is down')
    world.keyRing.down = false
    expect((await world.rotate(drive)).keyId).not.toBe(oldKey())
  })

  test.each([
    ['an outage', { do: 'unavailable', status: 503 }],
    ['a connection that breaks after the work', { do: 'reset' }],
    ['an answer that is cut off', { do: 'truncate' }],
    ['a permission that is missing', { do: 'google_error', status: 'PERMISSION_DENIED', message: 'no' }],
  ] as const)('%s at any one call delays it and spoils nothing', async (_, behaviour) => {
    // As many calls of IAM as a rotation makes.
    for (let call = 0; call < 5; call += 1) {
      const one = await startRotationWorld()
      const { drive, rotations, removeVersions } = one.createRotator('one')
      one.google.script.iam.next(call, { do: 'honest' })
      one.google.script.iam.next(1, behaviour)
      await rotations.begin(name)
      const after = await one.rotate(drive)
      one.clock.skip(86_400_000)
      await removeVersions(await one.read())
      expect(one.keysUpstream()).toEqual([{ id: after.keyId, disabled: false }])
      await one.google.close()
    }
  })
})

describe('a rotation that is aborted', () => {
  test.each(['upload', 'prove'])('at the step %s takes back its key, upstream and here', async (step) => {
    const { drive, rotations } = world.createRotator('one')
    if (step === 'upload') loseAnswerToUpload()
    await rotations.begin(name)
    await world.rotate(drive, atStep(step))
    if (step === 'upload') expect(world.keysUpstream()).toHaveLength(2)
    await rotations.beginAbort(name)
    const after = await world.rotate(drive)

    expect(after.keyId).toBe(oldKey())
    expect(world.keysUpstream()).toEqual([{ id: oldKey(), disabled: false }])
    expect(after.versions.map(({ state }) => state)).toEqual(['active', 'destroyed'])
  })

  test('whose creation was not heard of switches that key off, and deletes it a day later', async () => {
    world.google.tune({ keyUploadDisabled: true })
    const { drive, rotations, removeVersions } = world.createRotator('one')
    world.google.script.iam.always(({ grant, method }) =>
      grant === 'createKey' && method === 'POST' ? { do: 'reset' } : undefined,
    )
    await rotations.begin(name)
    await world.rotate(drive, (credential) => atStep('create')(credential) && hasFailed(credential))
    world.google.script.iam.clear()
    await rotations.beginAbort(name)
    await world.rotate(drive)
    expect(world.keysUpstream().map(({ disabled }) => disabled)).toEqual([false, true])
    world.clock.skip(86_400_000)
    await removeVersions(await world.read())

    expect(world.keysUpstream()).toEqual([{ id: oldKey(), disabled: false }])
  })

  test.each(['upload', 'prove'])('by disabling its candidate at the step %s is the same', async (step) => {
    const { drive, rotations } = world.createRotator('one')
    if (step === 'upload') loseAnswerToUpload()
    await rotations.begin(name)
    const { rotation } = await world.rotate(drive, hasFailedAt(step))
    await world.credentials.disableVersion(name, rotation?.candidate ?? '')
    await world.rotate(drive)

    expect(world.keysUpstream()).toEqual([{ id: oldKey(), disabled: false }])
  })

  test('by disabling its candidate before that is uploaded uploads nothing', async () => {
    world.google.script.iam.always(({ grant }) =>
      grant === 'uploadKey' ? { do: 'unavailable', status: 503 } : undefined,
    )
    const { drive, rotations } = world.createRotator('one')
    await rotations.begin(name)
    const { rotation } = await world.rotate(drive, hasFailedAt('upload'))
    await world.credentials.disableVersion(name, rotation?.candidate ?? '')
    world.google.script.iam.clear()
    await world.rotate(drive)

    expect(iamCalls().filter((grant) => grant === 'uploadKey')).toHaveLength(1)
    expect(world.keysUpstream()).toEqual([{ id: oldKey(), disabled: false }])
  })

  test('after its key was uploaded twice takes back both', async () => {
    world.google.tune({ listLag: 120 })
    loseAnswerToUpload()
    const { drive, rotations } = world.createRotator('one')
    await rotations.begin(name)
    await world.rotate(drive, hasFailedAt('prove'))
    expect(world.keysUpstream()).toHaveLength(3)
    world.clock.skip(120_000)
    await rotations.beginAbort(name)
    await world.rotate(drive)

    expect(world.keysUpstream()).toEqual([{ id: oldKey(), disabled: false }])
  })

  test('while the last proof is on its way is not promoted by it', async () => {
    let proofs = 0
    const { drive, rotations } = world.createRotator('one', {
      beforeSettle: async () => {
        const { rotation } = await world.read()
        if (rotation?.step !== 'prove') return
        proofs += 1
        if (proofs === 3) await rotations.beginAbort(name)
      },
    })
    world.google.tune({ keyPropagation: 0 })
    await rotations.begin(name)
    const after = await world.rotate(drive)

    expect(proofs).toBe(3)
    expect(after.versions.map(({ state }) => state)).toEqual(['active', 'destroyed'])
    expect(world.keysUpstream()).toEqual([{ id: oldKey(), disabled: false }])
  })

  test('that cannot withdraw the old key any more gives that up for now, and another can begin', async () => {
    const { drive, rotations, removeVersions } = world.createRotator('one')
    await rotations.begin(name)
    await world.rotate(drive, atStep('disable'))
    world.google.denyKeyAdministration(world.file.client_email, world.file.client_email)
    await world.rotate(drive, hasFailed)
    await rotations.beginAbort(name)
    expect((await world.read()).rotation).toBeUndefined()
    expect((await rotations.begin(name))?.rotation?.step).toBe('count')

    world.google.allowKeyAdministration(world.file.client_email, world.file.client_email)
    world.clock.skip(86_400_000)
    await removeVersions(await world.read())
    expect(world.keysUpstream().map(({ id }) => id)).not.toContain(oldKey())
  })

  test('by nobody: a former version that somebody destroyed in the overlap holds nothing up', async () => {
    const { drive, rotations, removeVersions } = world.createRotator('one')
    await rotations.begin(name)
    const { standby = '' } = await world.rotate(drive, atStep('overlap'))
    await world.credentials.disableVersion(name, standby)
    await world.credentials.destroyVersion(name, standby)
    const after = await world.rotate(drive)
    world.clock.skip(86_400_000)
    await removeVersions(await world.read())

    expect(world.keysUpstream()).toEqual([{ id: after.keyId, disabled: false }])
  })

  test('after its new version is active only by disabling that, which brings the former back', async () => {
    const { drive, rotations } = world.createRotator('one')
    await rotations.begin(name)
    const promoted = await world.rotate(drive, atStep('overlap'))
    await expect(rotations.beginAbort(name)).rejects.toMatchObject({ code: 'state_conflict' })
    await world.credentials.disableVersion(name, promoted.version)
    expect((await world.read()).version).toBe(promoted.standby)
    await world.rotate(drive)

    expect(world.keysUpstream()).toEqual([{ id: oldKey(), disabled: false }])
    expect((await world.read()).keyId).toBe(oldKey())
  })
})
