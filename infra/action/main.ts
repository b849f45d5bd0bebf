import { randomUUID } from 'node:crypto'
import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { jwtFromPlatform } from '../../src/agent/proofs.ts'
import { brokerBase } from '../../src/client/broker-connection.ts'
import { createTokenSource } from '../../src/client/token-source.ts'
import { confirmedAudience, input, mask, runStep, setOutput } from './runner.ts'

// The step of the GitHub Action: trades the OIDC token of the job for a token, or writes a credential file.
// Bundled to main.js by infra/build-action.ts.

await runStep(async () => {
  const broker = brokerBase(input('broker', true))
  const audience = await confirmedAudience(broker, input('broker-issuer'))
  if (input('credential-file') === 'true') writeCredentialFile(broker, audience)
  else await getToken(broker, audience)
})

async function getToken(broker: string, audience: string): Promise<void> {
  const scopes = input('scopes')
    .split(/\s+/)
    .filter((scope) => scope !== '')
  const lifetime = Number(input('lifetime'))
  const source = createTokenSource({
    url: broker,
    issuer: audience,
    credential: input('credential', true),
    scopes,
    ...(lifetime > 0 ? { lifetime } : {}),
    proof: async (name) => {
      const jwt = await jwtFromPlatform('github', process.env)(name)
      mask(jwt)
      return jwt
    },
  })
  const { token, scopes: granted } = await source.getToken()
  mask(token)
  setOutput('token', token)
  // For the end of the job, in a file that only its user may read.
  remember('token', writePrivate('token', token))
  process.stdout.write(`downscope: a token with ${granted.join(' ') || 'no scope'}\n`)
}

/** The library asks GitHub for the OIDC token by itself, again for each exchange. */
function writeCredentialFile(broker: string, audience: string): void {
  const [address, bearer] = [
    process.env['ACTIONS_ID_TOKEN_REQUEST_URL'],
    process.env['ACTIONS_ID_TOKEN_REQUEST_TOKEN'],
  ]
  if (address === undefined || bearer === undefined)
    throw new Error('GitHub offers no ID token here: the job needs permissions: id-token: write')
  const url = new URL(address)
  url.searchParams.set('audience', audience)
  const file = {
    type: 'external_account',
    audience: `//${new URL(audience).host}/credentials/${input('credential', true)}`,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: `${broker}/v1/token`,
    token_info_url: `${broker}/v1/introspect`,
    credential_source: {
      url: url.href,
      headers: { Authorization: `Bearer ${bearer}` },
      format: { type: 'json', subject_token_field_name: 'value' },
    },
  }
  const path = writePrivate('json', `${JSON.stringify(file)}\n`)
  remember('file', path)
  setOutput('credential-file', path)
  for (const name of ['GOOGLE_APPLICATION_CREDENTIALS', 'CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE'])
    appendFileSync(process.env['GITHUB_ENV'] ?? '/dev/null', `${name}=${path}\n`)
  process.stdout.write(`downscope: wrote ${path}\n`)
}

function writePrivate(ending: string, text: string): string {
  const folder = process.env['RUNNER_TEMP']
  if (folder === undefined) throw new Error('RUNNER_TEMP is not set')
  const path = join(folder, `downscope-${randomUUID()}.${ending}`)
  writeFileSync(path, text, { mode: 0o600, flag: 'wx' })
  return path
}

/** The step at the end of the job finds it as STATE_NAME. */
function remember(name: 'token' | 'file', path: string): void {
  appendFileSync(
    process.env['GITHUB_STATE'] ?? '/dev/null',
    `${name}=${path}\nbroker=${input('broker')}\nissuer=${input('broker-issuer')}\n`,
  )
}
