import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { JWK } from 'jose'
import { makeFirstFiles } from '../../src/cli/dev/first-files.ts'
import { signedWithOwnKey } from '../../src/client/broker-connection.ts'
import { startGoogleStandIn } from '../../test/support/google/stand-in.ts'
import { enrol } from '../quickstart/enrol.ts'

// For infra/compose.yaml. `files FOLDER` makes keys and a policy; `google PORT BROKER KEY` is Google there: the stand-in, which
// enrols a key of its own as reports-sa once the broker is ready, and stays until it is ended.

const [task, ...words] = process.argv.slice(2)
if (task === 'files') makeFiles(words[0] ?? '.downscope/compose')
else if (task === 'google') await beGoogle(Number(words[0]), words[1] ?? '', words[2] ?? '')
else throw new Error('files or google?')

/** The folder is for its owner alone. Its files are not: containers read them as other users, through a mount each. */
function makeFiles(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const { sealingKeys } = makeFirstFiles(folder)
  writeFileSync(join(folder, 'broker.env'), `DOWNSCOPE_KEYS=${sealingKeys}\n`, { mode: 0o600 })
  for (const name of ['policy.yaml', 'admin.jwk.json', 'my-service.jwk.json'])
    chmodSync(join(folder, name), 0o644)
}

async function beGoogle(port: number, broker: string, keyFile: string): Promise<void> {
  const google = await startGoogleStandIn({ port })
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit())
  while (!(await isReady(broker))) await wait(100)
  const bearer = await signedWithOwnKey({ key: JSON.parse(readFileSync(keyFile, 'utf8')) as JWK })(broker)
  const secret = await google.createServiceAccount({ email: 'reports@acme.iam.gserviceaccount.com' })
  await enrol({ brokerUrl: broker, bearer }, { name: 'reports-sa', secret })
  process.stdout.write('reports-sa is enrolled\n')
}

async function isReady(broker: string): Promise<boolean> {
  const answer = await fetch(`${broker}/readyz`).catch(() => undefined)
  await answer?.body?.cancel()
  return answer?.ok === true
}
