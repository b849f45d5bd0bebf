import { describe, expect, it } from 'vitest'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { auditMembers } from '../../src/adapters/system/audit-trail.ts'
import type { AuditRecord } from '../../src/domain/audit-record.ts'
import type { CredentialSummary } from '../../src/domain/credential.ts'
import { epochSeconds, later, seconds } from '../../src/domain/time.ts'
import { createReadSummary, type SummaryQuestion } from '../../src/maintenance/read-summary.ts'
import { createSummarise } from '../../src/maintenance/summarise.ts'
import { createStoredAuditTrail } from '../../src/records/audit-log.ts'
import { createSummaryRecord } from '../../src/records/broker-summary.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { summary as sample } from '../support/fake-modules.ts'

const everything: SummaryQuestion = { needsAttention: false, sort: 'name', offset: 0, limit: 50 }

function createWorld(count: number) {
  const clock = createFakeClock()
  const store = createMemoryStore({ clock })
  const held: CredentialSummary[] = Array.from({ length: count }, (_, index) => ({
    ...sample,
    name: `credential-${String(index).padStart(5, '0')}`,
    identity: `account-${index}@project-${index % 7}.iam.gserviceaccount.com`,
  }))
  const record = createSummaryRecord({ store })
  let reads = 0
  const counting = {
    list: async (options: Parameters<typeof store.list>[0]) => {
      const found = await store.list(options)
      reads += found.length
      return found
    },
  }
  const trail = createStoredAuditTrail({
    store,
    clock,
    background: { runsAfterAnswer: true, run: () => undefined },
    newId: () => 'unused',
    sharesWork: false,
    keepDays: 30,
    membersOf: auditMembers,
  })
  let written = 0
  const used = { credential: 'credential-00001', day: epochSeconds(clock.now() - 86_400) }
  return {
    clock,
    held,
    record,
    reads: () => reads,
    audit: (ago: number, changes: Partial<AuditRecord>) => {
      written += 1
      const at = epochSeconds(clock.now() - ago)
      return trail({
        requestId: `r-${written}`,
        at,
        action: 'token.exchange',
        outcome: 'issued',
        caller: 'b',
        durationMs: 1,
        ...changes,
      })
    },
    summarise: createSummarise({
      store,
      summary: record,
      clock,
      ruleUses: {
        since: async () => [
          {
            ...used,
            rule: 'r',
            tokenTypes: [],
            scopes: [],
            wantedAll: false,
            subjects: [],
            audiences: [],
            resources: [],
            wantedUnbounded: false,
            isCut: false,
          },
        ],
      },
    }),
    readSummary: createReadSummary({
      store: counting,
      summary: record,
      credentials: {
        find: async (name) => {
          reads += 1
          return held.find((one) => one.name === name)
        },
        list: async ({ after = '', limit }) => {
          const page = held.filter(({ name }) => name > after).slice(0, limit)
          reads += page.length
          return page
        },
      },
      policy: async () => ({
        policy: {
          issuers: [],
          upstreams: [],
          admins: [],
          rules: ['r', 'second'].map((name) => ({
            name,
            credential: 'credential-00001',
            callers: [{ issuer: 'cluster', subject: 'billing', claims: {} }],
            scopes: [],
            excessScopes: 'refuse',
            tokenTypes: ['access_token'],
            idTokenAudiences: [],
            subjects: [],
            boundary: [],
            givesImplied: false,
          })),
        },
      }),
      clock,
    }),
  }
}

