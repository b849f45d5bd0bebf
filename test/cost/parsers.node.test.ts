import { describe, expect, it } from 'vitest'
import { checkers } from '../support/cost/checkers.ts'
import { documents } from '../support/cost/documents.ts'
import { limits } from '../support/cost/limits.ts'
import {
  describeCost,
  isTooDear,
  measureCost,
  measureCosts,
  measureSplicedCosts,
} from '../support/cost/measure-cost.ts'
import { noteMeasure } from '../support/measures.ts'

describe('what is just within a limit', () => {
  it.each(limits)('is taken, and costs no more than its size: $most $name', (limit) => {
    const { name, most, make, read } = limit
    const [within, beyond] = [make(most), make(most + 1)]
    expect(within.length).toBeLessThanOrEqual(limit.charsMax)
    expect(() => read(within)).not.toThrow()
    expect(() => read(beyond)).toThrow()
    const costs = [
      measureCost(limit, `${most} ${name}`, within),
      measureCost(limit, `one more than ${most}`, beyond),
    ]
    expect(costs.filter(isTooDear).map(describeCost)).toEqual([])
  })
})

describe('what reading a document costs is bounded by its size', () => {
  it('for every parser and every shape that could be dear', { timeout: 120_000 }, () => {
    const costs = measureCosts(checkers)
    noteMeasure('most CPU of one document', Math.max(...costs.map(({ ms }) => ms)), 'ms')
    expect(costs).toHaveLength(checkers.length * documents.length)
    expect(costs.filter(isTooDear).map(describeCost)).toEqual([])
  })

  it('for documents spliced of two others', { timeout: 120_000 }, () => {
    const costs = [...measureSplicedCosts(checkers, 1, 300)]
    expect(costs).toHaveLength(300)
    expect(costs.filter(isTooDear).map(describeCost)).toEqual([])
  })

  it('and one that costs more is told, with what it was', () => {
    const dear = { checker: 'a form', from: 'stranger', document: 'x', chars: 10, ms: 3.5 } as const
    expect(isTooDear(dear)).toBe(true)
    expect(isTooDear({ ...dear, ms: 2.5 })).toBe(false)
    expect(describeCost(dear)).toContain('a form of x: 10 characters')
  })
})
