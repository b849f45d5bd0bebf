import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PublicJwk } from '../../../src/domain/jwk.ts'
import type { IssuedToken } from '../google/issued-tokens.ts'
import type { BrokerProcess } from '../spawn-broker.ts'
import { brokerIssuer } from '../test-broker/callers.ts'
import { createTestWorld, scopeOf, type TestWorld } from '../test-broker/test-world.ts'
import { startRecordingProxy, type RecordingProxy } from './recording-proxy.ts'

export const reading = scopeOf('devstorage.read_only')
export const writing = scopeOf('devstorage.full_control')
export const mail = scopeOf('gmail.readonly')
export const idTokenAudience = 'https://reports.acme.example'

/** A service that signs its own assertions; the name is issuer, subject and client id. */
export interface SelfIssuer {
  readonly name: string
  readonly jwk: PublicJwk
  /** What its entry in the policy names, given the broker's issuer; without it the entry names none. */
  readonly audiences?: (issuer: string) => readonly string[]
}

/** A broker that calls itself by the address it is reached at, and all that a real client needs to use it. */
export interface ClientWorld {
  readonly google: TestWorld['google']
  readonly broker: BrokerProcess
  readonly proxy: RecordingProxy
  /** The broker's issuer, and where it is. */
  readonly url: string
  readonly folder: string
  /** A workload's token, with a newline at its end as in a file; it may come again. */
  readonly subjectToken: () => Promise<string>
  /** Writes a file into the folder; its path. */
  readonly write: (name: string, text: string) => string
  /** What a token really carries; throws for a token that Google never issued. */
  readonly carried: (token: string | null | undefined) => IssuedToken
  readonly close: () => Promise<void>
}

/**
 * Credentials: `reports` gives reading and mail and refuses anything beyond, `lenient` gives reading and writing and
 * drops anything beyond, `speaker` gives ID tokens. The workload and every self-issuer may use all three.
 */
export async function createClientWorld(selfIssuers: readonly SelfIssuer[] = []): Promise<ClientWorld> {
  const [world, proxy] = await Promise.all([createTestWorld(), startRecordingProxy()])
  const settings = world.settings([], {
    DOWNSCOPE_ISSUER: proxy.url,
    DOWNSCOPE_POLICY_YAML: JSON.stringify(policyOf(world, { issuer: proxy.url, selfIssuers })),
  })
  const broker = await world.yard.start(settings)
  proxy.openTo(broker)
  await Promise.all(['reports', 'lenient', 'speaker'].map((name) => world.enrolAccount(broker, name)))
  return {
    google: world.google,
    broker,
    proxy,
    url: proxy.url,
    folder: world.folder,
    subjectToken: async () => `${await world.workload.jwt({ aud: proxy.url })}\n`,
    write: (name, text) => {
      const path = join(world.folder, name)
      writeFileSync(path, text, { mode: 0o600 })
      return path
    },
    carried: (token) => {
      const issued = world.google.token(token ?? '')
      if (issued === undefined) throw new Error('Google never issued that token')
      return issued
    },
    close: async () => {
      await proxy.close()
      await world.close()
    },
  }
}

interface PolicyParts {
  readonly issuer: string
  readonly selfIssuers: readonly SelfIssuer[]
}

function policyOf({ workload, ops, site }: TestWorld, { issuer, selfIssuers }: PolicyParts): object {
  const own = ({ name, jwk, audiences }: SelfIssuer): object => ({
    name,
    issuer: name,
    self_issued: true,
    keys: { jwks: { keys: [jwk] } },
    ...(audiences === undefined ? {} : { audiences: audiences(issuer) }),
  })
  const cluster = {
    name: 'cluster',
    issuer: workload.issuer,
    keys: { jwks_uri: site.keysUrl },
    replay: 'allowed',
    lifetime_seconds_max: 3600,
  }
  const callers = [
    { issuer: 'cluster', subject: workload.subject },
    ...selfIssuers.map(({ name }) => ({ issuer: name, subject: name })),
  ]
  const rule = (credential: string, more: object): object => ({
    name: credential,
    callers,
    credential,
    ...more,
  })
  return {
    version: 1,
    issuers: [
      own({ name: 'ops', jwk: ops.signer.jwk, audiences: () => [brokerIssuer] }),
      cluster,
      ...selfIssuers.map(own),
    ],
    rules: [
      rule('reports', { scopes: [reading, mail] }),
      rule('lenient', { scopes: [reading, writing], excess_scopes: 'drop' }),
      rule('speaker', { scopes: [], token_types: ['id_token'], id_token_audiences: [idTokenAudience] }),
    ],
    admins: [{ callers: [{ issuer: 'ops', subject: 'ops' }], role: 'admin' }],
  }
}
