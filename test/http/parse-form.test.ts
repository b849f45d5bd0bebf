import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseForm } from '../../src/http/parse-form.ts'

const contentType = 'application/x-www-form-urlencoded'

/** The platform's reading: every pair, a repeated name and one without a value included. */
function pairsOf(text: string): readonly (readonly [string, string])[] {
  // URLSearchParams drops a leading "?", which in a body is part of a name.
  return [...new URLSearchParams(text.startsWith('?') ? `&${text}` : text)]
}

describe('a form reads as URLSearchParams reads it', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '%',
      '%4',
      '%zz',
      '%41',
      '%C3%A9',
      '%ED%A0%80',
      '%FF',
      '%EF%BB%BF',
      '+',
      '=',
      '?',
      '#',
      '&',
      'é',
    ),
    fc.string({ unit: 'binary' }).map((text) => text.toWellFormed()),
  )

  test('in 1,000 texts of every kind', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('')
        const pairs = pairsOf(text)
        fc.pre(new Set(pairs.map(([name]) => name)).size === pairs.length)

        expect([...parseForm({ contentType, text })]).toEqual(pairs.filter(([, value]) => value !== ''))
      }),
      { numRuns: 1_000 },
    )
  })

  test.each([['a=1&a=2'], ['a=1&%61=2'], ['a=&a='], ['a&a=1'], ['%FF=1&%FE=2']])(
    'and what it reads as one name twice is malformed: %s',
    (text) => {
      expect(new Set(pairsOf(text).map(([name]) => name)).size).toBe(1)
      expect(() => parseForm({ contentType, text })).toThrow(
        expect.objectContaining({ code: 'request_malformed' }),
      )
    },
  )
})

describe('the work for a form is bounded', () => {
  const form = (count: number) => Array.from({ length: count }, (_, n) => `n${n}=%`).join('&')

  test('100 parameters are read, one more is malformed, and empty ones do not count', () => {
    expect(parseForm({ contentType, text: `&&&${form(100)}&&&` }).size).toBe(100)
    expect(() => parseForm({ contentType, text: form(101) })).toThrow(
      expect.objectContaining({ code: 'request_malformed', reason: 'there are more than 100 parameters' }),
    )
  })
})
