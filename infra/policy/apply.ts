// Puts a policy into the store that the settings name: `npm run policy:apply -- FILE`. It writes beside the broker and
// not through its admin API, because an empty store has no policy yet that would make anybody an administrator.
import { readFile } from 'node:fs/promises'

import { parsePolicy } from '../../src/authorize/parse-policy.ts'
import { startFault } from '../../src/compose/start-fault.ts'
import { createNodePlatform } from '../../src/compose/node-platform.ts'
import { readSettings } from '../../src/config.ts'
import { isBrokerError } from '../../src/domain/broker-error.ts'
import { createPolicies } from '../../src/records/policies.ts'

const [file] = process.argv.slice(2)

try {
  if (file === undefined) throw new Error('which file? npm run policy:apply -- policy.yaml')
  process.stdout.write(`${await apply(file)}\n`)
} catch (error) {
  process.stderr.write(`no policy applied: ${startFault(error) ?? reasonOf(error)}\n`)
  process.exitCode = 1
}

async function apply(path: string): Promise<string> {
  const settings = readSettings(process.env)
  const text = await readFile(path, 'utf8')
  const policy = parsePolicy({ text, revision: 'proposed', origin: path }, { brokerIssuer: settings.issuer })
  const platform = createNodePlatform(settings)
  try {
    const { store, clock, entropy } = platform
    const policies = createPolicies({ store, clock, newId: () => entropy.uuid() })
    const { revision } = await policies.apply({
      text,
      expected: await revisionNow(policies),
      by: 'policy:apply',
    })
    const counts = `${policy.issuers.length} issuers, ${policy.rules.length} rules, ${policy.admins.length} admin rules`
    return `policy ${path} is in the store (${counts}); every broker on it has it within 10 s. Revision ${revision}`
  } finally {
    await platform.close()
  }
}

async function revisionNow(policies: ReturnType<typeof createPolicies>): Promise<string | undefined> {
  try {
    return (await policies.read())?.revision
  } catch (error) {
    if (isBrokerError(error) && error.code === 'policy_unavailable') return undefined
    throw error
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
