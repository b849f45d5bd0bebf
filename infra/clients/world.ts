import { createPrivateKey, randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { Agent, createServer as createPlainServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { createPerson } from '../../src/cli/terminal.ts'
import { shortScopeName } from '../../src/policy/scope-catalogue.ts'
import { startDownscope, type AgentProcess } from '../../test/support/agent-process.ts'
import { startRecordingProxy } from '../../test/support/clients/recording-proxy.ts'
import { serveOnLoopback } from '../../test/support/clients/loopback-server.ts'
import { bucket, object, startStorageApi, type StorageApi } from '../../test/support/clients/storage-api.ts'
import { runProgram } from '../../test/support/run-node.ts'
import { createTestWorld, scopeOf } from '../../test/support/test-broker/test-world.ts'

export const scope = scopeOf('devstorage.read_only')
export const audience = 'https://reports.acme.example'
export const caller = 'batch'

/** What `recorded` says of the tokens that are wanted. */
export const recordedScope = 'devstorage.read_only'
export const recordedIdToken = `ID token for ${audience}`
export const recordedUrl = `signed URL of ${bucket}/${object.name}`

/** A broker with one credential, `reports`, an agent for it, and everything that a client may be pointed at. */
export interface ClientsWorld {
  readonly folder: string
  readonly url: string
  readonly storage: StorageApi
  readonly keyFiles: { readonly jwk: string; readonly pem: string }
  readonly jwtFile: string
  /** Where the same JWT is read by GET. */
  readonly jwtUrl: string
  /** The e-mail address of the account that `reports` is. */
  readonly account: string
  /** `127.0.0.1:PORT` of the agent. */
  readonly agent: string
  /** The broker behind TLS, for clients that refuse http, and the trust store that knows its certificate. */
  readonly openTls: () => Promise<{ readonly url: string; readonly trustStore: string }>
  /**
   * Scopes that Google's stand-in recorded for an access token, whom it made an ID token for, or of a signed URL the object
   * that Cloud Storage would give for it.
   */
  readonly recorded: (token: string) => string
  /** What of the matrix this broker cannot serve, and why. */
  readonly missing: () => Promise<ReadonlyMap<string, string>>
  readonly close: () => Promise<void>
}

const password = 'changeit'

export async function createClientsWorld(): Promise<ClientsWorld> {
  const [world, front] = await Promise.all([createTestWorld(), startRecordingProxy()])
  const person = createPerson(caller)
  const write = (name: string, text: string): string => {
    const path = join(world.folder, name)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }
  const endpoints = [front.url, `${front.url}/v1/token`]
  const policy = {
    version: 1,
    issuers: [
      {
        name: 'ops',
        issuer: 'ops',
        self_issued: true,
        keys: { jwks: { keys: [world.ops.signer.jwk] } },
        audiences: ['https://tokens.acme.example'],
      },
      {
        name: 'cluster',
        issuer: world.workload.issuer,
        keys: { jwks_uri: world.site.keysUrl },
        replay: 'allowed',
        lifetime_seconds_max: 3600,
      },
      // Authlib signs for an hour, and like Nimbus for the token endpoint.
      {
        name: caller,
        issuer: caller,
        self_issued: true,
        keys: { jwks: { keys: [person.publicJwk] } },
        audiences: endpoints,
        lifetime_seconds_max: 3600,
      },
    ],
    rules: [
      {
        name: 'reports',
        callers: [
          { issuer: 'cluster', subject: world.workload.subject },
          { issuer: caller, subject: caller },
        ],
        credential: 'reports',
        scopes: [scope],
        // Some clients always ask for broad scopes.
        excess_scopes: 'drop',
        token_types: ['access_token', 'id_token', 'signature'],
        id_token_audiences: [audience],
        signature: { storage_buckets: [bucket] },
      },
    ],
    admins: [{ callers: [{ issuer: 'ops', subject: 'ops' }], role: 'admin' }],
  }
  const broker = await world.yard.start(
    world.settings([], { DOWNSCOPE_ISSUER: front.url, DOWNSCOPE_POLICY_YAML: JSON.stringify(policy) }),
  )
  front.openTo(broker)
  const { client_email: account } = await world.enrolAccount(broker, 'reports')
  const storage = await startStorageApi(world.google)
  // The whole run takes minutes.
  const exp = Math.floor(Date.now() / 1000) + 3540
  const jwt = await world.workload.jwt({ aud: front.url, exp })
  const jwtFile = write('workload.jwt', `${jwt}\n`)
  const jwtServer = await serveOnLoopback(createPlainServer((_, response) => response.end(jwt)))
  const jwk = write('batch.jwk.json', JSON.stringify(person.privateJwk))
  const key = createPrivateKey({ key: { ...person.privateJwk }, format: 'jwk' })
  const pem = write('batch.pem', key.export({ type: 'pkcs8', format: 'pem' }).toString())
  const agent = startDownscope([
    'agent',
    '--broker',
    front.url,
    '--account',
    'default=reports',
    '--key',
    jwk,
    '--port',
    '0',
    '--project-id',
    'acme',
    '--project-number',
    '12345',
  ])
  const agentUrl = await agent.url
  const closers: (() => unknown)[] = []
  return {
    folder: world.folder,
    url: front.url,
    storage,
    keyFiles: { jwk, pem },
    jwtFile,
    jwtUrl: `${jwtServer.url}/jwt`,
    account,
    agent: new URL(agentUrl).host,
    openTls: async () => {
      const opened = await openTls(world.folder, front.url)
      closers.push(opened.close)
      return opened
    },
    recorded: (said) => {
      if (!said.startsWith('https:'))
        return world.google.token(said)?.scopes.map(shortScopeName).join(' ') || audienceOf(said)
      const judged = world.google.judgeSignedUrl('GET', said)
      return judged === undefined ? '' : `signed URL of ${judged.bucket}/${judged.object}`
    },
    missing: () => missingAt(front.url, person.privateJwk),
    close: async () => {
      await stop(agent)
      for (const close of closers) close()
      await storage.close()
      await jwtServer.close()
      await front.close()
      await world.close()
    },
  }
}

/** An unknown route is 404, and a known one without a JWT 401. RFC 7523 §3: `iat` is optional, and Nimbus sends none. */
async function missingAt(url: string, privateJwk: object): Promise<ReadonlyMap<string, string>> {
  const path = `/v1/projects/-/serviceAccounts/reports@127.0.0.1:generateAccessToken`
  const emulated = await fetch(`${url}${path}`, { method: 'POST' })
  const assertion = await new SignJWT({ iss: caller, sub: caller, aud: url, jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256' })
    .setExpirationTime(Math.floor(Date.now() / 1000) + 60)
    .sign(createPrivateKey({ key: { ...privateJwk }, format: 'jwk' }))
  const body = new URLSearchParams({
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion,
    audience: 'reports',
  })
  const withoutIat = await fetch(`${url}/v1/token`, { method: 'POST', body })
  return new Map([
    ...(emulated.status === 404
      ? [['impersonation', 'this broker has no IAM Credentials API'] as const]
      : []),
    ...(withoutIat.status === 401 ? [['own key without iat', 'this broker wants an iat'] as const] : []),
  ])
}

function audienceOf(token: string): string {
  try {
    const { aud } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as {
      aud: unknown
    }
    return typeof aud === 'string' ? `ID token for ${aud}` : ''
  } catch {
    return ''
  }
}

async function stop(agent: AgentProcess): Promise<void> {
  agent.kill('SIGTERM')
  await agent.ended
}

/** A certificate of this run alone, made by the JDK that will trust it. */
async function openTls(folder: string, target: string) {
  const at = (name: string): string => join(folder, name)
  const keytool = async (...args: readonly string[]): Promise<void> => {
    const { status, stdout } = await runProgram('keytool', [...args, '-storepass', password], { cwd: folder })
    if (status !== 0) throw new Error(`keytool: ${stdout}`)
  }
  await keytool(
    '-genkeypair',
    '-alias',
    'front',
    '-keyalg',
    'EC',
    '-dname',
    'CN=127.0.0.1',
    '-ext',
    'SAN=ip:127.0.0.1',
    '-storetype',
    'PKCS12',
    '-keystore',
    at('front.p12'),
  )
  await keytool('-exportcert', '-alias', 'front', '-keystore', at('front.p12'), '-file', at('front.der'))
  await keytool(
    '-importcert',
    '-noprompt',
    '-alias',
    'front',
    '-file',
    at('front.der'),
    '-storetype',
    'PKCS12',
    '-keystore',
    at('trust.p12'),
  )
  const agent = new Agent({ keepAlive: true })
  const { hostname, port } = new URL(target)
  const server = createServer(
    { pfx: readFileSync(at('front.p12')), passphrase: password },
    (incoming, outgoing) => {
      const { method, url, headers } = incoming
      const onward = request({ hostname, port, method, path: url, headers, agent }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(outgoing)
      })
      onward.on('error', () => outgoing.destroy())
      incoming.pipe(onward)
    },
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port: own } = server.address() as AddressInfo
  return {
    url: `https://127.0.0.1:${own}`,
    trustStore: at('trust.p12'),
    close: () => {
      agent.destroy()
      server.closeAllConnections()
      server.close()
    },
  }
}
