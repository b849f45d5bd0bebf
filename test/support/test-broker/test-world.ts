import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AuthorizedUserFile, NewRefreshToken } from '../google/refresh-grants.ts'
import type { NewServiceAccount, ServiceAccountFile } from '../google/service-accounts.ts'
import { startGoogleStandIn, type GoogleStandIn } from '../google/stand-in.ts'
import { createBrokerYard, type BrokerSettings, type BrokerYard } from '../spawn-broker.ts'
import { administer, type Answer, type Place } from './ask.ts'
import { brokerIssuer, createTestCallers, type TestCaller, type TestCallers } from './callers.ts'
import { startKeySite, type KeySite } from './key-site.ts'

/** Everything around the brokers of one test file: Google, the callers, a folder, and what all settings share. */
export interface TestWorld extends TestCallers {
  readonly google: GoogleStandIn
  readonly site: KeySite
  readonly yard: BrokerYard
  /** Gone with the world. */
  readonly folder: string
  /** The value of DOWNSCOPE_KEYS. */
  readonly keys: string
  /** Settings with a policy of these rules; `more` adds to them or replaces them. */
  readonly settings: (rules: readonly object[], more?: BrokerSettings) => BrokerSettings
  readonly policy: (rules: readonly object[]) => string
  /** A rule that gives both callers these scopes of the credential. */
  readonly rule: (credential: string, scopes: readonly string[], more?: object) => object
  readonly enrolAccount: (
    broker: Place,
    name: string,
    account?: NewServiceAccount,
  ) => Promise<ServiceAccountFile>
  readonly enrolGrant: (broker: Place, name: string, grant: NewRefreshToken) => Promise<AuthorizedUserFile>
  readonly close: () => Promise<void>
}

export const scopeOf = (name: string): string => `https://www.googleapis.com/auth/${name}`

export function newKey(kid: string): string {
  return `${kid}:${randomBytes(32).toString('base64')}`
}

/** A store of its own in the emulator. */
export function firestoreSettings(emulatorHost: string): BrokerSettings {
  const project = `e2e-${randomBytes(4).toString('hex')}`
  return { DOWNSCOPE_STORE: `firestore://${project}`, FIRESTORE_EMULATOR_HOST: emulatorHost }
}

export async function createTestWorld(): Promise<TestWorld> {
  const [google, site] = await Promise.all([startGoogleStandIn(), startKeySite()])
  const callers = await createTestCallers(site)
  const yard = createBrokerYard()
  const folder = mkdtempSync(join(tmpdir(), 'downscope-'))
  const keys = newKey('k1')
  const policy = (rules: readonly object[]): string => JSON.stringify(policyOf(callers, site, rules))
  const enrol = async (broker: Place, body: object): Promise<Answer> => {
    const answer = await administer(broker, callers.ops, { method: 'POST', path: 'credentials', body })
    if (answer.status !== 201) throw new Error(`not enrolled: ${answer.status} ${answer.text}`)
    return answer
  }
  return {
    ...callers,
    google,
    site,
    yard,
    folder,
    keys,
    policy,
    settings: (rules, more = {}) => ({
      DOWNSCOPE_ISSUER: brokerIssuer,
      DOWNSCOPE_STORE: 'memory:',
      DOWNSCOPE_KEYS: keys,
      DOWNSCOPE_LOG_LEVEL: 'debug',
      ...(more['DOWNSCOPE_POLICY'] === undefined ? { DOWNSCOPE_POLICY_YAML: policy(rules) } : {}),
      ...google.endpoints,
      ...more,
    }),
    rule: (credential, scopes, more = {}) => ({
      name: `may use ${credential}`,
      callers: bothCallers(callers),
      credential,
      scopes,
      ...more,
    }),
    enrolAccount: async (broker, name, account) => {
      const secret = await google.createServiceAccount(account)
      await enrol(broker, { name, secret })
      return secret
    },
    enrolGrant: async (broker, name, grant) => {
      const secret = google.createRefreshToken(grant)
      await enrol(broker, { name, secret, scopes: grant.scopes })
      return secret
    },
    close: async () => {
      try {
        await yard.close()
      } finally {
        await Promise.all([google.close(), site.close()])
        rmSync(folder, { recursive: true, force: true })
      }
    },
  }
}

function policyOf(callers: TestCallers, site: KeySite, rules: readonly object[]): object {
  const { billing, workload, ops } = callers
  const own = ({ issuer, signer }: TestCaller): object => ({
    name: issuer,
    issuer,
    self_issued: true,
    keys: { jwks: { keys: [signer.jwk] } },
  })
  const platform = {
    name: 'cluster',
    issuer: workload.issuer,
    keys: { jwks_uri: site.keysUrl },
    replay: 'allowed',
    lifetime_seconds_max: 3600,
  }
  return {
    version: 1,
    issuers: [own(billing), own(ops), platform],
    rules,
    admins: [{ callers: [{ issuer: 'ops', subject: 'ops' }], role: 'admin' }],
  }
}

function bothCallers({ billing, workload }: TestCallers): readonly object[] {
  return [
    { issuer: 'billing', subject: billing.subject },
    { issuer: 'cluster', subject: workload.subject },
  ]
}
