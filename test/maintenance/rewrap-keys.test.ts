import { describe, expect, it } from 'vitest'
import { createKeyRing } from '../../src/adapters/key-ring/key-ring.ts'
import { createLocalRingKeys } from '../../src/adapters/key-ring/local-keys.ts'
import { Secret } from '../../src/domain/secret.ts'
import { later, seconds } from '../../src/domain/time.ts'
import { createRefreshLeases } from '../../src/records/refresh-leases.ts'
import { createRotations } from '../../src/records/rotations.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { keyCredential, refreshCredential } from '../support/credential-world.ts'
import { refuse } from '../support/fake-kms.ts'
import {
  createRewrapWorld as createWorld,
  headerOf,
  localKey,
  nameOf,
  oldKey as old,
  patientClock,
  ringOf,
} from '../support/rewrap-world.ts'
import { failure } from '../support/routed-http.ts'

const fresh = localKey('k2', 2)

describe('rewrapping', () => {
  it('seals everything under the first key, and then the old key is not needed any more', async () => {
    const world = createWorld()
    await world.enrol(25)

    const [report, ...more] = await world.rewrapAll([fresh, old], 100)

    expect(more).toEqual([])
    expect(report).toEqual({
      sealingKey: 'k2',
      rewrapped: 25,
      already: 0,
      passing: 0,
      failed: [],
      stillInUse: [],
    })
    expect(await world.readable([fresh])).toBe(25)
  })

  it('goes on where it stopped, a bounded number of records a run, and ends', async () => {
    const world = createWorld()
    await world.enrol(25)

    const reports = await world.rewrapAll([fresh, old], 10)

    expect(reports.map(({ rewrapped }) => rewrapped)).toEqual([10, 10, 5])
    expect(reports.map(({ after }) => after)).toEqual([
      'credentials/credential-0009',
      'credentials/credential-0019',
      undefined,
    ])
  })

  it('lets others have their turn after every record, also where there is nothing to do', async () => {
    const slept: number[] = []
    const world = createWorld({ ...createFakeClock(), sleep: async (ms) => void slept.push(ms) })
    await world.enrol(25)
    await world.rewrapAll([fresh, old], 100)
    slept.length = 0

    expect(await world.rewrapAll([fresh, old], 100)).toMatchObject([{ already: 25, rewrapped: 0 }])
    expect(slept).toEqual(Array.from({ length: 25 }, () => 0))
  })

  it('run again it finds nothing to do, and writes nothing', async () => {
    const world = createWorld()
    await world.enrol(25)
    await world.rewrapAll([fresh, old], 10)
    const writes = world.store.counts.put

    const reports = await world.rewrapAll([fresh, old], 10)

    expect(reports).toMatchObject([{ rewrapped: 0, already: 25, failed: [], stillInUse: [] }])
    expect(world.store.counts.put).toBe(writes)
  })

  it('changes nothing but what is sealed', async () => {
    const world = createWorld()
    await world.credentials([old]).add(refreshCredential)
    const before = await world.store.get('credentials/calendar-user')
    await world.clock.advance(60_000)

    await world.rewrapAll([fresh, old], 10)

    const after = await world.store.get('credentials/calendar-user')
    const without = (value: unknown) => JSON.stringify(value).replace(/"sealed":"[^"]+"/, '')
    expect(without(after?.value)).toBe(without(before?.value))
    expect(after?.value).not.toEqual(before?.value)
  })

  it('seals every version of a credential anew', async () => {
    const world = createWorld()
    await world.credentials([old]).add(keyCredential)
    const rotations = createRotations({ ...world.deps, keyRing: ringOf([old]), holder: 'one' })
    await rotations.beginImport('reports-sa', keyCredential, { withdrawsFormer: false })
    const turn = await rotations.claim('reports-sa')
    const candidate = await rotations.seal('reports-sa', keyCredential)
    if (turn === undefined) throw new Error('a turn was expected')
    await rotations.settle(turn, (record) => ({
      ...record,
      versions: [...record.versions, { ...candidate, state: 'disabled' }],
    }))

    const [report] = await world.rewrapAll([fresh, old], 10)

    expect(report).toMatchObject({ rewrapped: 1, stillInUse: [] })
    const versions = (await world.credentials([fresh]).find('reports-sa'))?.versions ?? []
    expect(versions.length).toBeGreaterThanOrEqual(2)
    expect(JSON.stringify((await world.store.get('credentials/reports-sa'))?.value)).not.toContain(
      headerOf('k1'),
    )
  })

  it('can be stopped anywhere: what was done stays done, and the next run does the rest', async () => {
    const world = createWorld()
    await world.enrol(40)
    let writes = 0
    world.store.before = async (operation) => {
      if (operation === 'put') writes += 1
      if (operation === 'put' && writes === 17) world.store.down = true
    }

    await expect(world.rewrapAll([fresh, old], 100)).rejects.toMatchObject({ code: 'store_unavailable' })
    world.store.down = false
    world.store.before = () => Promise.resolve()
    const [report] = await world.rewrapAll([fresh, old], 100)

    // Of those that were under way with the one that failed, some had been written.
    expect(report?.already).toBeGreaterThanOrEqual(12)
    expect((report?.rewrapped ?? 0) + (report?.already ?? 0)).toBe(40)
    expect(await world.readable([fresh])).toBe(40)
  })

  it('a write whose answer was lost is a write, or none, and never half of one', async () => {
    const world = createWorld()
    await world.enrol(5)
    world.store.losesNextAnswer = true
    await expect(world.rewrapAll([fresh, old], 100)).rejects.toMatchObject({ code: 'store_unavailable' })

    await world.rewrapAll([fresh, old], 100)

    expect(await world.readable([fresh])).toBe(5)
  })

  it('runs twice at once do no harm', async () => {
    const world = createWorld(patientClock())
    await world.enrol(30)

    const runs = await Promise.all([1, 2, 3].map(() => world.rewrapAll([fresh, old], 7)))

    expect(runs.flat().flatMap(({ failed }) => failed)).toEqual([])
    expect(await world.readable([fresh])).toBe(30)
  })

  it('under load nothing that others write is lost', async () => {
    const world = createWorld(patientClock())
    const names = Array.from({ length: 30 }, (_, index) => nameOf(index))
    const credentials = world.credentials([fresh, old])
    for (const name of names) await world.credentials([old]).add({ ...refreshCredential, name })
    const turns = createRefreshLeases({ ...world.deps, keyRing: ringOf([fresh, old]), holder: 'one' })
    const latest = new Map<string, string>()

    const load = names.flatMap((name) =>
      [1, 2, 3].map(async (round) => {
        const version = (await credentials.find(name))?.version ?? ''
        const turn = await turns.begin({ name, version })
        if (!turn.held) return
        const rotated = `refresh-${name}-${round}`
        if ((await turns.end(turn, { rotated: new Secret(rotated) })) === 'ended') latest.set(name, rotated)
      }),
    )
    await Promise.all([...load, world.rewrapAll([fresh, old], 7), world.rewrapAll([fresh, old], 11)])
    await world.rewrapAll([fresh, old], 100)

    expect(latest.size).toBe(30)
    for (const name of names) {
      const version = (await credentials.find(name))?.version ?? ''
      const { secret } = await world.credentials([fresh]).openSecret(name, version)
      expect(secret.kind === 'refresh_token' && secret.refreshToken.reveal()).toBe(latest.get(name))
    }
  })

  it('P25: what cannot be opened or read is named with its reason, and keeps nothing else from being sealed anew', async () => {
    const world = createWorld()
    await world.enrol(3)
    await world.credentials([localKey('gone', 9)]).add({ ...keyCredential, name: 'lost' })
    await world.store.put('credentials/broken', { schema: 1 })

    const [report] = await world.rewrapAll([fresh, old], 100)

    expect(report).toMatchObject({
      rewrapped: 3,
      failed: [
        { key: 'credentials/broken', reason: expect.stringContaining('is malformed') as unknown },
        {
          key: 'credentials/lost',
          reason: expect.stringContaining('there is no key "gone" in the ring') as unknown,
        },
      ],
      stillInUse: [{ keyId: 'gone', records: 1 }],
    })
    expect(await world.readable([fresh], 3)).toBe(3)
  })

  it('a record that changes all the time is named, and so is the key that it still needs', async () => {
    const world = createWorld(patientClock())
    await world.enrol(1)
    let isBusy = false
    world.store.before = async (operation) => {
      if (operation !== 'put' || isBusy) return
      isBusy = true
      const stored = await world.store.get('credentials/credential-0000')
      await world.store.put('credentials/credential-0000', stored?.value ?? {})
      isBusy = false
    }

    expect(await world.rewrapAll([fresh, old], 100)).toMatchObject([
      {
        rewrapped: 0,
        failed: [
          {
            key: 'credentials/credential-0000',
            reason: 'it was changed by other instances 5 times in a row',
          },
        ],
        stillInUse: [{ keyId: 'k1', records: 1 }],
      },
    ])
  })

  it('tokens that die within the hour are left, and longer ones are sealed anew', async () => {
    const world = createWorld()
    await world.keepToken('a', 3600, [old])
    await world.keepToken('b', 3601, [old])
    await world.keepToken('c', 1800, [old])

    const [report] = await world.rewrapAll([fresh, old], 100)

    expect(report).toMatchObject({
      rewrapped: 1,
      passing: 2,
      stillInUse: [{ keyId: 'k1', records: 2, until: later(world.clock.now(), seconds(3600)) }],
    })
    const tokens = world.tokens([fresh])
    expect((await tokens.find('tokens/b')).token?.secret.reveal()).toBe('token b')
    expect(await world.store.get('tokens/b')).toMatchObject({
      expiresAt: later(world.clock.now(), seconds(3601)),
    })
  })

  it('a token whose successor is being minted is left to the one who mints it', async () => {
    const world = createWorld()
    const tokens = world.tokens([fresh, old])
    await world.keepToken('a', 90_000, [old])
    const claim = await tokens.claim(await tokens.find('tokens/a'))

    expect((await world.rewrapAll([fresh, old], 100))[0]).toMatchObject({ rewrapped: 0, passing: 1 })
    if (claim === undefined) throw new Error('a claim was expected')
    expect(await tokens.keep(claim, world.token('a', 90_000))).toBe(true)
  })

  it('pages without work cost no run of their own', async () => {
    const world = createWorld()
    await world.enrol(3)
    for (let index = 0; index < 40; index += 1) await world.keepToken(`t${index}`, 600, [old])
    await world.rewrapAll([fresh, old], 4)

    expect(await world.rewrapAll([fresh, old], 4)).toMatchObject([{ already: 3, passing: 40 }])
  })

  it('an empty store is done at once', async () => {
    expect(await createWorld().rewrapAll([fresh], 4)).toMatchObject([{ rewrapped: 0, already: 0 }])
  })
})

