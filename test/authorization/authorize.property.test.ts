import fc from 'fast-check'
import { expect, test } from 'vitest'
import { seconds } from '../../src/domain/time.ts'
import { bucket, reach, user } from '../support/boundaries.ts'
import { authorize, checkNarrowing, isNoWider, situations, type Situation } from '../support/narrowing.ts'
import { credentialWith } from '../support/policies.ts'

test('P13: of 10,000 random pairs of rule and request, what is issued is never wider than either', async () => {
  const counts = await checkNarrowing(10_000)
  // A property that hardly ever met a token would have said nothing.
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(90)
})

test('the model finds a grant too wide that is so in one respect alone', async () => {
  const situation = fc.sample(situations, { numRuns: 1, seed: 1 })[0]
  if (situation === undefined) throw new Error('no sample')
  const narrow: Situation = {
    rule: {
      ...situation.rule,
      scopes: ['compute'],
      givesImplied: true,
      tokenTypes: ['access_token'],
      subjects: [],
      lifetimeMax: seconds(900),
      boundary: [reach({ availableResource: bucket('bucket-a') })],
    },
    credential: credentialWith({ kind: 'impersonation' }),
    request: {
      ...situation.request,
      scopes: ['https://www.googleapis.com/auth/compute.readonly'],
      tokenType: 'access_token',
    },
  }
  const { boundary: _, lifetime: __, subject: ___, ...plain } = narrow.request
  const asked = { ...narrow, request: plain }
  const grant = await authorize(asked)
  const { boundary, lifetime, ...unbounded } = grant

  expect(isNoWider(grant, asked)).toBe(true)
  expect([boundary?.length, lifetime]).toEqual([1, 900])
  for (const wider of [
    { ...grant, scopes: ['https://www.googleapis.com/auth/compute'] },
    { ...grant, scopes: ['openid'] },
    { ...grant, lifetime: seconds(901) },
    { ...unbounded, lifetime: seconds(900) },
    { ...grant, boundary: [reach({ availableResource: bucket('bucket-a'), availablePermissions: [user] })] },
    { ...grant, tokenType: 'id_token' as const },
    { ...grant, subject: 'ann' },
  ])
    expect(isNoWider(wider, asked)).toBe(false)
})
