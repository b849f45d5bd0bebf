import { beforeEach, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { createBrokerWorld, type BrokerWorld } from '../support/broker-world.ts'

let world: BrokerWorld

beforeEach(async () => {
  world = await createBrokerWorld()
})

const policyShown = z.object({ document: z.string() })
const pageShown = z.object({
  credentials: z.array(z.object({ name: z.string() })),
  next_after: z.optional(z.string()),
})
const policyApplied = z.object({ revision: z.string() })
const billing = { issuer: 'billing', subject: 'billing' }

describe('P27: the record of an act of administration', () => {
  it('P27: names who was blocked and who was let in again, also where that was refused', async () => {
    await world.call('POST /v1/admin/callers:revoke', { as: 'ops', body: billing })
    await world.call('POST /v1/admin/callers:restore', { as: 'ops', body: billing })
    const again = await world.call('POST /v1/admin/callers:restore', { as: 'ops', body: billing })
    expect(again.status).toBe(404)
    await world.call('POST /v1/admin/callers:revoke', { as: 'billing', body: billing })
    const target = 'billing/billing'
    expect(world.audits).toMatchObject([
      { action: 'caller.revoke', outcome: 'done', caller: 'ops', target },
      { action: 'caller.restore', outcome: 'done', caller: 'ops', target },
      { action: 'caller.restore', outcome: 'refused', reason: 'no caller "billing" of "billing" is blocked' },
      { action: 'caller.revoke', outcome: 'refused', caller: 'billing', target },
    ])
  })

  it('P27: names the version that was enrolled, switched off and destroyed', async () => {
    await world.enrol()
    const version = world.audits.at(-1)?.credentialVersion ?? ''
    expect(version).not.toBe('')
    for (const verb of ['disable', 'destroy'])
      await world.call(`POST /v1/admin/credentials/team/versions/${version}:${verb}`, { as: 'ops' })
    expect(world.audits.slice(-2)).toMatchObject([
      { action: 'version.disable', credential: 'team', credentialVersion: version },
      { action: 'version.destroy', credential: 'team', credentialVersion: version },
    ])
  })

  it('P27: names the revision of a policy, the one before it, and that it was forced', async () => {
    const apply = async (path: string, revision: string, text: string) =>
      world.call(`PUT ${path}`, {
        as: 'ops',
        headers: { 'if-match': `"${revision}"`, 'content-type': 'application/json' },
        body: text,
      })
    const read = await world.call('GET /v1/admin/policy', { as: 'ops' })
    const { document } = policyShown.parse(await read.json())
    const applied = await apply('/v1/admin/policy', 'first', document)
    const { revision } = policyApplied.parse(await applied.json())
    expect(world.audits.at(-1)).toMatchObject({
      action: 'policy.apply',
      formerPolicyRevision: 'first',
      policyRevision: revision,
    })
    expect(world.audits.at(-1)).not.toHaveProperty('forced')

    const locking = JSON.stringify({ ...(JSON.parse(document) as object), admins: [] })
    expect((await apply('/v1/admin/policy', revision, locking)).status).toBe(409)
    expect((await apply('/v1/admin/policy?force=true', revision, locking)).status).toBe(200)
    expect(world.audits.at(-1)).toMatchObject({ formerPolicyRevision: revision, forced: true })
  })
})

describe('P25: credentials of which some cannot be read', () => {
  const damage = async (count: number) => {
    for (let index = 0; index < count; index += 1)
      await world.store.put(`credentials/a${index}`, { schema: 1 })
  }
  const names = async () => {
    const seen: string[] = []
    for (let after: string | undefined = ''; after !== undefined;) {
      const answer = await world.call(`GET /v1/admin/credentials?limit=1${after && `&after=${after}`}`, {
        as: 'ops',
      })
      const page = pageShown.parse(await answer.json())
      seen.push(...page.credentials.map(({ name }) => name))
      after = page.next_after
    }
    return seen
  }

  it('are listed to the end, page by page, without those', async () => {
    await world.enrol()
    await damage(5)
    expect(await names()).toEqual(['team'])
  })

  it('are maintained, however many those are', async () => {
    await world.enrol()
    await damage(120)
    await world.clock.advance(40 * 86_400_000)
    const answer = await world.call('POST /v1/admin/maintenance:run', { as: 'ops' })
    expect(answer.status).toBe(200)
    expect(await answer.json()).toMatchObject({ probed: [{ credential: 'team' }] })
  })
})

it('P24: thousands of requests of strangers leave a line each, and a few documents in a store that keeps the trail', async () => {
  const world = await createBrokerWorld(undefined, {
    DOWNSCOPE_AUDIT: 'stdout+store',
    DOWNSCOPE_TOTAL_RATE: '1000',
  })
  const before = world.store.counts.put
  const body = new URLSearchParams({ grant_type: 'client_credentials', client_assertion: 'none' })
  const statuses = new Set<number>()
  for (let come = 0; come < 1_500; come += 1) {
    statuses.add((await world.call('POST /v1/token', { body })).status)
    statuses.add((await world.call('GET /v1/admin/credentials')).status)
  }
  expect(statuses).toEqual(new Set([400, 401, 429]))
  expect(world.audits).toHaveLength(3_000)
  await world.clock.advance(60_000)
  // The counts of them all, and one event with its mark that refusals were many.
  expect(world.store.counts.put - before).toBeLessThanOrEqual(3)

  const [kept, ...others] = await world.store.list({ prefix: 'audit/', limit: 10 })
  expect(others).toEqual([])
  const counts = Object.values(z.record(z.string(), z.number()).parse(kept?.value['requests']))
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(3_000)
  // Positive control: what a known caller does is kept by itself.
  await world.call('GET /v1/admin/credentials', { as: 'ops' })
  expect(await world.store.list({ prefix: 'audit/', limit: 10 })).toHaveLength(2)
})
