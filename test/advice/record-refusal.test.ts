import { describe, expect, it } from 'vitest'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { redactTokens } from '../../src/adapters/system/audit-trail.ts'
import { BrokerError } from '../../src/domain/broker-error.ts'
import type { ExchangeRequest } from '../../src/domain/exchange-request.ts'
import { Secret } from '../../src/domain/secret.ts'
import { seconds } from '../../src/domain/time.ts'
import { createRecordRefusal, createUsageRecorder } from '../../src/advice/record-use.ts'
import { createRefusals } from '../../src/records/refusals.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createFaultyStore } from '../support/faulty-store.ts'
import { createAwaitableBackground, createLogBook } from '../support/quiet.ts'

const requestId = '5a0d3f8e-1f8b-4f6b-8f0a-6a6d2a1c9b77'
const request: ExchangeRequest = {
  proof: { form: 'subject_token', assertion: new Secret('an assertion') },
  target: 'reports-sa',
  scopes: ['a'],
  tokenType: 'access_token',
  subject: 'user@acme.example',
  lifetime: seconds(900),
  boundary: [
    {
      availableResource: '//r',
      availablePermissions: ['inRole:roles/x'],
      availabilityCondition: { expression: 'true', title: 't' },
    },
  ],
}
const claims = { sub: 'billing', ns: 'billing', email: 'user@acme.example' }
const caller = { issuer: 'https://a.example', issuerName: 'a', subject: 'billing', claims }
const refusal = (code: ConstructorParameters<typeof BrokerError>[0]) =>
  new BrokerError(code, { reason: 'why', condition: 'scopes' })

function createWorld(admits = true) {
  const clock = createFakeClock()
  const store = createFaultyStore(createMemoryStore({ clock }))
  const refusals = createRefusals({ store })
  const background = createAwaitableBackground()
  const { log, lines } = createLogBook()
  const noteRefusal = createRecordRefusal({
    refusals,
    claimsLookedAt: () => Promise.resolve(new Set(['ns'])),
    redact: redactTokens,
    limit: () => (admits ? { admitted: true } : { admitted: false, retryAfter: seconds(1) }),
    noting: createUsageRecorder({ background, clock, log }),
    clock,
  })
  const note = async (change: Partial<Parameters<typeof noteRefusal>[0]> = {}) => {
    await noteRefusal({ requestId, caller, request, error: refusal('scope_refused'), ...change })
    await background.settled()
  }
  return { clock, store, refusals, lines, note }
}

describe('a refusal', () => {
  it('is found by its request id for a week, with the claims that policy looks at and no others', async () => {
    const { note, refusals, clock } = createWorld()
    await note()
    const { proof: _, ...asked } = request
    expect(await refusals.find(requestId)).toEqual({
      requestId,
      at: clock.now(),
      error: 'scope_refused',
      reason: 'why',
      condition: 'scopes',
      question: { issuer: 'https://a.example', claims: { sub: 'billing', ns: 'billing' }, ...asked },
    })
    await clock.advance(7 * 86_400_000)
    expect(await refusals.find(requestId)).toBeUndefined()
  })

  it.each(['../policies', '', 'x/y', 'A'.repeat(99)])('of the id %j is not looked for', async (id) => {
    const { refusals, store } = createWorld()
    expect(await refusals.find(id)).toBeUndefined()
    expect(store.counts.get).toBe(0)
  })

  it.each(['upstream_unavailable', 'lease_busy', 'caller_throttled', 'client_assertion_rejected'] as const)(
    'of the code %s is kept like one by policy',
    async (code) => {
      const { note, refusals } = createWorld()
      await note({ error: new BrokerError(code, { reason: 'why' }) })
      expect(await refusals.find(requestId)).toMatchObject({
        error: code,
        reason: 'why',
        question: { target: 'reports-sa' },
      })
    },
  )

  it('P23: that was a bug is kept as one, without its text', async () => {
    const { note, refusals } = createWorld()
    await note({ error: new TypeError('ya29.secret') })
    const kept = await refusals.find(requestId)
    expect(kept).toMatchObject({ error: 'bug' })
    expect(JSON.stringify(kept)).not.toContain('ya29')
  })

  it('P23: is kept without the tokens that its caller put into the wrong parameters', async () => {
    const { note, store } = createWorld()
    const jwt = `eyJ${'a'.repeat(40)}.eyJ${'b'.repeat(40)}.c`
    await note({ request: { ...request, target: jwt, scopes: [jwt], subject: jwt, resource: jwt } })
    const stored = await store.get(`refusals/${requestId}`)
    expect(JSON.stringify(stored)).toContain('[cut]')
    expect(JSON.stringify(stored)).not.toContain('aaaa')
  })

  it('P24: is not kept when there are too many', async () => {
    const { note, store } = createWorld(false)
    await note()
    expect(store.counts.put).toBe(0)
  })

  it('P20: waits for a store that is down once in half a minute', async () => {
    const { note, store, clock } = createWorld()
    store.down = true
    await note()
    const attempts = store.counts.put
    await note()
    expect(store.counts.put).toBe(attempts)
    store.down = false
    await clock.advance(30_000)
    await note()
    await note()
    expect(store.counts.put).toBe(attempts + 2)
  })

  it('that cannot be kept harms nobody and is logged', async () => {
    const { note, store, lines } = createWorld()
    store.down = true
    await note()
    expect(lines).toMatchObject([{ level: 'warn', fields: { requestId } }])
  })
})