describe('rewrapping under Cloud KMS', () => {
  it('moves a store there and back', async () => {
    const world = createWorld()
    await world.enrol(5)
    const { kms, keys } = world.kms()

    const [there] = await world.rewrapUnder(createKeyRing([keys, createLocalRingKeys([old])]), 100)
    expect(there).toMatchObject({
      sealingKey: `${kms.cryptoKey}/cryptoKeyVersions/1`,
      rewrapped: 5,
      stillInUse: [],
    })
    expect(await world.readableBy(createKeyRing([keys]))).toBe(5)

    const [back] = await world.rewrapUnder(createKeyRing([createLocalRingKeys([old]), keys]), 100)
    expect(back).toMatchObject({ sealingKey: 'k1', rewrapped: 5, stillInUse: [] })
    expect(await world.readable([old])).toBe(5)
  })

  it('after a new version of the key at Google everything is sealed under that one', async () => {
    const world = createWorld()
    const { kms, keys } = world.kms()
    const ring = createKeyRing([keys])
    await world.credentialsOf(ring).add(keyCredential)
    kms.rotateTo(2)

    const [report] = await world.rewrapUnder(ring, 100)

    expect(report).toMatchObject({
      sealingKey: `${kms.cryptoKey}/cryptoKeyVersions/2`,
      rewrapped: 1,
      stillInUse: [],
    })
  })

  it('P20: an outage ends the run as such, and is no fault of any record', async () => {
    const world = createWorld()
    const { keys: theirs } = world.kms()
    const { kms, keys } = world.kms()
    await world.enrol(3)
    kms.fail(failure('network'))
    const down = createKeyRing([createLocalRingKeys([fresh, old]), keys])
    expect(await world.rewrapUnder(down, 100)).toMatchObject([{ rewrapped: 3, failed: [] }])

    await world.credentialsOf(createKeyRing([theirs])).add(keyCredential)
    await expect(world.rewrapUnder(down, 100)).rejects.toMatchObject({ code: 'key_ring_unavailable' })
    await expect(world.rewrapUnder(createKeyRing([keys]), 100)).rejects.toMatchObject({
      code: 'key_ring_unavailable',
    })
  })

  it('a version that is disabled is a fault of what it sealed', async () => {
    const world = createWorld()
    const { keys: theirs } = world.kms()
    const { kms, keys } = world.kms()
    await world.enrol(3)
    await world.credentialsOf(createKeyRing([theirs])).add(keyCredential)
    kms.fail(refuse(400, 'FAILED_PRECONDITION'))

    const [report] = await world.rewrapUnder(createKeyRing([createLocalRingKeys([fresh, old]), keys]), 100)

    expect(report).toMatchObject({ rewrapped: 3, failed: [{ key: 'credentials/reports-sa' }] })
  })
})
