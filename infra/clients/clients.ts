import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runProgram } from '../../test/support/run-node.ts'
import { bucket, object } from '../../test/support/clients/storage-api.ts'
import { ways, type Environments, type Way } from './ways.ts'
import { audience, caller, scope, type ClientsWorld } from './world.ts'

/** One line of the matrix: a client asks by its own library, and prints the token that it got. */
export interface Attempt {
  readonly client: string
  readonly version: string
  readonly way: string
  /** What the stand-in must have recorded. */
  readonly expected: string
  /** The token. Rejects with what the client said. */
  readonly run: () => Promise<string>
}

const programs = join(import.meta.dirname, 'programs')

interface Given {
  readonly world: ClientsWorld
  readonly folder: string
  readonly environments: Environments
}

type Words = readonly [program: string, ...args: string[]]

export function nodeClients({ world, folder, environments }: Given): readonly Attempt[] {
  const client = join(folder, 'client.mjs')
  return [9, 10, 11].flatMap((major) => {
    const library = `google-auth-library-${major}`
    const { version } = JSON.parse(
      readFileSync(join(folder, 'node_modules', library, 'package.json'), 'utf8'),
    ) as { version: string }
    const words = (...args: readonly string[]): Words => [process.execPath, client, library, ...args]
    const impersonated = (way: string, expected: string, ...args: readonly string[]): Attempt => ({
      client: 'Node google-auth-library',
      version,
      way: `impersonation, ${way}`,
      expected,
      run: () => say(world, words(way, world.url, world.account, ...args), environments.impersonation),
    })
    return [
      ...tokenAndIdentity('Node google-auth-library', version, {
        world,
        environments,
        token: words('token'),
        identity: words('identity', audience),
      }),
      impersonated('ID token', audience, audience),
      impersonated('signed URL', `${bucket}/${object.name}`, bucket, object.name),
    ]
  })
}

export async function pythonClients({ world, folder, environments }: Given): Promise<readonly Attempt[]> {
  const python = join(folder, 'venv/bin/python')
  const words = (...args: readonly string[]): Words => [python, join(programs, 'client.py'), ...args]
  const [auth = '', storage = '', authlib = ''] = (await say(world, words('version'), {})).split(' ')
  return [
    ...tokenAndIdentity('Python google-auth', auth, {
      world,
      environments,
      token: words('token'),
      identity: words('identity', audience),
    }),
    ...(['file', 'metadata'] as const).map((way) => ({
      client: 'Python google-cloud-storage',
      version: storage,
      way,
      expected: scope,
      run: () =>
        say(world, words('storage', world.storage.url, bucket, object.name, object.text), environments[way]),
    })),
    {
      client: 'Authlib',
      version: authlib,
      way: 'own key',
      expected: scope,
      run: () =>
        say(world, words('authlib', `${world.url}/v1/token`, caller, world.keyFiles.pem), environments.file),
    },
  ]
}

export function goClients({ world, folder, environments }: Given): readonly Attempt[] {
  const client = join(folder, 'client')
  const module = readFileSync(join(programs, 'go/go.mod'), 'utf8')
  const versionOf = (name: string): string => new RegExp(`${name} v(\\S+)`).exec(module)?.[1] ?? ''
  return [
    ...tokenAndIdentity('Go cloud.google.com/go/auth', versionOf('cloud.google.com/go/auth'), {
      world,
      environments,
      token: [client, 'auth'],
      identity: [client, 'identity', audience],
    }),
    ...tokenAndIdentity('Go golang.org/x/oauth2', versionOf('golang.org/x/oauth2'), {
      world,
      environments,
      token: [client, 'oauth2'],
    }),
  ]
}

export function javaClients(given: Given & { readonly trustStore: string }): readonly Attempt[] {
  const { world, folder, environments, trustStore } = given
  const pom = readFileSync(join(programs, 'java/pom.xml'), 'utf8')
  const versionOf = (name: string): string =>
    new RegExp(`<artifactId>${name}</artifactId>\\s*<version>([^<]+)`).exec(pom)?.[1] ?? ''
  const words = (...args: readonly string[]): Words => [
    'java',
    '-XX:TieredStopAtLevel=1',
    `-Djavax.net.ssl.trustStore=${trustStore}`,
    '-Djavax.net.ssl.trustStorePassword=changeit',
    '-cp',
    [join(folder, 'classes'), join(folder, 'lib/*')].join(':'),
    'Client',
    ...args,
  ]
  return [
    ...tokenAndIdentity('Java google-auth-library-java', versionOf('google-auth-library-oauth2-http'), {
      world,
      environments,
      token: words('token'),
      identity: words('identity', audience),
    }),
    {
      client: 'Java Nimbus oauth2-oidc-sdk',
      version: versionOf('oauth2-oidc-sdk'),
      way: 'own key without iat',
      expected: scope,
      run: () =>
        say(world, words('nimbus', `${world.url}/v1/token`, caller, world.keyFiles.jwk), environments.file),
    },
  ]
}

