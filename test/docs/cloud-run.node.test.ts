import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { load } from 'js-yaml'
import { parsePolicy } from '../../src/policy/parse-policy.ts'
import { readSettings } from '../../src/config.ts'
import { brokerIssuer } from '../support/guides.ts'
import { repository } from '../support/run-node.ts'

describe('infra/cloud-run', () => {
  test('the policy to begin with is valid', async () => {
    const text = await readFile(join(repository, 'infra/policy/first-policy.yaml'), 'utf8')

    expect(parsePolicy({ text, revision: '1', origin: 'infra' }, { brokerIssuer }).admins).toHaveLength(1)
  })

  test('service.yaml sets what the broker can start with', async () => {
    const text = await readFile(join(repository, 'infra/cloud-run/service.yaml'), 'utf8')
    const filled = text.replaceAll('${ISSUER}', brokerIssuer).replaceAll(/\$\{\w+\}/g, 'acme-tokens')
    const env = [...filled.matchAll(/name: (DOWNSCOPE_\w+), value: '?([^'}\s]+)/g)]
    const settings = Object.fromEntries(env.map(([, name = '', value = '']) => [name, value]))

    expect(() => load(filled)).not.toThrow()
    expect(Object.keys(settings)).toHaveLength(4)
    expect(filled).toContain('name: DOWNSCOPE_KEYS')
    expect(readSettings({ ...settings, DOWNSCOPE_KEYS: `k1:${'A'.repeat(43)}=` })).toMatchObject({
      issuer: brokerIssuer,
      store: { kind: 'firestore', driver: 'native', project: 'acme-tokens', database: 'downscope' },
      policy: { from: 'file', path: '/etc/downscope/policy.yaml' },
    })
  })
})
