import { execFile } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import type { BrokerProcess } from '../support/spawn-broker.ts'
import { createTestWorld, scopeOf, type TestWorld } from '../support/test-broker/test-world.ts'

const run = promisify(execFile)
const gcloud = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'gcloud'))
  .find((file) => existsSync(file))
const compute = scopeOf('compute')
const email = 'operations@acme.iam.gserviceaccount.com'

describe.skipIf(gcloud === undefined)(
  'gcloud (skipped where it is not installed)',
  { timeout: 60_000 },
  () => {
    let world: TestWorld
    let broker: BrokerProcess

    beforeAll(async () => {
      world = await createTestWorld()
      // gcloud always asks for broad scopes; the rule drops what it does not allow.
      const rule = world.rule('operations', [compute], { excess_scopes: 'drop' })
      broker = await world.yard.start(world.settings([rule]))
      await world.enrolAccount(broker, 'operations', { email })
      return () => world.close()
    }, 60_000)

    test('logs in with a credential file, takes the service account for the account, and gets a narrow token', async () => {
      const jwt = join(world.folder, 'workload.jwt')
      writeFileSync(jwt, `${await world.workload.jwt()}\n`, { mode: 0o600 })
      const file = join(world.folder, 'gcloud.json')
      writeFileSync(file, JSON.stringify(credentialFile(jwt)))

      const login = await ask('auth', 'login', `--cred-file=${file}`, '--quiet')
      expect(login.stderr).toContain(`Authenticated with external account credentials for: [${email}]`)
      const { stdout: token } = await ask('auth', 'print-access-token')

      expect(world.google.token(token.trim())).toMatchObject({ subject: email, scopes: [compute] })
    })

    const credentialFile = (jwt: string) => ({
      type: 'external_account',
      audience: 'operations',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      token_url: `${broker.url}/v1/token`,
      token_info_url: `${broker.url}/v1/introspect`,
      credential_source: { file: jwt },
    })

    /** Nothing of whoever runs this, and nothing that asks beyond this machine. */
    const ask = (...args: readonly string[]) =>
      run(gcloud ?? 'gcloud', args, {
        env: {
          PATH: process.env['PATH'] ?? '',
          HOME: world.folder,
          CLOUDSDK_CONFIG: join(world.folder, 'gcloud'),
          CLOUDSDK_CORE_DISABLE_PROMPTS: '1',
          CLOUDSDK_CORE_DISABLE_USAGE_REPORTING: '1',
          CLOUDSDK_CORE_CHECK_GCE_METADATA: '0',
          CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK: '1',
          CLOUDSDK_SURVEY_DISABLE_PROMPTS: '1',
          NO_PROXY: '*',
        },
      })
  },
)
