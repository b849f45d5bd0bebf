import { afterEach, describe, expect, test } from 'vitest'
import { Crash, createCrashPoints } from '../support/crash-points.ts'
import { STORAGE_READ } from '../support/mint-world.ts'
import { name, startRotationWorld, type RotationWorld } from '../support/rotation-world.ts'

let worlds: RotationWorld[] = []
afterEach(async () => {
  await Promise.all(worlds.map(({ google }) => google.close()))
  worlds = []
})

type Tuning = Parameters<RotationWorld['google']['tune']>[0]

async function startWorld(tuning: Tuning): Promise<RotationWorld> {
  const world = await startRotationWorld()
  world.google.tune(tuning)
  worlds.push(world)
  return world
}

/** Rotates with an instance that crashes at that boundary, and lets another one finish. Whether it came to a crash. */
async function crashAt(world: RotationWorld, at: number): Promise<boolean> {
  const points = createCrashPoints(at)
  const crashing = world.createRotator('crashing', points)
  const surviving = world.createRotator('surviving')
  await surviving.rotations.begin(name)
  let crashed = false
  try {
    await world.rotate(crashing.drive)
  } catch (error) {
    if (!(error instanceof Crash)) throw error
    crashed = true
  }
  await world.rotate(surviving.drive)
  world.clock.skip(86_400_000)
  await surviving.removeVersions(await world.read())
  return crashed
}

/** One key upstream, which is the active version's and works; nothing else is left, here or there. */
async function expectRightEnd(world: RotationWorld): Promise<void> {
  const credential = await world.read()
  expect(credential.rotation).toBeUndefined()
  expect(world.keysUpstream()).toEqual([{ id: credential.keyId, disabled: false }])
  expect(credential.keyId).not.toBe(world.file.private_key_id)
  const left = credential.versions.filter(({ state }) => state !== 'destroyed')
  expect(left.map(({ state }) => state)).toEqual(['active'])
  expect(credential.versions.filter(({ removal }) => removal !== undefined)).toEqual([])
  const token = await world.mint(await world.grantFor(name, [STORAGE_READ]))
  expect(token.drawnFrom).toEqual([credential.version])
}

describe.each([
  { way: 'uploaded and listed late', tuning: { listLag: 45 } },
  { way: 'created by Google and listed late', tuning: { keyUploadDisabled: true, listLag: 45 } },
] as const)('P28: a rotation whose key is $way', ({ tuning }) => {
  test('ends right wherever its instance crashes', { timeout: 120_000 }, async () => {
    let boundaries = 0
    for (let at = 1; ; at += 1) {
      const world = await startWorld(tuning)
      const crashed = await crashAt(world, at)
      await expectRightEnd(world)
      await world.google.close()
      if (!crashed) break
      boundaries += 1
    }
    // Every step has a write before and after it, and a call.
    expect(boundaries).toBeGreaterThan(40)
  })
})
