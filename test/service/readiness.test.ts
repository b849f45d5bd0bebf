import { describe, expect, it } from 'vitest'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { BrokerError } from '../../src/domain/broker-error.ts'
import { createReadiness } from '../../src/service/readiness.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createSequence } from '../support/sequence.ts'
import { createFaultyStore } from '../support/faulty-store.ts'
import { createPlainKeyRing } from '../support/plain-key-ring.ts'
import { createLogBook } from '../support/quiet.ts'

function createWorld() {
  const clock = createFakeClock()
  const store = createFaultyStore(createMemoryStore({ clock }))
  const keyRing = createPlainKeyRing()
  const policy = { fault: undefined as Error | undefined }
  const nothing = { callers: [], tokens: [] }
  const blocks = { stopped: false }
  const { log, lines } = createLogBook()
  const readiness = createReadiness({
    store,
    keyRing,
    policy: () => (policy.fault === undefined ? Promise.resolve('a policy') : Promise.reject(policy.fault)),
    blocks: () => (blocks.stopped ? { ...nothing, stopped: { by: 'ops/ops', since: clock.now() } } : nothing),
    clock,
    log,
    entropy: createSequence(),
    sharesWork: true,
  })
  return { blocks, clock, store, keyRing, policy, lines, readiness }
}

describe('readiness', () => {
  it('is there when store, key ring and policy are', async () => {
    const { readiness, lines } = createWorld()
    expect(await readiness()).toEqual({ store: 'ok', keyRing: 'ok', policy: 'ok' })
    expect(lines).toEqual([])
  })

  it('is there while the service is stopped, and says so', async () => {
    const { readiness, blocks } = createWorld()
    blocks.stopped = true
    expect(await readiness()).toEqual({ store: 'ok', keyRing: 'ok', policy: 'ok', isStopped: true })
  })

  it('names what is not, and comes back by itself', async () => {
    const { readiness, store, keyRing, policy, lines, clock } = createWorld()
    store.down = true
    expect(await readiness()).toEqual({ store: 'fault', keyRing: 'ok', policy: 'ok' })
    store.down = false
    await clock.advance(5_000)
    keyRing.down = true
    expect(await readiness()).toEqual({ store: 'ok', keyRing: 'fault', policy: 'ok' })
    keyRing.down = false
    policy.fault = new BrokerError('policy_unavailable', { reason: 'none yet' })
    expect(await readiness()).toEqual({ store: 'ok', keyRing: 'ok', policy: 'fault' })
    policy.fault = undefined
    expect(await readiness()).toEqual({ store: 'ok', keyRing: 'ok', policy: 'ok' })
    expect(lines.map(({ message }) => message)).toEqual([
      'not ready: store',
      'not ready: key ring',
      'not ready: policy',
    ])
  })

  it('says so within 2.5 s when the store hangs', async () => {
    const { readiness, store, clock } = createWorld()
    store.before = () => clock.sleep(3_600_000)
    const asked = readiness()
    await clock.advance(2_500)
    expect(await asked).toEqual({ store: 'fault', keyRing: 'ok', policy: 'ok' })
  })

  it('is told by a write of its own, at most one in 5 s, however many ask', async () => {
    const { readiness, store, clock } = createWorld()
    const full = new BrokerError('store_unavailable', { reason: 'the disk is full' })
    await Promise.all(Array.from({ length: 20 }, () => readiness()))
    expect(store.counts.put).toBe(1)
    await clock.advance(4_900)
    // A store that reads and does not write, like a full disk, is noticed by the next write.
    store.before = (operation) => (operation === 'put' ? Promise.reject(full) : Promise.resolve())
    expect(await readiness()).toMatchObject({ store: 'ok' })
    await clock.advance(100)
    expect(await readiness()).toMatchObject({ store: 'fault' })
    store.before = () => Promise.resolve()
    expect(await readiness()).toMatchObject({ store: 'fault' })
    expect(store.counts.put).toBe(2)
    await clock.advance(5_000)
    expect(await readiness()).toMatchObject({ store: 'ok' })
  })

  it('hides no bug behind a fault', async () => {
    const { readiness, policy } = createWorld()
    policy.fault = new TypeError('a bug')
    await expect(readiness()).rejects.toBeInstanceOf(TypeError)
  })
})
