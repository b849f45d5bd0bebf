import { describe, expect, test } from 'vitest'
import { readWorkersSettings } from '../../src/config.ts'

const key = `k1:${btoa('k'.repeat(32))}`
const least = { DOWNSCOPE_ISSUER: 'https://tokens.acme.example', DOWNSCOPE_KEYS: key }

describe('the settings of a Worker', () => {
  test('keep their documents in the Durable Object named downscope unless another place is set', () => {
    expect(readWorkersSettings(least).store).toEqual({ kind: 'sqlite', path: 'downscope' })
    expect(readWorkersSettings({ ...least, DOWNSCOPE_STORE: ' ' }).store).toMatchObject({ path: 'downscope' })
    expect(readWorkersSettings({ ...least, DOWNSCOPE_STORE: 'sqlite:other' }).store).toMatchObject({
      path: 'other',
    })
    expect(readWorkersSettings({ ...least, DOWNSCOPE_STORE: 'memory:' }).store).toEqual({ kind: 'memory' })
  })

  test('may be variables of any kind, and bindings of another kind are none', () => {
    const policy = { version: 1, issuers: [], rules: [], admins: [] }
    const settings = readWorkersSettings({
      ...least,
      DOWNSCOPE_MEMORY_TOKENS: 7,
      DOWNSCOPE_POLICY_YAML: policy,
      DOCUMENTS: new Map(),
    })

    expect(settings.memoryTokensMax).toBe(7)
    expect(settings.policy).toMatchObject({ from: 'setting', text: JSON.stringify(policy) })
  })

  test('with a path of a policy file are a fault, told together with every other one', () => {
    const read = () =>
      readWorkersSettings({
        DOWNSCOPE_KEYS: key,
        DOWNSCOPE_POLICY: 'policy.yaml',
        DOWNSCOPE_TYPO: 'x',
        DOWNSCOPE_METRICS_PORT: '9464',
      })

    expect(read).toThrow(/^4 settings are wrong/)
    expect(read).toThrow(/DOWNSCOPE_ISSUER is required/)
    expect(read).toThrow(/DOWNSCOPE_TYPO/)
    expect(read).toThrow(/DOWNSCOPE_POLICY names a file, and Workers have none/)
    expect(read).toThrow(/DOWNSCOPE_METRICS_PORT opens a port, and Workers have none/)
  })
})
