import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseDocument } from 'yaml'
import { runAtOnce } from '../../src/domain/promises.ts'
import { readPolicyText } from '../../src/policy/policy-text.ts'
import { samplePolicy } from '../support/sample-policy.ts'

/** What another YAML library makes of the text; `undefined` when it finds a fault. */
function oracle(text: string): { readonly value: unknown } | undefined {
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    merge: false,
    resolveKnownTags: false,
    logLevel: 'error',
  })
  if (document.errors.length > 0 || document.warnings.length > 0) return undefined
  try {
    return { value: document.toJS() }
  } catch {
    // An alias without its anchor shows only now.
    return undefined
  }
}

function expectSame(text: string): boolean {
  const { value, faults } = runAtOnce(readPolicyText(text))
  const other = oracle(text)
  if (faults.length > 0 || other === undefined) return false
  expect(value).toEqual(other.value)
  return true
}

describe('a text that two YAML libraries take', () => {
  test.each([
    ['the sample', samplePolicy],
    ['JSON', '{"a": [1, -2.5, 1e3, true, null, "x\\u00e9\\n"], "b": {}}'],
    ['block scalars', 'a: |\n  x\n   y\n\nb: >-\n  folded\n  text\nc: |+\n  kept\n\n'],
    ['quotes', 'a: \'it\'\'s\'\nb: "tab\\t\\x41\\u263a"\nc: "folded\n  line"'],
    [
      'plain scalars',
      'a: x y z\nb: -1\nc: 0x1F\nd: 0o17\ne: .5\nf: 1_000\ng: ~\nh: yes\ni: 2026-01-01\nj: No\nk: 012',
    ],
    ['nothing', 'a:\nb: ""\nc: []\nd: {}\ne: [ , ]'.replace('[ , ]', '[a, ]')],
    ['anchors', 'a: &x {k: [1, 2]}\nb: *x\nc: [*x, &y z, *y]'],
    ['lists in lists', '- - a\n  - b\n-\n  - c\n- {d: e}'],
    ['comments', '# one\na: b # two\n# three\nc:\n  # four\n  - d'],
    ['colons and hashes', 'a: http://x.example/#y\nb: "c: d"\ne: f#g\nh: [i:j, "k": l]'],
    ['one document with its marks', '---\na: b\n...\n'],
  ])('means the same to both: %s', (_, text) => {
    expect(expectSame(text)).toBe(true)
  })

  test(
    'means the same to both, whatever was done to the sample: 1,000 random edits',
    { timeout: 60_000 },
    () => {
      const pieces = [
        '\n',
        '  ',
        '- ',
        ': ',
        '"',
        "'",
        '[',
        ']',
        '{',
        '}',
        '#',
        '&a ',
        '*a',
        '|',
        '>',
        ',',
        '\t',
        'x',
        '0',
        '!',
        '~',
      ]
      const edit = fc.record({
        at: fc.nat(samplePolicy.length),
        length: fc.nat(6),
        piece: fc.constantFrom('', ...pieces),
      })
      let same = 0
      fc.assert(
        fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
          let text = samplePolicy
          for (const { at, length, piece } of edits)
            text = text.slice(0, at) + piece + text.slice(at + length)
          if (expectSame(text)) same += 1
        }),
        { numRuns: 1000 },
      )
      // Most edits break the text; enough must not, or nothing was compared.
      expect(same).toBeGreaterThan(200)
    },
  )
})

test('every value and key knows its line and column', () => {
  const text = 'a: 1\nb:\n  - "x"\n  - c: [d, &e f]\n    g: |\n      h\n  - *e\n'
  const read = runAtOnce(readPolicyText(text))
  const locate = runAtOnce(read.places())
  expect(read.faults).toEqual([])
  const places = [
    [['a'], 'value'],
    [['b'], 'key'],
    [['b', 0], 'value'],
    [['b', 1, 'c'], 'key'],
    [['b', 1, 'c', 1], 'value'],
    [['b', 1, 'g'], 'key'],
    [['b', 7, 'nowhere'], 'value'],
  ] as const
  expect(places.map(([path, at]) => locate(path, at))).toEqual([
    { line: 1, col: 4 },
    { line: 2, col: 1 },
    { line: 3, col: 5 },
    { line: 4, col: 5 },
    { line: 4, col: 15 },
    { line: 5, col: 5 },
    { line: 3, col: 3 },
  ])
})

test.each([
  ['a flow list left open', 'a: [1,\n  2', 2],
  ['a bad indentation', 'a: b\n  c: d', 2],
  ['a tab', 'a: b\n\tc: d', 2],
  ['an alias without a name', 'a: b\nc: *\n', 2],
])('a fault of syntax is told with its line: %s', (_, text, line) => {
  expect(runAtOnce(readPolicyText(text))).toMatchObject({ value: null, faults: [{ position: { line } }] })
})
