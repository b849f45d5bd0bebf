import { afterEach, describe, expect, test } from 'vitest'
import type { CredentialSummary } from '../../src/domain/credential.ts'
import type { Behaviour } from '../support/google/behaviour.ts'
import type { Call } from '../support/google/calls.ts'
import { name, startRotationWorld, type RotationWorld } from '../support/rotation-world.ts'

let worlds: RotationWorld[] = []
afterEach(async () => {
  await Promise.all(worlds.map(({ google }) => google.close()))
  worlds = []
})

async function startWorld(tuning: Parameters<RotationWorld['google']['tune']>[0] = {}) {
  const world = await startRotationWorld()
  worlds.push(world)
  world.google.tune(tuning)
  return { world, email: world.file.client_email, ...world.createRotator('one') }
}
type Scene = Awaited<ReturnType<typeof startWorld>>

const down: Behaviour = { do: 'unavailable', status: 503 }
const isAt = (step: string) => (credential: CredentialSummary) => credential.rotation?.step === step
const hasFailedAt = (step: string) => (credential: CredentialSummary) =>
  isAt(step)(credential) && (credential.rotation?.failures ?? 0) > 0
const keyIn = ({ path }: Call) => /\/keys\/(?<id>\w+)/.exec(path)?.groups?.['id']

/** The key is made or uploaded upstream, and its answer is lost. */
const loseAnswerTo = ({ world }: Scene, grant: 'createKey' | 'uploadKey') => {
  let isLost = false
  world.google.script.iam.always((call) => {
    if (isLost || call.grant !== grant || call.method !== 'POST') return undefined
    isLost = true
    return { do: 'reset' }
  })
}

/** A rotation that made a key of which nothing is known but that a creation was begun. */
async function loseCreation(tuning: Parameters<RotationWorld['google']['tune']>[0] = {}): Promise<Scene> {
  const scene = await startWorld({ keyUploadDisabled: true, ...tuning })
  loseAnswerTo(scene, 'createKey')
  await scene.rotations.begin(name)
  await scene.world.rotate(scene.drive, hasFailedAt('create'))
  return scene
}

describe('an aborted rotation whose creation was not heard of', () => {
  test("touches neither of two unknown keys: one of them is somebody else's", async () => {
    const { world, email, rotations, drive, removeVersions } = await loseCreation()
    await world.google.addKey(email)
    await rotations.beginAbort(name)
    await world.rotate(drive)
    world.clock.skip(86_400_000)
    await removeVersions(await world.read())

    expect(world.keysUpstream().map(({ disabled }) => disabled)).toEqual([false, false, false])
    const told = world.book.lines.find(({ level }) => level === 'error')
    expect(told?.fields['keyIds']).toEqual(
      world
        .keysUpstream()
        .slice(1)
        .map(({ id }) => id),
    )
  })

  test('leaves an unknown key alone that is older than the lost request', async () => {
    // Their key is not listed yet when the rotation counts the keys, and was made 70 s before ours.
    const scene = await startWorld({ keyUploadDisabled: true, listLag: 90 })
    const { world, email, rotations, drive } = scene
    const theirs = await world.google.addKey(email)
    world.clock.skip(70_000)
    loseAnswerTo(scene, 'createKey')
    await rotations.begin(name)
    await world.rotate(drive, hasFailedAt('create'))
    world.google.tune({ listLag: 0 })
    await rotations.beginAbort(name)
    await world.rotate(drive)

    const switchedOff = world.keysUpstream().filter(({ disabled }) => disabled)
    expect(switchedOff).toHaveLength(1)
    expect(switchedOff[0]?.id).not.toBe(theirs.private_key_id)
  })

  test('tries again to switch the key off that could not be switched off', async () => {
    const { world, rotations, drive } = await loseCreation()
    world.google.script.iam.always(({ path }) => (path.endsWith(':disable') ? down : undefined))
    await rotations.beginAbort(name)
    const stuck = await world.rotate(drive, ({ rotation }) => rotation?.reason?.includes('503') === true)
    expect(stuck.rotation?.step).toBe('abort')
    expect(world.keysUpstream().map(({ disabled }) => disabled)).toEqual([false, false])

    world.google.script.iam.clear()
    await world.rotate(drive)
    expect(world.keysUpstream().map(({ disabled }) => disabled)).toEqual([false, true])
  })
})

describe('a rotation that looks for the key of a lost creation', () => {
  test('tries again to switch it off, and makes no other key before that', async () => {
    const scene = await startWorld({ keyUploadDisabled: true })
    const { world, rotations, drive, removeVersions } = scene
    loseAnswerTo(scene, 'createKey')
    await rotations.begin(name)
    await world.rotate(drive, hasFailedAt('create'))
    world.google.script.iam.always(({ path }) => (path.endsWith(':disable') ? down : undefined))
    await world.rotate(drive, ({ rotation }) => rotation?.reason?.includes('503') === true)
    expect(world.keysUpstream()).toHaveLength(2)

    world.google.script.iam.clear()
    const after = await world.rotate(drive)
    world.clock.skip(86_400_000)
    await removeVersions(await world.read())
    expect(world.keysUpstream()).toEqual([{ id: after.keyId, disabled: false }])
  })

  test('touches neither of two unknown keys, and says that only an abort helps', async () => {
    const { world, email, drive } = await loseCreation()
    await world.google.addKey(email)
    const { rotation } = await world.rotate(
      drive,
      ({ rotation: now }) => now?.reason?.includes('appeared while') === true,
    )

    expect(rotation?.step).toBe('create')
    expect(world.keysUpstream().map(({ disabled }) => disabled)).toEqual([false, false, false])
    for (const { id } of world.keysUpstream().slice(1)) expect(rotation?.reason).toContain(id)
  })
})

