import { describe, expect, test } from 'vitest'
import type { CredentialHealth, CredentialSummary } from '../../src/domain/credential.ts'
import { factsOf, healthFact } from '../../src/domain/event.ts'
import { epochSeconds } from '../../src/domain/time.ts'
import { summary } from '../support/fake-modules.ts'

const now = epochSeconds(1_800_000_000)
const at = (seconds: number) => epochSeconds(now + seconds)
const day = 86_400

function facts(changes: Partial<CredentialSummary>, since?: number): readonly object[] {
  return factsOf({ ...summary, ...changes }, { now, since })
}

describe('what is seen of a credential', () => {
  test.each([
    [31, undefined],
    [30, 30],
    [8, 30],
    [7, 7],
    [1.5, 7],
    [1, 1],
    [0.1, 1],
    [0, undefined],
    [-1, undefined],
  ])('with %d days left is the threshold %s', (left, days) => {
    const found = facts({ expiresAt: at(left * day) })

    expect(found).toMatchObject(
      days === undefined
        ? []
        : [{ type: 'credential.ends_soon', key: ['reports-sa', '1', String(days)], data: { days } }],
    )
  })

  test('is told once by each maintenance run after the threshold, or the version, came', () => {
    const expiresAt = at(6 * day)
    const versions = summary.versions.map((version) => ({ ...version, createdAt: at(-60) }))

    expect(facts({ expiresAt }, at(-2 * day))).toHaveLength(1)
    expect(facts({ expiresAt }, at(-day / 2))).toHaveLength(0)
    expect(facts({ expiresAt, versions }, at(-day / 2))).toHaveLength(1)
  })

  test('is nothing of one that is switched off', () => {
    const health: CredentialHealth = { status: 'broken', since: at(-60) }

    expect(facts({ health })).toMatchObject([{ type: 'credential.broken' }])
    for (const state of ['disabled', 'revoked'] as const)
      expect(facts({ health, state, expiresAt: at(day) })).toEqual([])
  })

  test.each([
    [3, -3_600, 1],
    [2, -3_600, 0],
    [9, -3_599, 0],
  ])('with a rotation that failed %d times in %d s is stuck: %d', (failures, since, count) => {
    const rotation = {
      id: 'r1',
      method: 'upload',
      step: 'prove',
      since: at(since),
      startedAt: at(since),
      nextTryAt: now,
      failures,
      reason: 'the key is not known',
      former: '1',
    } as const

    expect(facts({ rotation })).toHaveLength(count)
  })
})

test('another reason does not make a credential break again', () => {
  const first: CredentialHealth = { status: 'broken', since: at(-300), reason: 'a' }
  const history = [first, { status: 'healthy', since: at(-900) } as const, { ...first, since: at(-950) }]
  const other: CredentialHealth = { status: 'broken', since: at(-60), reason: 'b', history }

  expect(healthFact('sa', other).key).toEqual(healthFact('sa', first).key)
  expect(healthFact('sa', { status: 'healthy', since: now, history: [other] }).key).toEqual([
    'sa',
    String(now),
  ])
})
