import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatCondition, parseCondition } from '../../src/domain/boundary-condition.ts'
import { condition } from '../support/boundaries.ts'

const listPrefix = "api.getAttribute('storage.googleapis.com/objectListPrefix', '')"

function written(expression: string): string {
  const parsed = parseCondition(expression)
  return parsed.ok ? formatCondition(parsed.condition) : `${parsed.fault.offset}: ${parsed.fault.text}`
}

test.each([
  ["resource.name.startsWith('a')"],
  ["resource.name.endsWith('a') && resource.name != 'b'"],
  [`resource.name.startsWith('a') || ${listPrefix}.startsWith('a')`],
  ["!(resource.name == 'a' || resource.name == 'b')"],
  ['(true || false) && !(!true) && (true && false)'],
  ["(resource.name == 'a') == true"],
  ["'a'.startsWith(resource.name)"],
])('the one form of a condition is its own form: %s', (expression) => {
  expect(written(expression)).toBe(expression)
})

test.each([
  [' resource.name\t.\nstartsWith ( "a" ) // a comment', "resource.name.startsWith('a')"],
  ['((((resource.name == "a"))))', "resource.name == 'a'"],
  ['!!true', 'true'],
  ['!!!true', '!true'],
  [
    String.raw`resource.name == '\x41\u00e4\U0001f600\101\'\n'`,
    String.raw`resource.name == 'A\u00e4\U0001f600A\u0027\u000a'`,
  ],
])('what means the same is written alike: %s', (expression, form) => {
  expect(written(expression)).toBe(form)
})

test.each([
  ['', 0, 'the end'],
  ["resource.name.matches('a')", 14, '"matches"'],
  ["request.time < timestamp('2027-01-01T00:00:00Z')", 13, '"<" is not allowed'],
  ["request.time == 'a'", 0, '"request" is not known'],
  ["resource.type == 'x'", 9, '"type"'],
  ["resource.name == 'a' == true", 21, '"=="'],
  ["api.getAttribute('x', '')", 17, 'a string'],
  [`api.getAttribute('storage.googleapis.com/objectListPrefix', 'a') == ''`, 60, "''"],
  [`api.getAttribute('storage.googleapis.com/objectListPrefix') == ''`, 58, '","'],
  ["resource.name.startsWith('a', 'b')", 28, '")"'],
  ['resource.name', 0, 'true or false is needed'],
  ['resource.name == true', 17, 'a text is needed'],
  ['resource.name || true', 0, 'true or false is needed'],
  ['true && resource.name', 8, 'true or false is needed'],
  ['!resource.name', 1, 'true or false is needed'],
  ["true.startsWith('a')", 0, 'a text is needed'],
  ["resource.name in ['a']", 17, '"["'],
  ["r'a' == resource.name", 0, '"r" is not known'],
  ["'''a''' == resource.name", 0, 'triple-quoted'],
  ["resource.name == 'a", 17, 'does not end'],
  [String.raw`resource.name == '\q'`, 18, 'backslash'],
  [String.raw`resource.name == '\ud83d'`, 18, 'backslash'],
  [String.raw`resource.name == '\U00110000'`, 18, 'backslash'],
  [String.raw`resource.name == '\400'`, 18, 'backslash'],
  ["resource.name == '\ud83d'", 18, 'is not allowed'],
  ["resource.name == '\u0000'", 18, 'is not allowed'],
  ['resource.name == ${claims.sub}', 17, 'inside a string literal'],
  ['true) || (true', 4, '")"'],
  ['(true', 5, 'the end'],
  ['true true', 5, '"true"'],
  ["resource.name\u00a0== 'a'", 13, 'is not allowed'],
  ['('.repeat(65), 64, 'too many brackets'],
  [`${'!('.repeat(40)}true${')'.repeat(40)}`, 0, 'too deeply'],
])(
  'what Google does not document for boundaries is a fault with its place: %j',
  (expression, offset, text) => {
    const parsed = parseCondition(expression)

    const fault = parsed.ok ? { offset: -1, text: 'no fault' } : parsed.fault
    expect(fault.offset).toBe(offset)
    expect(fault.text).toContain(text)
  },
)

test('a long chain is not deep, and is read', () => {
  const terms = Array.from({ length: 60 }, (_, index) => `resource.name == '${index}'`)

  expect(written(terms.join(' || '))).toBe(terms.join(' || '))
})

test('5,000 conditions are read again as what they were written from', () => {
  fc.assert(
    fc.property(condition, (tree) => {
      const again = parseCondition(formatCondition(tree))

      expect(again.ok ? again.condition : again.fault).toEqual(tree)
    }),
    { numRuns: 5000 },
  )
})

test('no text makes the parser throw, and a fault lies within the text', () => {
  const pieces = fc.constantFrom(
    'resource.name',
    "'a'",
    '"',
    "'",
    '\\',
    '(',
    ')',
    '!',
    '&&',
    '||',
    '==',
    '.',
    ',',
    'api',
    'true',
    ' ',
    '//',
    '\n',
    '\ud83d',
    '${claims.a}',
    'startsWith',
  )
  let read = 0
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 20 }), (parts) => {
      const text = parts.join('')
      const parsed = parseCondition(text)
      if (parsed.ok) read += 1
      else expect(parsed.fault.offset).toBeLessThanOrEqual(text.length)
    }),
    { numRuns: 5000 },
  )
  expect(read).toBeGreaterThan(0)
})
