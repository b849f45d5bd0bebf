import { expect, test } from 'vitest'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { tokenTypes } from '../../src/domain/exchange-request.ts'
import type { Refusal } from '../../src/domain/explanation.ts'
import { seconds } from '../../src/domain/time.ts'
import { createRefusals } from '../../src/records/refusals.ts'
import { createFakeClock } from '../support/fake-clock.ts'

const clock = createFakeClock()
const refusals = createRefusals({ store: createMemoryStore({ clock }) })

const least: Refusal = {
  requestId: 'e7375fd5-1464-41d8-a9ff-3614b85af4e2',
  at: clock.now(),
  error: 'target_unavailable',
  reason: 'no rule gives it',
  question: { issuer: 'billing', claims: {}, target: 'x', scopes: [], tokenType: 'access_token' },
}

test.each(tokenTypes)(
  'a refused request for a token of type %s is read as it was kept',
  async (tokenType) => {
    const refusal = { ...least, question: { ...least.question, tokenType } }
    await refusals.keep(refusal)
    expect(await refusals.find(refusal.requestId)).toEqual(refusal)
  },
)

test('so is a refusal with everything in it', async () => {
  const condition = { expression: "resource.name == 'a'", title: 't', description: 'd' }
  const refusal: Refusal = {
    ...least,
    condition: 'rules',
    question: {
      ...least.question,
      claims: { sub: 'billing', groups: ['a', { b: null }] },
      scopes: ['read'],
      resource: 'https://a.example',
      subject: 'user@acme.example',
      lifetime: seconds(60),
      boundary: [
        { availableResource: 'r', availablePermissions: ['p'], availabilityCondition: condition },
        { availableResource: 'r', availablePermissions: ['p'] },
      ],
    },
  }
  await refusals.keep(refusal)
  expect(await refusals.find(refusal.requestId)).toEqual(refusal)
})
