import { describe, expect, test } from 'vitest'
import { createGauges, type GaugesDeps } from '../../src/compose/gauges.ts'
import type { CredentialSummary } from '../../src/domain/credential.ts'
import { later, seconds } from '../../src/domain/time.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { summary } from '../support/fake-modules.ts'

const clock = createFakeClock()
const now = clock.now()

function gauges(credentials: readonly CredentialSummary[], more: Partial<GaugesDeps> = {}) {
  return createGauges({
    policyStatus: () => ({}),
    summary: { read: () => Promise.resolve(undefined) },
    credentials: { list: ({ limit }) => Promise.resolve(credentials.slice(0, limit)) },
    clock,
    namesCredentials: true,
    ...more,
  })
}

const ending: CredentialSummary = { ...summary, name: 'ending', expiresAt: later(now, seconds(100)) }
const broken: CredentialSummary = {
  ...summary,
  name: 'broken',
  health: { status: 'broken', since: now, reason: 'invalid_grant' },
  expiresAt: later(now, seconds(900)),
}

describe('what is read of credentials and policy', () => {
  test('says of each credential how it is and when it ends', async () => {
    expect(await gauges([ending, broken])()).toEqual([
      { name: 'downscope.policy.faults', value: 0, labels: {} },
      { name: 'downscope.credential.ends_in', value: 100, labels: { credential: 'ending' } },
      { name: 'downscope.credential.ends_in', value: 900, labels: { credential: 'broken' } },
      { name: 'downscope.credential.healthy', value: 1, labels: { credential: 'ending' } },
      { name: 'downscope.credential.healthy', value: 0, labels: { credential: 'broken' } },
    ])
  })

  test('T35: names no credential when that is switched off, and says the worst of all', async () => {
    expect(await gauges([ending, broken], { namesCredentials: false })()).toEqual([
      { name: 'downscope.policy.faults', value: 0, labels: {} },
      { name: 'downscope.credential.ends_in', value: 100, labels: {} },
      { name: 'downscope.credential.healthy', value: 0, labels: {} },
    ])
  })

  test('T35: names none of more than 1,000 credentials, which the summary knows', async () => {
    const row = {
      kind: 'refresh_token',
      upstream: 'google',
      account: '',
      state: 'enabled',
      health: 'healthy',
      scopes: [],
      rotatedAt: now,
    } as const
    const many = (count: number) => ({
      read: () =>
        Promise.resolve({
          at: now,
          credentials: Array.from({ length: count }, (_, index) => ({ ...row, name: `c-${index}` })),
          isCut: false,
          hours: [],
        }),
    })
    const live = Array.from({ length: 60 }, () => ending)
    const named = async (count: number) =>
      (await gauges(live, { summary: many(count) })()).filter(({ labels }) => 'credential' in labels).length

    expect(await named(1_000)).toBe(1_000)
    expect(await named(1_001)).toBe(0)
  })

  test('stays as it was last read while the store is down', async () => {
    let isDown = false
    const list = () => (isDown ? Promise.reject(new Error('down')) : Promise.resolve([broken]))
    const own = createFakeClock()
    const read = gauges([], { credentials: { list }, clock: own })
    await read()
    isDown = true
    await own.advance(15_000)

    expect(await read()).toContainEqual({
      name: 'downscope.credential.healthy',
      value: 0,
      labels: { credential: 'broken' },
    })
  })

  test('says how old the policy is and the oldest rotation of each step', async () => {
    const rotation = (name: string, ago: number): CredentialSummary => ({
      ...summary,
      name,
      rotation: {
        id: name,
        method: 'create',
        step: 'prove',
        since: later(now, seconds(-ago)),
        startedAt: later(now, seconds(-2 * ago)),
        nextTryAt: now,
        failures: 0,
        former: '1',
      },
    })
    const readings = await gauges([rotation('one', 60), rotation('other', 600)])()

    expect(readings).toContainEqual({ name: 'downscope.rotation.age', value: 600, labels: { step: 'prove' } })
    expect(readings.filter(({ name }) => name === 'downscope.rotation.age')).toHaveLength(1)
  })

  test('however often somebody asks, the store is read once in 15 seconds, and its trouble hides no policy', async () => {
    const own = createFakeClock()
    let reads = 0
    const list = () => {
      reads += 1
      return Promise.reject(new Error('down'))
    }
    const read = gauges([], { credentials: { list }, clock: own })
    await read()
    await read()
    expect(reads).toBe(1)
    await own.advance(15_000)

    expect(await read()).toEqual([{ name: 'downscope.policy.faults', value: 0, labels: {} }])
    expect(reads).toBe(2)
  })
})
