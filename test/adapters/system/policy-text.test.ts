import { expect, test } from 'vitest'
import { createTextPolicySource } from '../../../src/policy/policy-in-force.ts'

test('a policy in a setting is read once and never changes', async () => {
  const source = createTextPolicySource('version: 1', 'setting DOWNSCOPE_POLICY_YAML')

  const first = await source.read()

  expect(first).toMatchObject({ text: 'version: 1', origin: 'setting DOWNSCOPE_POLICY_YAML' })
  expect(await source.read(first?.revision)).toBeUndefined()
  expect(await source.read('another')).toEqual(first)
})