/** A key that was uploaded, whose name upstream nobody heard. */
async function loseUpload(listLag = 0): Promise<Scene> {
  const scene = await startWorld({ listLag })
  loseAnswerTo(scene, 'uploadKey')
  await scene.rotations.begin(name)
  await scene.world.rotate(scene.drive, hasFailedAt('upload'))
  return scene
}

/** Two keys of ours upstream: the answer to the first upload was lost, and the list came too late. */
async function uploadTwice(): Promise<Scene> {
  const scene = await startWorld({ listLag: 120 })
  loseAnswerTo(scene, 'uploadKey')
  await scene.rotations.begin(name)
  await scene.world.rotate(scene.drive, hasFailedAt('prove'))
  expect(scene.world.keysUpstream()).toHaveLength(3)
  scene.world.clock.skip(120_000)
  return scene
}

test('an aborted rotation whose second deletion is answered 503 leaves nothing of ours in the end', async () => {
  const { world, rotations, drive } = await uploadTwice()
  const deleted = new Set<string | undefined>()
  let isRefused = false
  world.google.script.iam.always((call) => {
    if (call.method !== 'DELETE') return undefined
    deleted.add(keyIn(call))
    if (deleted.size < 2 || isRefused) return undefined
    isRefused = true
    return down
  })
  await rotations.beginAbort(name)
  await world.rotate(drive)

  expect(isRefused).toBe(true)
  expect(world.keysUpstream()).toEqual([{ id: world.file.private_key_id, disabled: false }])
})

interface Situation {
  readonly what: string
  /** How many calls of IAM it makes when all goes well, at least; so that the table is known to have rows. */
  readonly callsMin: number
  /** What was done before the calls that are to fail. */
  readonly prepare: () => Promise<Scene>
}

const aborting = (prepare: () => Promise<Scene>) => async () => {
  const scene = await prepare()
  await scene.rotations.beginAbort(name)
  return scene
}
const rotatedUntil =
  (until: (credential: CredentialSummary) => boolean, tuning: object = {}) =>
  async () => {
    const scene = await startWorld(tuning)
    await scene.rotations.begin(name)
    await scene.world.rotate(scene.drive, until)
    return scene
  }

const situations: readonly Situation[] = [
  {
    what: 'an abort after the upload',
    callsMin: 2,
    prepare: aborting(rotatedUntil(hasFailedAt('prove'))),
  },
  {
    what: 'an abort after Google made the key',
    callsMin: 1,
    prepare: aborting(rotatedUntil(hasFailedAt('prove'), { keyUploadDisabled: true })),
  },
  {
    what: 'an abort after an upload whose answer was lost',
    callsMin: 3,
    prepare: aborting(() => loseUpload()),
  },
  {
    what: 'an abort after a lost upload that is listed late',
    callsMin: 3,
    prepare: aborting(() => loseUpload(45)),
  },
  { what: 'an abort after two uploads', callsMin: 4, prepare: aborting(uploadTwice) },
  {
    what: 'an abort after a creation whose answer was lost',
    callsMin: 2,
    prepare: aborting(() => loseCreation()),
  },
  {
    what: 'an abort after a lost creation that is listed late',
    callsMin: 2,
    prepare: aborting(() => loseCreation({ listLag: 45 })),
  },
  { what: 'the look-up of a lost creation', callsMin: 4, prepare: () => loseCreation() },
  {
    what: 'the look-up of a lost creation that is listed late',
    callsMin: 4,
    prepare: () => loseCreation({ listLag: 45 }),
  },
]

const failures = [
  { how: 'is answered 503', behaviour: down },
  { how: 'is done and its answer is lost', behaviour: { do: 'reset' } },
  { how: 'is not done, for the connection breaks', behaviour: { do: 'reset', when: 'before_answer' } },
  { how: 'is answered with half a document', behaviour: { do: 'truncate' } },
  {
    how: 'is refused',
    behaviour: { do: 'google_error', status: 'PERMISSION_DENIED', message: 'not now' },
  },
] satisfies readonly { readonly how: string; readonly behaviour: Behaviour }[]

/** Finishes what was prepared while the IAM call of that number fails; how many there were. */
async function finish({ world, drive, removeVersions }: Scene, failAt: number, behaviour: Behaviour) {
  let calls = 0
  world.google.script.iam.always(() => {
    calls += 1
    return calls === failAt ? behaviour : undefined
  })
  await world.rotate(drive)
  // The deletion of what was switched off is one of the calls that may fail.
  for (let day = 0; day < 2; day += 1) {
    world.clock.skip(86_400_000)
    await removeVersions(await world.read()).catch(() => undefined)
  }
  return calls
}

describe.each(situations)('$what', ({ prepare, callsMin }) => {
  test.each(failures)(
    'leaves nothing of ours when one of its IAM calls $how',
    { timeout: 60_000 },
    async ({ behaviour }) => {
      let tried = 0
      for (let failAt = 1; ; failAt += 1) {
        const scene = await prepare()
        const calls = await finish(scene, failAt, behaviour)
        const credential = await scene.world.read()
        expect(credential.rotation).toBeUndefined()
        expect(scene.world.keysUpstream()).toEqual([{ id: credential.keyId, disabled: false }])
        expect(credential.versions.filter(({ removal }) => removal !== undefined)).toEqual([])
        expect(scene.world.leaks()).toEqual([])
        await scene.world.google.close()
        if (calls < failAt) break
        tried += 1
      }
      expect(tried).toBeGreaterThanOrEqual(callsMin)
    },
  )
})
