import { describe, expect, it } from 'vitest'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { auditMembers } from '../../src/adapters/system/audit-trail.ts'
import type { AuditRecord } from '../../src/domain/audit-record.ts'
import { epochSeconds, seconds } from '../../src/domain/time.ts'
import { createAuditTrails, createStoredAuditTrail } from '../../src/records/audit-log.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createFaultyStore } from '../support/faulty-store.ts'
import { createSequence } from '../support/sequence.ts'

const record: AuditRecord = {
  requestId: '00000000-0000-4000-8000-000000000001',
  at: epochSeconds(1_800_000_000),
  action: 'token.exchange',
  outcome: 'issued',
  caller: 'billing',
  scopesIssued: ['a'],
  remaining: seconds(3000),
  durationMs: 1.2345,
}

function createWorld() {
  const clock = createFakeClock()
  const store = createFaultyStore(createMemoryStore({ clock }))
  const running: Promise<void>[] = []
  const background = {
    runsAfterAnswer: true,
    run: (work: () => Promise<void>) => void running.push(work()),
  }
  const entropy = createSequence(7)
  const trailOf = (sharesWork: boolean) =>
    createStoredAuditTrail({
      store,
      clock,
      background,
      newId: entropy.uuid,
      keepDays: 2,
      membersOf: (given) => auditMembers(given, 'instance-1'),
      sharesWork,
    })
  return { clock, store, trail: trailOf(true), trailOf, written: () => Promise.all(running) }
}

describe('the audit trail in the store', () => {
  it('P27: keeps what was decided, in the order of time', async () => {
    const { store, trail } = createWorld()
    await trail({ ...record, requestId: 'later', at: epochSeconds(1_800_000_001) })
    await trail(record)
    const stored = await store.list({ prefix: 'audit/', limit: 10 })
    expect(stored.map(({ value }) => value['request_id'])).toEqual([record.requestId, 'later'])
    expect(stored[0]?.value).toEqual({
      schema: 1,
      request_id: record.requestId,
      instance: 'instance-1',
      at: 1_800_000_000,
      action: 'token.exchange',
      outcome: 'issued',
      caller: 'billing',
      scopes_issued: ['a'],
      remaining_seconds: 3000,
      duration_ms: 1.235,
    })
  })

  it('forgets a record after its days', async () => {
    const { clock, store, trail } = createWorld()
    await trail(record)
    await clock.advance(2 * 86_400_000 - 1000)
    expect(await store.list({ prefix: 'audit/', limit: 10 })).toHaveLength(1)
    await clock.advance(1000)
    expect(await store.list({ prefix: 'audit/', limit: 10 })).toHaveLength(0)
  })

  it('P27: a record that could not be written is an error', async () => {
    const { store, trail } = createWorld()
    store.down = true
    await expect(trail(record)).rejects.toMatchObject({ code: 'store_unavailable' })
  })

  it('of strangers keeps counts alone, however many come in a minute, and what they came to', async () => {
    const { clock, store, trail, written } = createWorld()
    const { caller: _, ...nobodys } = record
    for (let come = 0; come < 5_000; come += 1) {
      await trail({ ...nobodys, outcome: 'refused', error: 'subject_token_rejected' })
      if (come % 2 === 0) await trail({ ...nobodys, outcome: 'refused', error: 'caller_throttled' })
      if (come % 10 === 0) await trail({ ...nobodys, outcome: 'failed', error: 'store_unavailable' })
    }
    expect(store.counts.put).toBe(0)
    await clock.advance(60_000)
    await written()

    const stored = await store.list({ prefix: 'audit/', limit: 10 })
    expect(stored.map(({ value }) => [value['action'], value['outcome'], value['requests']])).toEqual([
      [
        'requests.unauthenticated',
        'refused',
        { 'token.exchange subject_token_rejected': 5_000, 'token.exchange caller_throttled': 2_500 },
      ],
      ['requests.unauthenticated', 'failed', { 'token.exchange store_unavailable': 500 }],
    ])
    // Positive control: of a known caller each is kept.
    await trail({ ...record, requestId: 'known', outcome: 'refused', error: 'target_unavailable' })
    expect(await store.list({ prefix: 'audit/', limit: 10 })).toHaveLength(3)
  })

  it('writes counts with a later request where nothing goes on between requests', async () => {
    const { clock, store, trailOf, written } = createWorld()
    const trail = trailOf(false)
    const { caller: _, ...nobodys } = record
    const refused = { ...nobodys, outcome: 'refused', error: 'request_malformed' } as const
    await trail(refused)
    await clock.advance(120_000)
    expect(store.counts.put).toBe(0)
    await trail(refused)
    await written()

    const stored = await store.list({ prefix: 'audit/', limit: 10 })
    expect(stored.map(({ value }) => value['requests'])).toEqual([{ 'token.exchange request_malformed': 1 }])
  })

  it('P27: with two trails the record counts as written when both have it', async () => {
    const { store, trail } = createWorld()
    const lines: AuditRecord[] = []
    const stdout = async (line: AuditRecord) => {
      await Promise.resolve(lines.push(line))
    }
    const both = createAuditTrails([stdout, trail])
    await both(record)
    expect(lines).toEqual([record])
    store.down = true
    await expect(both({ ...record, requestId: 'second' })).rejects.toMatchObject({
      code: 'audit_unavailable',
    })
  })
})
