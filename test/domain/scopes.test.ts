import { expect, test } from 'vitest'
import { formatScope, parseScope, scopesBeyond, scopesIn, scopeSet } from '../../src/domain/scopes.ts'

test('equal sets of scopes are equal lists, whatever the order and repetition', () => {
  expect(scopeSet(['b', 'a', 'B', 'a'])).toEqual(['B', 'a', 'b'])
  expect(parseScope('b  a b ')).toEqual(scopeSet(['a', 'b']))
  expect(parseScope(formatScope(scopeSet(['b', 'a'])))).toEqual(['a', 'b'])
})

test('no scope is the empty set', () => {
  expect(parseScope('')).toEqual([])
  expect(parseScope('  ')).toEqual([])
})

test.each(['a"b', 'a\\b', 'a\tb', 'a\nb', 'ä', 'a\u00A0b', 'a\u007Fb', 'a\u0000'])(
  '%j is malformed',
  (text) => {
    expect(parseScope(text)).toBeUndefined()
  },
)

test('every character of RFC 6749 §3.3 may stand in a scope', () => {
  const visible = Array.from({ length: 0x7f - 0x21 }, (_, i) => String.fromCharCode(0x21 + i)).filter(
    (char) => char !== '"' && char !== '\\',
  )
  expect(parseScope(visible.join(''))).toEqual([visible.join('')])
})

test('what is in and what is beyond make up the whole, compared exactly', () => {
  const asked = scopeSet(['Read', 'read', 'read.only'])

  expect(scopesIn(asked, ['read'])).toEqual(['read'])
  expect(scopesBeyond(asked, ['read'])).toEqual(['Read', 'read.only'])
})
