import { evaluate } from '@marcbachmann/cel-js'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { escapeForCel, readCel } from '../../src/boundaries/read-cel.ts'

test('literals are found with their quotes, escaped ones and the other kind included', () => {
  const expression = String.raw`f("a'b\"c", ['(']) == 'd\\' && {"}": ''}["}"] == ""`
  const reading = readCel(expression)

  expect(reading.ok && reading.literals.map(({ start, end }) => expression.slice(start, end + 1))).toEqual([
    String.raw`"a'b\"c"`,
    "'('",
    String.raw`'d\\'`,
    '"}"',
    "''",
    '"}"',
    '""',
  ])
})

test.each([
  ['true) || (true', 'too many'],
  ['(true', 'lacks'],
  ['[(])', 'too many'],
  ["name == 'a", 'does not end'],
  [String.raw`name == 'a\'`, 'does not end'],
  ['true // and so on', 'comment'],
  ["r'\\' == name", 'raw or byte'],
  ["b'x' == name", 'raw or byte'],
  ["'''a' ''' == name", 'triple'],
  ['"""a" """ == name', 'triple'],
  ["name == 'a\nb'", 'control character'],
  ['name == \u00a0true', 'only a literal'],
  ['name \\ true', 'backslash'],
])('what could be read in two ways is not read: %j', (expression, fault) => {
  const reading = readCel(expression)

  expect(reading.ok ? reading.literals : reading.fault).toContain(fault)
})

test('P13: whatever text is escaped, a CEL evaluator reads it as exactly that text, in either quotes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 30 }), fc.constantFrom('"', "'"), (text, quote) => {
      const literal = `${quote}${escapeForCel(text)}${quote}`

      expect(readCel(literal)).toEqual({ ok: true, literals: [{ start: 0, end: literal.length - 1 }] })
      expect(evaluate(`name == ${literal}`, { name: text })).toBe(true)
      expect(evaluate(`name == ${literal}`, { name: `${text}.` })).toBe(false)
    }),
    { numRuns: 2000 },
  )
})
