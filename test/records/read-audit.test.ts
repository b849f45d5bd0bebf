import { describe, expect, it } from 'vitest'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { auditMembers } from '../../src/adapters/system/audit-trail.ts'
import type { AuditRecord } from '../../src/domain/audit-record.ts'
import { epochSeconds } from '../../src/domain/time.ts'
import type { DocumentStore } from '../../src/ports/document-store.ts'
import { createStoredAuditTrail } from '../../src/records/audit-log.ts'
import { createReadAudit, type AuditFilter } from '../../src/records/read-audit.ts'
import { createFakeClock } from '../support/fake-clock.ts'

function createWorld() {
  const clock = createFakeClock()
  const store = createMemoryStore({ clock })
  let read = 0
  const counting: Pick<DocumentStore, 'list'> = {
    list: async (options) => {
      const found = await store.list(options)
      read += found.length
      return found
    },
  }
  const trail = createStoredAuditTrail({
    store,
    clock,
    background: { runsAfterAnswer: true, run: () => undefined },
    newId: () => 'unused',
    sharesWork: false,
    keepDays: 40,
    membersOf: auditMembers,
  })
  let count = 0
  const add = async (ago: number, changes: Partial<AuditRecord> = {}) => {
    count += 1
    const requestId = `${String(count).padStart(8, '0')}-0000-4000-8000-000000000000`
    const at = epochSeconds(clock.now() - ago)
    await trail({ requestId, at, action: 'token.exchange', outcome: 'issued', durationMs: 1, ...changes })
  }
  const readAudit = createReadAudit({ store: counting, clock })
  /** Every page, and what the answers looked at. */
  const readAll = async (filter: AuditFilter, limit: number) => {
    const times: number[] = []
    const pages: number[] = []
    for (let before: string | undefined; ;) {
      const page = await readAudit({ filter, limit, ...(before === undefined ? {} : { before }) })
      times.push(...page.records.map(({ at }) => Number(at)))
      pages.push(page.records.length)
      if (page.place === undefined) return { times, pages }
      before = page.place
    }
  }
  return { clock, store, add, readAudit, readAll, read: () => read }
}

describe('reading the audit trail', () => {
  it.each([
    ['seconds', 1, 250],
    ['hours', 3600, 250],
    ['days with gaps', 86_400 * 1.7, 20],
    ['one and the same second', 0, 700],
  ])('gives every record once and the newest first, where they are %s apart', async (_, apart, count) => {
    const { add, readAll, clock } = createWorld()
    for (let one = 0; one < count; one += 1) await add(Math.floor(one * apart))
    const { times, pages } = await readAll({}, 60)
    expect(times).toEqual(Array.from({ length: count }, (__, one) => clock.now() - Math.floor(one * apart)))
    expect(pages.slice(0, -1).every((size) => size === 60)).toBe(true)
  })

  it('gives what was decided in one second newest first, whatever the request ids, and after records of before', async () => {
    const { add, clock, store, readAudit } = createWorld()
    const ids = ['f', '3', 'a', '9', '0'].map((digit) => `${digit.repeat(8)}-0000-4000-8000-000000000000`)
    const members = { schema: 1, at: clock.now(), action: 'token.exchange', outcome: 'issued' }
    // As versions before 0.2 named them.
    const old = { ...members, request_id: 'former' }
    await store.put(`audit/00${clock.now()}-77777777-0000-4000-8000-000000000000`, old, {})
    for (const requestId of ids) await add(0, { requestId })
    const asked = async (before?: string) =>
      readAudit({ filter: {}, limit: 4, ...(before === undefined ? {} : { before }) })
    const first = await asked()
    const rest = await asked(first.place)
    const shown = [...first.records, ...rest.records].map((record) => record['request_id'])
    expect(shown.filter((id) => id !== 'former')).toEqual(ids.toReversed())
    expect(shown).toContain('former')
  })

  it('reads at most 100 documents for a page of a trail of 100,000 in 30 days', async () => {
    const { add, readAudit, read } = createWorld()
    for (let one = 0; one < 2_000; one += 1) await add(Math.floor(one * 25.9))
    const page = await readAudit({ filter: {}, limit: 50 })
    expect(page.records).toHaveLength(50)
    expect(read()).toBeLessThanOrEqual(100)
  })

  it('matches every filter exactly, and a span of time', async () => {
    const { add, readAll, readAudit, clock } = createWorld()
    await add(10, { caller: 'billing', issuer: 'a', credential: 'reports', rule: 'r', outcome: 'refused' })
    await add(20, { caller: 'billing', issuer: 'b', credential: 'reports' })
    await add(30, {
      caller: 'exporter',
      issuer: 'a',
      credential: 'mail',
      action: 'credential.read',
      outcome: 'done',
    })
    const agoOf = async (filter: AuditFilter) =>
      (await readAll(filter, 10)).times.map((time) => clock.now() - time)
    expect(await agoOf({ caller: 'billing' })).toEqual([10, 20])
    expect(await agoOf({ issuer: 'a' })).toEqual([10, 30])
    expect(await agoOf({ credential: 'reports', outcome: 'issued' })).toEqual([20])
    expect(await agoOf({ rule: 'r' })).toEqual([10])
    expect(await agoOf({ action: 'credential.read' })).toEqual([30])
    expect(await agoOf({ withoutReads: true })).toEqual([10, 20])
    expect(await agoOf({ caller: 'bill' })).toEqual([])
    const at = (ago: number) => epochSeconds(clock.now() - ago)
    expect(await agoOf({ since: at(20) })).toEqual([10, 20])
    expect(await agoOf({ until: at(10) })).toEqual([20, 30])
    const { records } = await readAudit({
      filter: { requestId: '00000002-0000-4000-8000-000000000000' },
      limit: 10,
    })
    expect(records).toMatchObject([{ issuer: 'b' }])
  })

  it('looks at 10,000 records and says that there may be more', async () => {
    const { add, readAudit, read } = createWorld()
    for (let one = 0; one < 12_000; one += 1) await add(one)
    await add(12_500, { caller: 'rare' })
    const first = await readAudit({ filter: { caller: 'rare' }, limit: 10 })
    expect(first).toMatchObject({ records: [], isComplete: false })
    expect(read()).toBeLessThan(11_000)
    const next = await readAudit({ filter: { caller: 'rare' }, limit: 10, before: first.place ?? '' })
    expect(next).toMatchObject({ records: [{ caller: 'rare' }], isComplete: true })
  })

  it('a record that comes meanwhile moves no page, and what is no record matches nothing', async () => {
    const { add, readAudit, store } = createWorld()
    for (let one = 0; one < 4; one += 1) await add(one * 10)
    await store.put('audit/001799999999-odd', { schema: 9 })
    const first = await readAudit({ filter: {}, limit: 2 })
    await add(0)
    const next = await readAudit({ filter: {}, limit: 2, before: first.place ?? '' })
    expect(first.records).toHaveLength(2)
    expect(next.records).toHaveLength(2)
    expect(next.records[0]).not.toEqual(first.records[1])
    expect(next.place).toBeUndefined()
  })
})