export function rustClients({ world, folder, environments }: Given): readonly Attempt[] {
  const manifest = readFileSync(join(programs, 'rust/Cargo.toml'), 'utf8')
  return tokenAndIdentity(
    'Rust google-cloud-auth',
    /google-cloud-auth = "=(\S+)"/.exec(manifest)?.[1] ?? '',
    {
      world,
      environments,
      token: [join(folder, 'rust/target/release/clients')],
    },
  )
}

export async function gcloudClients(
  world: ClientsWorld,
  environments: Environments,
): Promise<readonly Attempt[]> {
  const version = /^Google Cloud SDK (\S+)/.exec(await say(world, ['gcloud', 'version'], {}))?.[1] ?? ''
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
  const row = (client: string, way: Way, expected: string, ask: () => Promise<string>): Attempt => ({
    client,
    version,
    way: expected === audience ? `${way}, ID token` : way,
    expected,
    run: ask,
  })
  return [
    ...ways.map((way) =>
      row('gcloud', way, scope, async () => {
        await login(way)
        return say(world, ['gcloud', 'auth', 'print-access-token'], envFor(way))
      }),
    ),
    row('gcloud', 'metadata', audience, () =>
      say(world, ['gcloud', 'auth', 'print-identity-token', `--audiences=${audience}`], envFor('metadata')),
    ),
    ...(['file', 'metadata'] as const).map((way) =>
      row('gcloud storage', way, scope, async () => {
        await login(way)
        const listed = await say(world, ['gcloud', 'storage', 'ls', `gs://${bucket}/`], envFor(way))
        if (listed !== `gs://${bucket}/${object.name}`) throw new Error(`the list is another: ${listed}`)
        return world.storage.lastToken()
      }),
    ),
  ]
}

export async function curlClients(
  world: ClientsWorld,
  environments: Environments,
): Promise<readonly Attempt[]> {
  const version = /^curl (\S+)/.exec(await say(world, ['curl', '--version'], {}))?.[1] ?? ''
  const ask = async (way: Way, ...args: readonly string[]): Promise<string> => {
    const answer = JSON.parse(await say(world, ['curl', '-sS', ...args], environments[way])) as Record<
      string,
      unknown
    >
    if (typeof answer['access_token'] === 'string') return answer['access_token']
    throw new Error(JSON.stringify(answer))
  }
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
  const shared = { client: 'curl', version, expected: scope }
  return [
    { ...shared, way: 'token exchange', run: () => ask('file', ...exchange, `${world.url}/v1/token`) },
    {
      ...shared,
      way: 'metadata',
      run: () =>
        ask(
          'metadata',
          '-H',
          'Metadata-Flavor: Google',
          `http://${world.agent}/v1/token?account=default&scope=${scope}`,
        ),
    },
  ]
}

interface Library {
  readonly world: ClientsWorld
  readonly environments: Environments
  readonly token: Words
  readonly identity?: Words
}

/** Application default credentials in each way; ID tokens where every library can get them, from the agent. */
function tokenAndIdentity(client: string, version: string, library: Library): readonly Attempt[] {
  const { world, environments, token, identity } = library
  return [
    ...ways.map((way) => ({
      client,
      version,
      way,
      expected: scope,
      run: () => say(world, token, environments[way]),
    })),
    ...(identity === undefined
      ? []
      : [
          {
            client,
            version,
            way: 'metadata, ID token',
            expected: audience,
            run: () => say(world, identity, environments.metadata),
          },
        ]),
  ]
}

/** The last line that the program prints, and of a version the first. */
async function say(
  world: ClientsWorld,
  words: Words,
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const [program, ...args] = words
  const { status, stdout, stderr } = await runProgram(program, args, { cwd: world.folder, env })
  const lines = stdout.trim().split('\n')
  if (status === 0) return (args.at(-1)?.endsWith('version') === true ? lines[0] : lines.at(-1)) ?? ''
  throw new Error((stderr.trim() || stdout.trim()).split('\n').slice(-3).join(' '))
}
