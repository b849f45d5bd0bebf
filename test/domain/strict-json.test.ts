import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseStrictJsonObject } from '../../src/domain/json.ts'

describe('reading a JSON object strictly', () => {
  it('P7: what JSON.parse reads from text without duplicates is what it reads', () => {
    const text = JSON.stringify({ a: [{ b: 'x:"{[\\' }, 1.5, null], 'c"d': { a: true }, é: '€ 𝄞' })
    expect(parseStrictJsonObject(text)).toEqual({ ok: true, value: readLoosely(text) })
    expect(parseStrictJsonObject(' {\n\t"a" : 1 }\r\n')).toEqual({ ok: true, value: { a: 1 } })
    expect(parseStrictJsonObject('{"__proto__":1,"constructor":2}').ok).toBe(true)
    expect(parseStrictJsonObject(String.raw`{"a":"\uD834\uDD1E"}`)).toEqual({ ok: true, value: { a: '𝄞' } })
  })

  it.each([
    ['twice at the top', '{"a":1,"a":1}'],
    ['once of them escaped', String.raw`{"a":1,"\u0061":2}`],
    ['deep inside', '{"a":[0,{"b":{"c":1,"d":2,"c":3}}]}'],
    ['with a quote in the name', String.raw`{"a\"":1,"a\u0022":2}`],
    ['with a backslash at the end of the name', String.raw`{"a\\":1,"a\\":2}`],
    ['named __proto__', '{"__proto__":1,"__proto__":2}'],
    ['empty', '{"":1,"":2}'],
  ])('P7: a member name %s is refused', (_how, text) => {
    expect(readLoosely(text)).toBeTypeOf('object')
    expect(parseStrictJsonObject(text)).toEqual({ ok: false, fault: 'has a duplicate member' })
  })

  it.each([
    '',
    'null',
    '[]',
    '1',
    '"x"',
    '{',
    '{"a":1}x',
    '{"a":1,}',
    "{'a':1}",
    '\ufeff{}',
    '{"a":NaN}',
    '{"a',
  ])('P7: %j is not a JSON object', (text) => {
    expect(parseStrictJsonObject(text)).toEqual({ ok: false, fault: 'is not a JSON object' })
  })

  it('P7: a lone surrogate is refused in a value and in a name', () => {
    for (const text of [String.raw`{"sub":"a\ud800"}`, String.raw`{"a":[{"\udc00":1}]}`])
      expect(parseStrictJsonObject(text)).toEqual({ ok: false, fault: 'holds a lone surrogate' })
  })

  it('P24: nesting is bounded, at any length and in linear time', () => {
    const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`
    expect(parseStrictJsonObject(nested(16)).ok).toBe(true)
    expect(parseStrictJsonObject(nested(17))).toEqual({ ok: false, fault: 'is nested deeper than 16 levels' })
    expect(parseStrictJsonObject(`{"a":${'['.repeat(1_000_000)}`).ok).toBe(false)
    expect(parseStrictJsonObject(`{"a":"${String.raw`\"`.repeat(500_000)}`).ok).toBe(false)
  })

  it('P7: it agrees with JSON.parse on every object without duplicates', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue({ maxDepth: 4 })),
        fc.nat(3),
        (value, indent) => {
          const text = JSON.stringify(value, undefined, indent)
          expect(parseStrictJsonObject(text)).toEqual({ ok: true, value: readLoosely(text) })
        },
      ),
    )
  })

  it('P7: a member repeated at any depth is always refused', () => {
    const escaped = (name: string) =>
      Array.from(name, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme-ascii' }),
        fc.jsonValue({ maxDepth: 2 }),
        fc.array(fc.constantFrom('object', 'array'), { maxLength: 8 }),
        fc.boolean(),
        (name, value, path, isEscaped) => {
          const second = isEscaped ? `"${escaped(name)}"` : JSON.stringify(name)
          const repeated = `{${JSON.stringify(name)}:${JSON.stringify(value)},"${name.length}-other":0,${second}:1}`
          const text = path.reduce(
            (inner, kind) => (kind === 'object' ? `{"p":${inner}}` : `[0,${inner}]`),
            repeated,
          )
          expect(parseStrictJsonObject(`{"top":${text}}`)).toEqual({
            ok: false,
            fault: 'has a duplicate member',
          })
        },
      ),
    )
  })

  it('any text at all is judged without an exception, and never accepted against JSON.parse', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...Array.from('{}[]":,\\ua01 ')) }), (text) => {
        const judged = parseStrictJsonObject(text)
        if (judged.ok) expect(judged.value).toEqual(readLoosely(text))
      }),
      { numRuns: 2000 },
    )
  })
})

function readLoosely(text: string): unknown {
  return JSON.parse(text)
}
