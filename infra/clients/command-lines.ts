import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { bucket, object } from '../../test/support/clients/storage-api.ts'
import { addressOf, onlyAgent, ownRequest, say, urlWanted, type Attempt } from './attempt.ts'
import { ways, type Environments, type Way } from './ways.ts'
import { audience, recordedIdToken, recordedScope, recordedUrl, scope, type ClientsWorld } from './world.ts'

export function gcloudClients(
  world: ClientsWorld,
  environments: Environments,
  version: string,
): readonly Attempt[] {
  const envFor = (way: Way): Readonly<Record<string, string>> => ({
    ...environments[way],
    CLOUDSDK_CONFIG: join(world.folder, `gcloud-${way}`),
    CLOUDSDK_CORE_DISABLE_PROMPTS: '1',
    CLOUDSDK_CORE_DISABLE_USAGE_REPORTING: '1',
    CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK: '1',
    CLOUDSDK_SURVEY_DISABLE_PROMPTS: '1',
    CLOUDSDK_CORE_CHECK_GCE_METADATA: way === 'metadata' ? '1' : '0',
    CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE: `${world.storage.url}/storage/v1/`,
  })
  const login = async (way: Way): Promise<void> => {
    const file = environments[way]['GOOGLE_APPLICATION_CREDENTIALS']
    if (file !== undefined)
      await say(world, ['gcloud', 'auth', 'login', `--cred-file=${file}`, '--quiet'], envFor(way))
  }
  const row = (client: string, way: Way, ask: () => Promise<string>): Attempt => ({
    client,
    version,
    way,
    expected: recordedScope,
    run: ask,
  })
  return [
    ...ways.map((way) =>
      row('gcloud', way, async () => {
        await login(way)
        return say(world, ['gcloud', 'auth', 'print-access-token'], envFor(way))
      }),
    ),
    {
      client: 'gcloud',
      version,
      way: onlyAgent,
      expected: recordedIdToken,
      run: () =>
        say(world, ['gcloud', 'auth', 'print-identity-token', `--audiences=${audience}`], envFor('metadata')),
    },
    ...(['file', 'metadata'] as const).map((way) =>
      row('gcloud storage', way, async () => {
        await login(way)
        const listed = await say(world, ['gcloud', 'storage', 'ls', `gs://${bucket}/`], envFor(way))
        if (listed !== `gs://${bucket}/${object.name}`) throw new Error(`the list is another: ${listed}`)
        return world.storage.lastToken()
      }),
    ),
  ]
}

export function curlClients(
  world: ClientsWorld,
  environments: Environments,
  version: string,
): readonly Attempt[] {
  const ask = async (member: string, ...args: readonly string[]): Promise<string> => {
    const answer = JSON.parse(await say(world, ['curl', '-sS', ...args], environments.file)) as Record<
      string,
      unknown
    >
    const wanted = answer[member]
    if (typeof wanted === 'string') return wanted
    throw new Error(JSON.stringify(answer))
  }
  const emulated = (method: string, body: object): readonly string[] => [
    '--oauth2-bearer',
    readFileSync(world.jwtFile, 'utf8').trim(),
    '--json',
    JSON.stringify(body),
    `${addressOf(world)}:${method}`,
  ]
  const exchange = [
    '-d',
    'grant_type=urn:ietf:params:oauth:grant-type:token-exchange',
    '-d',
    'subject_token_type=urn:ietf:params:oauth:token-type:jwt',
    '--data-urlencode',
    `subject_token@${world.jwtFile}`,
    '-d',
    'audience=reports',
    '-d',
    `scope=${scope}`,
  ]
  const shared = { client: 'curl', version, expected: recordedScope }
  return [
    {
      ...shared,
      way: 'token exchange',
      run: () => ask('access_token', ...exchange, `${world.url}/v1/token`),
    },
    {
      ...shared,
      way: 'impersonation',
      run: () => ask('accessToken', ...emulated('generateAccessToken', { scope: [scope] })),
    },
    {
      ...shared,
      way: ownRequest,
      expected: recordedUrl,
      run: () => ask('signedUrl', ...emulated('signUrl', urlWanted)),
    },
    {
      ...shared,
      way: 'metadata',
      run: () =>
        ask(
          'access_token',
          '-H',
          'Metadata-Flavor: Google',
          `http://${world.agent}/v1/token?account=default&scope=${scope}`,
        ),
    },
  ]
}
