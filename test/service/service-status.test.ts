import { expect, it } from 'vitest'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { BrokerError } from '../../src/domain/broker-error.ts'
import { createServiceStatus } from '../../src/service/administer-service.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createFaultyStore } from '../support/faulty-store.ts'
import { createPlainKeyRing } from '../support/plain-key-ring.ts'

function createWorld() {
  const clock = createFakeClock()
  const store = createFaultyStore(createMemoryStore({ clock }))
  const keyRing = createPlainKeyRing()
  const status = createServiceStatus({
    issuer: 'https://tokens.acme.example',
    store,
    keyRing,
    policy: {
      read: () => Promise.reject(new BrokerError('policy_unavailable', { reason: 'line 3: unknown key' })),
    },
    blocks: { read: async () => ({ callers: [], tokens: [] }) },
    upstreams: () => [],
    clock,
    settings: {},
  })
  return { clock, store, keyRing, status }
}

it('each part that is down says why, and none hides another', async () => {
  const { store, keyRing, status } = createWorld()
  store.down = true
  keyRing.down = true
  expect(await status()).toMatchObject({
    store: { ok: false, reason: 'test store: down' },
    keyRing: { ok: false, reason: 'the key ring is down' },
    policy: { ok: false, reason: 'line 3: unknown key' },
  })
})

it('what hangs is a fault after 2.5 s', async () => {
  const { clock, store, status } = createWorld()
  store.before = () => new Promise(() => undefined)
  const answer = status()
  await clock.advance(2_500)
  expect((await answer).store).toEqual({ ok: false, reason: 'no answer within 2500 ms' })
})
