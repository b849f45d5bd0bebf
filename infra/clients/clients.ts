import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { bucket, object } from '../../test/support/clients/storage-api.ts'
import { addressOf, onlyAgent, ownRequest, say, urlWanted, type Attempt, type Words } from './attempt.ts'
import { curlClients, gcloudClients } from './command-lines.ts'
import type { Language } from './toolchains.ts'
import { ways, type Environments } from './ways.ts'
import { audience, caller, recordedIdToken, recordedScope, recordedUrl, type ClientsWorld } from './world.ts'

export interface Matrix {
  readonly world: ClientsWorld
  readonly environments: Environments
  /** Of each language whose clients are here, where they were installed or built. */
  readonly folders: ReadonlyMap<Language, string>
  /** Google's library for Java refuses a `token_url` by http. */
  readonly behindTls?: { readonly environments: Environments; readonly trustStore: string }
  /** Of the programs that this machine has. */
  readonly versions: Readonly<Partial<Record<'gcloud' | 'curl', string>>>
}

const programs = join(import.meta.dirname, 'programs')

export function attemptsOf({
  world,
  environments,
  folders,
  behindTls,
  versions,
}: Matrix): readonly Attempt[] {
  const given = (folder: string): Given => ({ world, environments, folder })
  const [node, python, go, java, rust] = (['node', 'python', 'go', 'java', 'rust'] as const).map((name) =>
    folders.get(name),
  )
  return [
    ...(node === undefined ? [] : nodeClients(given(node))),
    ...(python === undefined ? [] : pythonClients(given(python))),
    ...(go === undefined ? [] : goClients(given(go))),
    ...(java === undefined || behindTls === undefined ? [] : javaClients({ ...given(java), ...behindTls })),
    ...(rust === undefined ? [] : rustClients(given(rust))),
    ...(versions.gcloud === undefined ? [] : gcloudClients(world, environments, versions.gcloud)),
    ...(versions.curl === undefined ? [] : curlClients(world, environments, versions.curl)),
  ]
}

interface Given {
  readonly world: ClientsWorld
  readonly folder: string
  readonly environments: Environments
}

/** As the client's own manifest pins it. */
function versionIn(manifest: string, pattern: RegExp): string {
  return pattern.exec(readFileSync(join(programs, manifest), 'utf8'))?.[1] ?? ''
}

function nodeClients({ world, folder, environments }: Given): readonly Attempt[] {
  const client = join(folder, 'client.mjs')
  return [9, 10, 11].flatMap((major) => {
    const library = `google-auth-library-${major}`
    const version = versionIn('package.json', new RegExp(`npm:google-auth-library@(${major}\\.[^"]+)`))
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
        identityWay: 'metadata, ID token',
      }),
      impersonated('ID token', recordedIdToken, audience),
      impersonated('signed URL', recordedUrl, bucket, object.name),
    ]
  })
}

function pythonClients({ world, folder, environments }: Given): readonly Attempt[] {
  const python = join(folder, 'venv/bin/python')
  const words = (...args: readonly string[]): Words => [python, join(programs, 'client.py'), ...args]
  const versionOf = (name: string): string =>
    versionIn('requirements.txt', new RegExp(`^${name}==(.+)$`, 'm'))
  const auth = versionOf('google-auth')
  const storage = { client: 'Python google-cloud-storage', version: versionOf('google-cloud-storage') }
  return [
    ...tokenAndIdentity('Python google-auth', auth, {
      world,
      environments,
      token: words('token'),
      identity: words('identity', audience),
    }),
    ...(['file', 'metadata'] as const).map((way) => ({
      ...storage,
      way,
      expected: recordedScope,
      run: () =>
        say(world, words('storage', world.storage.url, bucket, object.name, object.text), environments[way]),
    })),
    {
      ...storage,
      way: 'own signer, signed URL',
      expected: recordedUrl,
      run: () => say(world, words('signer', addressOf(world), bucket, object.name), environments.ticket),
    },
    {
      client: 'Python google-auth',
      version: auth,
      way: ownRequest,
      expected: recordedUrl,
      run: () => say(world, words('sign', ...signing(world)), environments.ticket),
    },
    {
      client: 'Authlib',
      version: versionOf('authlib'),
      way: 'own key',
      expected: recordedScope,
      run: () =>
        say(world, words('authlib', `${world.url}/v1/token`, caller, world.keyFiles.pem), environments.file),
    },
  ]
}

function goClients({ world, folder, environments }: Given): readonly Attempt[] {
  const client = join(folder, 'client')
  const versionOf = (name: string): string => versionIn('go/go.mod', new RegExp(`${name} v(\\S+)`))
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
    {
      client: 'Go golang.org/x/oauth2',
      version: versionOf('golang.org/x/oauth2'),
      way: ownRequest,
      expected: recordedUrl,
      run: () => say(world, [client, 'sign', ...signing(world)], environments.ticket),
    },
  ]
}

function javaClients(given: Given & { readonly trustStore: string }): readonly Attempt[] {
  const { world, folder, environments, trustStore } = given
  const versionOf = (name: string): string =>
    versionIn('java/pom.xml', new RegExp(`<artifactId>${name}</artifactId>\\s*<version>([^<]+)`))
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
      client: 'Java google-auth-library-java',
      version: versionOf('google-auth-library-oauth2-http'),
      way: ownRequest,
      expected: recordedUrl,
      run: () => say(world, words('sign', ...signing(world)), environments.ticket),
    },
    {
      client: 'Java Nimbus oauth2-oidc-sdk',
      version: versionOf('oauth2-oidc-sdk'),
      way: 'own key without iat',
      expected: recordedScope,
      run: () =>
        say(world, words('nimbus', `${world.url}/v1/token`, caller, world.keyFiles.jwk), environments.file),
    },
  ]
}

function rustClients({ world, folder, environments }: Given): readonly Attempt[] {
  return tokenAndIdentity(
    'Rust google-cloud-auth',
    versionIn('rust/Cargo.toml', /google-cloud-auth = "=(\S+)"/),
    { world, environments, token: [join(folder, 'rust/target/release/clients')] },
  )
}

interface Library {
  readonly world: ClientsWorld
  readonly environments: Environments
  readonly token: Words
  readonly identity?: Words
  /** Unless the library can be pointed at the broker for it too, the agent is the only way. */
  readonly identityWay?: string
}

/** Application default credentials in each way; ID tokens where every library can get them, from the agent. */
function tokenAndIdentity(client: string, version: string, library: Library): readonly Attempt[] {
  const { world, environments, token, identity, identityWay = onlyAgent } = library
  return [
    ...ways.map((way) => ({
      client,
      version,
      way,
      expected: recordedScope,
      run: () => say(world, token, environments[way]),
    })),
    ...(identity === undefined
      ? []
      : [
          {
            client,
            version,
            way: identityWay,
            expected: recordedIdToken,
            run: () => say(world, identity, environments.metadata),
          },
        ]),
  ]
}

function signing(world: ClientsWorld): readonly [url: string, body: string] {
  return [`${addressOf(world)}:signUrl`, JSON.stringify(urlWanted)]
}
