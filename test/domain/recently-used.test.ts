import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRecentlyUsed } from '../../src/domain/recently-used.ts'

describe('what was used lately', () => {
  it('is there, until it is set anew or deleted', () => {
    const used = createRecentlyUsed<string>({ sizeMax: 10 })
    expect(used.isEmpty()).toBe(true)
    used.set('a', 'one')
    used.set('a', 'two')
    expect([used.get('a'), used.has('a'), used.isEmpty()]).toEqual(['two', true, false])
    used.delete('a')
    expect([used.get('a'), used.has('a'), used.isEmpty()]).toEqual([undefined, false, true])
  })

  it('outlives what is not used', () => {
    const used = createRecentlyUsed<number>({ sizeMax: 10 })
    used.set('often', 0)
    for (let count = 0; count < 1000; count += 1) {
      used.set(`once ${count}`, count)
      expect(used.get('often')).toBe(0)
    }
    expect(used.has('once 990')).toBe(false)
  })

  it('keeps at least the last half of the bound', () => {
    const used = createRecentlyUsed<number>({ sizeMax: 100 })
    for (let count = 0; count < 1000; count += 1) used.set(String(count), count)
    for (let count = 950; count < 1000; count += 1) expect(used.get(String(count))).toBe(count)
  })

  it('does not keep what is larger than half of the bound, nor what it stood for', () => {
    const used = createRecentlyUsed<string>({ sizeMax: 10, sizeOf: (text) => text.length })
    used.set('a', '12345')
    used.set('b', '123456')
    used.set('a', '1234567')
    expect([used.has('a'), used.has('b'), used.isEmpty()]).toEqual([false, false, true])
  })

  it('of one entry keeps one', () => {
    const used = createRecentlyUsed<number>({ sizeMax: 1 })
    used.set('a', 1)
    expect(used.get('a')).toBe(1)
    used.set('b', 2)
    expect(used.get('b')).toBe(2)
  })

  it('P24: never holds more than the bound, and never a value that was not the last one set', () => {
    const step = fc.record({
      key: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
      act: fc.constantFrom('set', 'get', 'delete'),
      size: fc.integer({ min: 1, max: 6 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const used = createRecentlyUsed<{ readonly size: number }>({
          sizeMax: 12,
          sizeOf: ({ size }) => size,
        })
        const last = new Map<string, { readonly size: number }>()
        for (const { key, act, size } of steps) {
          if (act === 'set') {
            last.set(key, { size })
            used.set(key, last.get(key) ?? { size })
          } else if (act === 'delete') {
            last.delete(key)
            used.delete(key)
          } else {
            const found = used.get(key)
            if (found !== undefined) expect(found).toBe(last.get(key))
          }
          const held = [...last].filter(([name]) => used.has(name))
          expect(held.reduce((sum, [, value]) => sum + value.size, 0)).toBeLessThanOrEqual(12)
        }
      }),
    )
  })
})
