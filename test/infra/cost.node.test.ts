import { describe, expect, test } from 'vitest'
import { costTables, priceOf, readPrices, scale, uses, type Spent } from '../../infra/bench/cost.ts'
import { readPage } from '../support/guides.ts'

const one = (reads: number, writes = 0, upstream = 0, cpuMs = 1): Spent => ({
  reads,
  writes,
  upstream,
  cpuMs,
})
const units = { minted: one(5, 5, 1, 20), fromStore: one(3), fromMemory: one(0) }

describe('what a million tokens cost', () => {
  test('is each mint, each first look of another instance, and the rest from memory', () => {
    const use = { name: 'x', kind: 'workload', mints: 1_000 } as const

    expect(scale(use, units, 1)).toEqual(one(5_000, 5_000, 1_000, 20_000 + 999_000))
    expect(scale(use, units, 10)).toEqual(one(5_000 + 9 * 3_000, 5_000, 1_000, 20_000 + 999_000))
  })

  test('is never more tokens than a million, however many instances there are', () => {
    const all = { name: 'x', kind: 'bounded', mints: 1_000_000 } as const

    expect(scale(all, units, 10)).toEqual(scale(all, units, 1))
  })

  test('has its price from the list, and none without it', () => {
    const spent = one(1_000_000, 100_000)

    expect(priceOf(spent, readPrices()).firestore).toBeCloseTo(0.3 + 0.09 + 0.01)
    expect(() => priceOf(spent, {})).toThrow('prices.json has no Firestore, 100,000 documents read')
  })

  test('is in docs/cost.md for the five uses, with one instance and with ten', () => {
    const page = readPage('docs/cost.md')
    const rows = uses.flatMap(({ name }) => [`| ${name} | 1 |`, `| ${name} | 10 |`])

    expect(uses).toHaveLength(5)
    expect(rows.filter((row) => !page.includes(row))).toEqual([])
    const measured = {
      units: { workload: units, 'self-signed': units, bounded: units, rotating: units },
      later: one(2),
    }
    expect(
      costTables(measured, readPrices()).filter((row) => page.includes(row.split(' | ')[0] ?? '')),
    ).toHaveLength(costTables(measured, readPrices()).length)
  })
})