describe('the summary', () => {
  it('10,000 credentials are one document, and a page reads it and 100 others at most', async () => {
    const world = createWorld(10_000)
    for (let one = 0; one < 300; one += 1) await world.audit(one * 26, { credential: 'credential-00001' })
    await world.summarise(world.held)
    const page = await world.readSummary({ ...everything, search: 'PROJECT-3', offset: 50 })
    expect(page).toMatchObject({ total: 10_000, matching: 1_429, isCut: false })
    expect(page.rows).toHaveLength(50)
    expect(world.reads()).toBeLessThanOrEqual(100)
  })

  it('of few credentials everything is as it is now, without maintenance', async () => {
    const world = createWorld(3)
    const page = await world.readSummary(everything)
    expect(page.rows.map(({ row }) => row.name)).toEqual(world.held.map(({ name }) => name))
    expect(page).toMatchObject({ at: world.clock.now(), total: 3, isCut: false })
    expect(page.rows[1]?.usedBy).toEqual(
      ['r', 'second'].map((rule) => ({ rule, callers: ['cluster/billing'] })),
    )
  })

  it('says up to when the hours are counted, where more came than a page may read', async () => {
    const world = createWorld(3)
    for (let one = 60; one > 0; one -= 1) await world.audit(one * 60, {})
    const cut = await world.readSummary(everything)
    expect(cut.hours.reduce((sum, { issued }) => sum + issued, 0)).toBe(50)
    expect(cut.hoursCutAt).toBe(world.clock.now() - 11 * 60)
    await world.summarise(world.held)
    const whole = await world.readSummary(everything)
    expect(whole.hours.reduce((sum, { issued }) => sum + issued, 0)).toBe(60)
    expect(whole).not.toHaveProperty('hoursCutAt')
  })

  it('more than a page of credentials without a summary are said to be cut', async () => {
    expect(await createWorld(60).readSummary(everything)).toMatchObject({ total: 50, isCut: true })
  })

  it('a page shows a change that was made after maintenance', async () => {
    const world = createWorld(60)
    await world.summarise(world.held)
    world.held[0] = { ...(world.held[0] ?? sample), state: 'disabled' }
    const { rows } = await world.readSummary({ ...everything, limit: 1 })
    expect(rows).toMatchObject([{ row: { name: 'credential-00000', state: 'disabled' } }])
  })

  it('says which want attention, the last use, and sorts by when a credential ends', async () => {
    const world = createWorld(4)
    const [one = sample, two = sample, three = sample, four = sample] = world.held
    const soon = later(world.clock.now(), seconds(86_400))
    world.held.splice(
      0,
      4,
      { ...one, health: { status: 'broken', since: soon } },
      { ...two, expiresAt: soon },
      { ...three, state: 'revoked', health: { status: 'broken', since: soon } },
      four,
    )
    for (let refusals = 0; refusals < 20; refusals += 1)
      await world.audit(60, { outcome: 'refused', error: 'scope_refused', credential: four.name })
    await world.summarise(world.held)
    const page = await world.readSummary({ ...everything, needsAttention: true, sort: 'ends_at' })
    expect(page.rows.map(({ attention }) => attention)).toEqual(['ends_soon', 'broken', 'refused_often'])
    expect(page.rows[0]?.row.lastUsed).toBe(world.clock.now() - 86_400)
    expect(page.rows[2]?.refusedToday).toBe(20)
  })

  it('counts each record once, in its hour, whenever maintenance runs', async () => {
    const world = createWorld(1)
    await world.audit(7_200, {})
    // What else was done is no token request.
    await world.audit(7_150, { action: 'credential.change' })
    await world.audit(7_100, { outcome: 'refused', error: 'scope_refused' })
    await world.summarise(world.held)
    await world.audit(10, { outcome: 'failed', error: 'bug' })
    await world.summarise(world.held)
    const { hours } = await world.readSummary(everything)
    const sum = (of: 'issued' | 'refused' | 'failed') => hours.reduce((all, hour) => all + hour[of], 0)
    expect([sum('issued'), sum('refused'), sum('failed')]).toEqual([1, 1, 1])
    expect(hours.length).toBeGreaterThan(1)
  })

  it('a summary that cannot be read counts as none', async () => {
    const world = createWorld(2)
    await world.summarise(world.held)
    expect((await world.record.read())?.credentials).toHaveLength(2)
    const clock = createFakeClock()
    const store = createMemoryStore({ clock })
    await store.put('maintenance/summary', { schema: 1, at: 1, credentials: 'x', is_cut: false, hours: [] })
    expect(await createSummaryRecord({ store }).read()).toBeUndefined()
  })
})
