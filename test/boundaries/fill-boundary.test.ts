import { evaluate } from '@marcbachmann/cel-js'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createFillBoundary, variableFaults } from '../../src/boundaries/boundary.ts'
import type { AccessBoundary } from '../../src/domain/access-boundary.ts'
import type { Claims, Json } from '../../src/domain/caller.ts'
import { bucket, reach, under } from '../support/boundaries.ts'

const ofTeam = [
  reach({
    availableResource: bucket('acme-${claims./kubernetes.io/namespace}'),
    availabilityCondition: under('${claims.sub}/'),
  }),
]

function fill(boundary: AccessBoundary, claims: Claims): AccessBoundary | string {
  const filled = createFillBoundary(boundary)(claims)
  return filled.ok ? filled.value : filled.fault
}

test('a boundary without variables is the same for everybody', () => {
  const boundary = [reach({ availabilityCondition: under('a') })]

  expect(fill(boundary, {})).toBe(boundary)
})

test('claims stand in the place of the variables that name them', () => {
  expect(fill(ofTeam, { sub: 'ann', 'kubernetes.io': { namespace: 'shop' } })).toEqual([
    reach({ availableResource: bucket('acme-shop'), availabilityCondition: under('ann/') }),
  ])
})

test.each<[string, Json | undefined, string]>([
  ['is missing', undefined, '"sub" is missing'],
  ['is a number', 7, '"sub" is no text'],
  ['is a list', ['ann'], '"sub" is no text'],
  ['is empty', '', 'cannot stand'],
  ['is no Unicode', '\ud800', 'cannot stand'],
  ['is too long', 'x'.repeat(2000), 'longer than 2048 characters'],
])('P13: no boundary, and so no token, where a claim %s', (_, sub, fault) => {
  const boundary = [reach({ availabilityCondition: under('${claims.sub}') })]

  expect(fill(boundary, sub === undefined ? {} : { sub })).toContain(fault)
})

test.each(['Shop', 'shop/other', 'shop%2e', '../x', 'shop-', 'a b', 'shop\n', 'ß'])(
  'P13: a bucket is never named %j',
  (namespace) => {
    expect(fill(ofTeam, { sub: 'ann', 'kubernetes.io': { namespace } })).toEqual(expect.any(String))
  },
)

test.each([
  [under('${sub}'), 'is written'],
  [under('${claims.}'), 'is written'],
  [under('${claims.sub'), 'is written'],
  [under('${claims./a~2}'), 'JSON Pointer'],
  [under("${claims./a'b}"), 'is written'],
  [{ expression: 'resource.name == ${claims.sub}' }, 'inside a string literal'],
  [{ expression: "resource.name.matches('${claims.sub}')" }, 'startsWith'],
  [{ expression: "resource.name.startsWith('a' + '${claims.sub}')" }, 'not allowed'],
  [{ expression: "resource.name == 'a' // '${claims.sub}'" }, 'inside a string literal'],
  [{ expression: String.raw`resource.name == '\x24{claims.sub}'` }, 'inside a string literal'],
  [
    { expression: "api.getAttribute('storage.googleapis.com/objectListPrefix', '${claims.sub}') == ''" },
    "''",
  ],
  [{ expression: 'true', title: '${claims.sub}' }, 'takes no variable'],
])('a variable has one form, and a place where a claim is text and no pattern: %j', (condition, fault) => {
  const faults = variableFaults([reach({ availabilityCondition: condition })])

  expect(faults.map(({ text }) => text).join('\n')).toContain(fault)
})

test('where a claim is compared, a variable is not at fault', () => {
  const expression =
    '"${claims.sub}" == resource.name || "x" != \'${claims.sub}\' || resource.name.endsWith ( "${claims./a/b}.csv" )'

  expect(variableFaults([reach({ availabilityCondition: { expression } })])).toEqual([])
})

const pieces = [
  "'",
  '"',
  '\\',
  '`',
  "\\'",
  "') || true || ('",
  '") || (true) || ("',
  '${claims.sub}',
  '//',
  '\n',
  '\u2028',
  '*',
  '.*',
  '/',
  '../',
  '\u0000',
  'ann',
  '😀',
  '\\u0027',
]
const hostile = fc
  .array(fc.oneof(fc.constantFrom(...pieces), fc.string({ unit: 'binary', maxLength: 5 })), {
    minLength: 1,
    maxLength: 8,
  })
  .map((parts) => parts.join(''))
  .filter((text) => text !== '')
const quotes = fc.constantFrom("'", '"')

test('P13: a hostile claim reaches its own objects and no other, as a CEL evaluator judges 2,000 conditions', () => {
  let reached = 0
  fc.assert(
    fc.property(hostile, hostile, quotes, (sub, other, quote) => {
      const expression = `resource.name.startsWith(${quote}objects/\${claims.sub}/${quote}) && !resource.name.endsWith(${quote}!${quote})`
      const filled = fill([reach({ availabilityCondition: { expression } })], { sub })
      if (typeof filled === 'string') throw new Error(filled)
      const condition = filled[0]?.availabilityCondition?.expression ?? 'true'
      const holds = (name: string): unknown => evaluate(condition, { resource: { name } })

      expect(holds(`objects/${sub}/x`)).toBe(true)
      expect(holds(`objects/${sub}/!`)).toBe(false)
      expect(holds(`objects/${other}/x`)).toBe(`objects/${other}/x`.startsWith(`objects/${sub}/`))
      expect(holds('')).toBe(false)
      reached += 1
    }),
    { numRuns: 2000 },
  )
  expect(reached).toBe(2000)
})
