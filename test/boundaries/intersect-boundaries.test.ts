import { evaluate } from '@marcbachmann/cel-js'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { intersectBoundaries } from '../../src/boundaries/intersect-boundaries.ts'
import type { AccessBoundary } from '../../src/domain/access-boundary.ts'
import { admin, bucket, creator, reach, under, user, viewer } from '../support/boundaries.ts'

const other = reach({ availableResource: bucket('other') })
const conditioned = (expression: string) => reach({ availabilityCondition: { expression } })

test.each<[string, AccessBoundary, AccessBoundary, AccessBoundary]>([
  ['the same twice is the same', [reach()], [reach()], [reach()]],
  ['one of two buckets', [reach()], [reach(), other], [reach()]],
  [
    'the permissions that both name',
    [reach({ availablePermissions: [viewer, creator] })],
    [reach({ availablePermissions: [creator, viewer, 'inRole:roles/x.y'] })],
    [reach({ availablePermissions: [viewer, creator] })],
  ],
  ['a narrower role asked for', [reach()], [reach({ availablePermissions: [admin] })], [reach()]],
  ['a broader role asked for', [reach({ availablePermissions: [admin] })], [reach()], [reach()]],
  [
    'a role that contains both of the rule’s',
    [reach({ availablePermissions: [user] })],
    [reach({ availablePermissions: [viewer] }), reach({ availablePermissions: [creator] })],
    [reach({ availablePermissions: [viewer] }), reach({ availablePermissions: [creator] })],
  ],
  [
    'the caller’s condition',
    [reach({ availabilityCondition: under('a') })],
    [reach()],
    [reach({ availabilityCondition: under('a') })],
  ],
  [
    'the rule’s condition',
    [reach()],
    [reach({ availabilityCondition: under('a') })],
    [reach({ availabilityCondition: under('a') })],
  ],
  [
    'the same condition once, with the caller’s title',
    [reach({ availabilityCondition: { ...under('a'), title: 't' } })],
    [reach({ availabilityCondition: { expression: ` ${under('a').expression}\n` } })],
    [reach({ availabilityCondition: { ...under('a'), title: 't' } })],
  ],
  ['both conditions', [conditioned('a || b')], [conditioned('c')], [conditioned('(a || b) && (c)')]],
  [
    'one rule where another would reach less',
    [conditioned('a'), conditioned('b')],
    [conditioned('a'), conditioned('b')],
    [conditioned('a'), conditioned('b')],
  ],
])('both reach: %s', (_, asked, allowed, boundary) => {
  expect(intersectBoundaries(asked, allowed)).toEqual({ ok: true, boundary })
})

const many = (sign: string) => Array.from({ length: 4 }, (_, index) => conditioned(`${sign}${index}`))

test.each<[string, AccessBoundary, AccessBoundary, string]>([
  ['another bucket', [reach(), other], [reach()], 'not a resource'],
  [
    'a bucket that begins alike',
    [reach({ availableResource: bucket('reports-eu') })],
    [reach()],
    'not a resource',
  ],
  [
    'a role of another kind',
    [reach({ availablePermissions: [viewer, creator] })],
    [reach()],
    'cannot be compared',
  ],
  [
    'a role nothing is known of',
    [reach({ availablePermissions: ['inRole:roles/x.y'] })],
    [reach()],
    'cannot be compared',
  ],
  [
    'a permission of another bucket’s rule',
    [reach({ availablePermissions: [creator] })],
    [reach(), { ...other, availablePermissions: [creator] }],
    'cannot be compared',
  ],
  [
    'a condition that closes what it did not open',
    [conditioned('true) || (true')],
    [conditioned('a')],
    'has a ) too many',
  ],
  ['a condition with a comment', [conditioned('a // b')], [conditioned('a')], 'has a comment'],
  [
    'a rule’s condition that cannot be read',
    [conditioned('a')],
    [conditioned("r'\\' == a")],
    'raw or byte string',
  ],
  ['more than ten rules', many('a'), many('b'), 'more than 10 rules'],
  [
    'more than 2,048 characters',
    [conditioned(`'${'x'.repeat(1000)}' == a`)],
    [conditioned(`'${'y'.repeat(1000)}' == a`)],
    'longer than 2048',
  ],
])('refused rather than guessed: %s', (_, asked, allowed, text) => {
  const both = intersectBoundaries(asked, allowed)

  expect(both.ok ? both.boundary : both.fault.text).toContain(text)
})

const expressions = [
  'a',
  'b || a',
  "'(' == t",
  'true) || (true',
  'a // b',
  '!a',
  '[a, b].exists(x, x)',
  'a ? b : true',
  '(a',
]

test('P13: where a joined condition holds, a CEL evaluator finds that both hold', () => {
  let joined = 0
  const values = fc.record({ a: fc.boolean(), b: fc.boolean(), t: fc.constantFrom('(', ')') })
  const expression = fc.constantFrom(...expressions)
  fc.assert(
    fc.property(expression, expression, values, (asked, allowed, context) => {
      const both = intersectBoundaries([conditioned(asked)], [conditioned(allowed)])
      if (!both.ok) return
      const condition = both.boundary[0]?.availabilityCondition?.expression ?? 'true'
      if (asked === allowed) expect(condition).toBe(asked)
      else {
        expect(evaluate(condition, context)).toBe(
          evaluate(asked, context) === true && evaluate(allowed, context) === true,
        )
        joined += 1
      }
    }),
    { numRuns: 1000 },
  )
  expect(joined).toBeGreaterThan(100)
})
