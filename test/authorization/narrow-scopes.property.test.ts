import fc from 'fast-check'
import { expect, test } from 'vitest'
import { narrowScopes } from '../../src/authorization/narrow.ts'
import { isBrokerError } from '../../src/domain/broker-error.ts'
import { scopeSet } from '../../src/domain/scopes.ts'
import { callerOf, credentialWith, policyOf, ruleWith } from '../support/policies.ts'

const words = [
  'read',
  'write',
  'admin',
  'openid',
  'https://a.example/x',
  'https://a.example/x.y',
  'READ',
  'rea',
]
const someWords = fc.uniqueArray(fc.constantFrom(...words), { maxLength: 6 })

const situations = fc.record({
  allowed: fc.uniqueArray(fc.constantFrom(...words), { minLength: 1, maxLength: 6 }),
  asked: someWords,
  consented: fc.option(someWords, { nil: undefined }),
  excess: fc.constantFrom('refuse' as const, 'drop' as const),
})

/** The promise in its plainest words, without a line of the code it judges. */
function model({
  allowed,
  asked,
  consented,
  excess,
}: typeof situations extends fc.Arbitrary<infer S> ? S : never) {
  const issued = words.filter(
    (word) =>
      allowed.includes(word) &&
      (asked.length === 0 || asked.includes(word)) &&
      (consented === undefined || consented.includes(word)),
  )
  const isShort = asked.some((word) => !issued.includes(word))
  return issued.length === 0 || (excess === 'refuse' && isShort) ? 'refused' : new Set(issued)
}

test('P13: scopes issued are credential ∩ rule ∩ request and nothing else, in 2,000 random situations', () => {
  let issuedTimes = 0
  let refusedTimes = 0
  fc.assert(
    fc.property(situations, (situation) => {
      const { allowed, asked, consented, excess } = situation
      const rule = policyOf([ruleWith({ scopes: allowed, excess_scopes: excess })]).findRule(
        callerOf('a'),
        'reports',
      )
      if (rule === undefined) throw new Error('the rule must match')
      const credential = credentialWith(
        consented === undefined ? {} : { consentedScopes: scopeSet(consented) },
      )
      let outcome: Set<string> | 'refused'
      try {
        const issued = narrowScopes(scopeSet(asked), rule, credential)
        expect(issued).toEqual(scopeSet(issued))
        outcome = new Set(issued)
        issuedTimes += 1
      } catch (error) {
        if (!isBrokerError(error) || error.code !== 'scope_refused') throw error
        outcome = 'refused'
        refusedTimes += 1
      }
      expect(outcome).toEqual(model(situation))
    }),
    { numRuns: 2000 },
  )
  expect(issuedTimes).toBeGreaterThan(200)
  expect(refusedTimes).toBeGreaterThan(200)
})
