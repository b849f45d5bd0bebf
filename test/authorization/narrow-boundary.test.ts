import { expect, test } from 'vitest'
import { ask, refusal } from '../support/authorize-situation.ts'
import { bucket, reach, under } from '../support/boundaries.ts'
import { callerOf, credentialWith, ruleWith } from '../support/policies.ts'

const ofCaller = ruleWith({
  boundary: [reach({ availabilityCondition: under('${claims.team}/') })],
})

test('P13: a rule’s boundary holds the caller’s claims, and a caller’s own only narrows it', async () => {
  const caller = callerOf('exporter', { team: "o'neil" })
  const own = reach({ availabilityCondition: { expression: 'resource.name.endsWith("x")' } })

  expect((await ask({ rules: [ofCaller], caller })).boundary).toEqual([
    reach({ availabilityCondition: under(String.raw`o\u0027neil/`) }),
  ])
  expect((await ask({ caller, request: { boundary: [own] } })).boundary).toEqual([own])
  expect((await ask({ rules: [ofCaller], caller, request: { boundary: [own] } })).boundary).toEqual([
    reach({
      availabilityCondition: {
        expression: String.raw`(resource.name.endsWith('x')) && (resource.name.startsWith('projects/_/buckets/reports/objects/o\u0027neil/'))`,
      },
    }),
  ])
})

test('P12: no token where the caller lacks a claim of the boundary, or the credential cannot be bounded', async () => {
  const refusals = [
    await refusal({ rules: [ofCaller] }),
    await refusal({
      rules: [ruleWith({ boundary: [reach()] })],
      credential: credentialWith({ upstream: 'acme' }),
    }),
    await refusal({ request: { boundary: [reach()] }, credential: credentialWith({ upstream: 'acme' }) }),
  ]

  for (const error of refusals)
    expect(error).toMatchObject({ code: 'target_unavailable', publicDetail: undefined })
  expect(refusals.map(({ reason }) => reason)).toEqual([
    'rule "everybody reads", boundary: the claim "team" is missing',
    expect.stringContaining('rule "everybody reads": "reports" cannot be bounded'),
    expect.stringContaining('rule "everybody reads": "reports" cannot be bounded'),
  ])
})

test.each([
  [[], 'accessBoundaryRules: needs at least one rule'],
  [[reach({ availablePermissions: ['x'] })], 'accessBoundaryRules[0].availablePermissions[0]: must be'],
  [
    [reach(), reach({ availableResource: bucket('other') })],
    'accessBoundaryRules[1].availableResource: is not',
  ],
  [
    [reach({ availablePermissions: ['inRole:roles/x.y'] })],
    'accessBoundaryRules[0].availablePermissions[0]: cannot',
  ],
])(
  'a caller’s boundary that is faulty or cannot be compared is refused with its place',
  async (boundary, detail) => {
    const error = await refusal({ rules: [ruleWith({ boundary: [reach()] })], request: { boundary } })

    expect(error.code).toBe('request_malformed')
    expect(error.publicDetail).toContain(detail)
    expect(error.reason).toContain('rule "everybody reads"')
  },
)
