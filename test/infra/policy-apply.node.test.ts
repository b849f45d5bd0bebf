import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, describe, expect, it } from 'vitest'

import { createSqliteStore } from '../../src/adapters/sqlite/sqlite-store.ts'
import { createPolicies } from '../../src/records/policies.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { runProgram } from '../support/run-node.ts'

const folder = mkdtempSync(join(tmpdir(), 'downscope-apply-'))
afterAll(() => rmSync(folder, { recursive: true }))

const good = 'version: 1\nissuers: []\nrules: []\nadmins: []\n'
const env = {
  DOWNSCOPE_ISSUER: 'https://tokens.acme.example',
  DOWNSCOPE_KEYS: `k1:${Buffer.alloc(32, 7).toString('base64')}`,
  DOWNSCOPE_STORE: `sqlite:${join(folder, 'store.db')}`,
}

function apply(text: string) {
  const file = join(folder, 'policy.yaml')
  writeFileSync(file, text)
  const program = join(import.meta.dirname, '../../infra/policy/apply.ts')
  return runProgram(process.execPath, [program, file], { cwd: folder, env })
}

async function inStore(): Promise<string | undefined> {
  const clock = createFakeClock()
  const { store, close } = createSqliteStore({ path: join(folder, 'store.db'), clock })
  const read = await createPolicies({ store, clock, newId: () => 'unused' }).read()
  close()
  return read?.text
}

describe('npm run policy:apply', () => {
  it('begins an empty store, replaces what is there, and refuses a mistake without touching anything', async () => {
    expect(await apply(good)).toMatchObject({ status: 0, stderr: '' })
    expect(await inStore()).toBe(good)

    const changed = `${good}# changed\n`
    expect((await apply(changed)).stdout).toContain('is in the store (0 issuers, 0 rules, 0 admin rules)')
    expect(await inStore()).toBe(changed)

    const refused = await apply('version: 1\nissuers: []\nrule: []\n')
    expect(refused.status).toBe(1)
    expect(refused.stderr).toMatch(/^no policy applied: [^]*policy\.yaml:3:1 rule: unknown key "rule"/)
    expect(await inStore()).toBe(changed)
  })
})
