import { describe, expect, test } from 'vitest'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { BrokerError } from '../../src/domain/broker-error.ts'
import type { CredentialSummary } from '../../src/domain/credential.ts'
import { epochSeconds } from '../../src/domain/time.ts'
import { createMaintenance, type MaintenanceDeps } from '../../src/maintenance/maintenance.ts'
import { createMaintenanceProgress } from '../../src/records/maintenance-progress.ts'
import { summary } from '../support/fake-modules.ts'
import { createLogBook } from '../support/quiet.ts'
import { createSequence } from '../support/sequence.ts'
import { createSkippingClock } from '../support/skipping-clock.ts'

const names = Array.from({ length: 250 }, (_, index) => `sa-${String(index).padStart(3, '0')}`)

/** So many credentials with a rotation under way, each step of which takes some time. */
function createWorld(stepMs: number, changes: Partial<MaintenanceDeps> = {}) {
  const clock = createSkippingClock()
  const store = createMemoryStore({ clock })
  const now = clock.now()
  const rotation = {
    id: 'r',
    method: 'upload',
    step: 'prove',
    since: now,
    startedAt: now,
    nextTryAt: now,
    failures: 0,
    former: '1',
  } as const
  const held = names.map((name): CredentialSummary => ({
    ...summary,
    name,
    rotation,
    health: { status: 'healthy', since: now },
  }))
  const driven: string[] = []
  const maintain = createMaintenance({
    credentials: {
      find: async (name) => held.find((credential) => credential.name === name),
      list: async ({ after = '', limit }) => held.filter(({ name }) => name > after).slice(0, limit),
    },
    rotations: { begin: () => Promise.resolve(undefined) },
    progress: createMaintenanceProgress({ store }),
    drive: async (name) => {
      driven.push(name)
      clock.skip(stepMs)
      return 1
    },
    removeVersions: () => Promise.resolve({ removed: [], waiting: [] }),
    probe: () => Promise.resolve(),
    sweep: () => Promise.resolve({ deleted: 0, isMoreLeft: false }),
    summarise: () => Promise.resolve(),
    lastRunAt: () => Promise.resolve(undefined),
    events: { emit: () => Promise.resolve(), deliver: () => Promise.resolve() },
    clock,
    entropy: createSequence(),
    log: createLogBook().log,
    ...changes,
  })
  return { maintain, driven, store }
}

/** One that nobody has used for long. */
const idleSummary = (name: string): CredentialSummary => ({
  ...summary,
  name,
  health: { status: 'unknown', since: epochSeconds(0) },
})

describe('a maintenance run', () => {
  test('looks at every credential, in as many pages as it takes', async () => {
    const { maintain, driven } = createWorld(0)
    expect((await maintain()).isMoreLeft).toBe(false)
    expect(driven).toEqual(names)
  })

  test('ends after 20 s, and the next one goes on where it stopped, until all had their turn', async () => {
    const { maintain, driven } = createWorld(200)
    const runs = []
    for (let run = 0; run < 3; run += 1) runs.push((await maintain()).isMoreLeft)
    expect(runs).toEqual([true, true, false])
    expect(driven).toEqual(names)
  })

  test('begins anew where its note cannot be read', async () => {
    const { maintain, driven, store } = createWorld(0)
    await store.put('maintenance/progress', { schema: 1, after: 7 })
    await maintain()
    expect(driven).toHaveLength(names.length)
  })

  test('gives each idle credential its turn, whatever fails each time before it', async () => {
    const idle = new Set(names.slice(0, 60))
    const entropy = createSequence()
    const { maintain } = createWorld(0, {
      credentials: {
        find: async (name) => idleSummary(name),
        list: async ({ after = '', limit }) =>
          [...idle]
            .filter((name) => name > after)
            .slice(0, limit)
            .map((name) => idleSummary(name)),
      },
      probe: async ({ name }) => {
        if (name < 'sa-020') throw new BrokerError('target_unavailable', { reason: 'its upstream is gone' })
        idle.delete(name)
      },
      entropy,
    })
    for (let run = 0; run < 20; run += 1) {
      entropy.nextFraction = (run * 0.381966) % 1
      const { probed, faults } = await maintain()
      expect([probed.length, faults.every(({ task }) => task === 'probe')]).toEqual([10, true])
    }
    expect([...idle]).toEqual(names.slice(0, 20))
  })

  test('reports a store that is down, and a bug is no report', async () => {
    const down = () => Promise.reject(new BrokerError('store_unavailable', { reason: 'it is down' }))
    const { maintain } = createWorld(0, { drive: down, sweep: down })
    const { faults, swept } = await maintain()
    expect([faults.length, swept]).toEqual([names.length + 1, undefined])

    const bug = createWorld(0, { drive: () => Promise.reject(new TypeError('a bug')) })
    await expect(bug.maintain()).rejects.toThrow('a bug')
  })
})
