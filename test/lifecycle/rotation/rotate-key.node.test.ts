import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { name, startRotationWorld, type RotationWorld } from '../../support/rotation-world.ts'
import { STORAGE_READ } from '../../support/mint-world.ts'

let world: RotationWorld

beforeEach(async () => {
  world = await startRotationWorld()
})
afterEach(async () => {
  expect(world.leaks()).toEqual([])
  await world.google.close()
})

const iamCalls = () => world.google.calls.where({ endpoint: 'iam' }).map(({ grant }) => grant)

describe('a rotation of a service-account key', () => {
  test('ends with a new key, made here and proved, and the old one disabled', async () => {
    const { drive, rotations } = world.createRotator('one')
    await rotations.begin(name)
    const after = await world.rotate(drive)

    expect(after.keyId).not.toBe(world.file.private_key_id)
    expect(after.versions.map(({ state }) => state)).toEqual(['disabled', 'active'])
    expect(world.keysUpstream()).toEqual([
      { id: world.file.private_key_id, disabled: true },
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

    const promoted = await world.rotate(drive, ({ rotation }) => rotation?.step === 'overlap')
    expect(promoted.version).toBe(proving.rotation?.candidate)
    expect(promoted.fallback).toBe(before.version)
  })
})
