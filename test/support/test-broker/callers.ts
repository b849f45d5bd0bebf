import { randomUUID } from 'node:crypto'
import type { Claims } from '../../../src/domain/caller.ts'
import { createSigner, type Signer } from '../signer.ts'
import type { KeySite } from './key-site.ts'

/** Whom the brokers under test are told to be; nobody connects to it. */
export const brokerIssuer = 'https://tokens.acme.example'

/** A caller of the broker that signs its own JWTs. */
export interface TestCaller {
  readonly issuer: string
  readonly subject: string
  readonly signer: Signer
  /** A JWT that no other is equal to, unless the change says so. */
  readonly jwt: (change?: Claims) => Promise<string>
}

export interface TestCallers {
  /** Signs its own assertions with ES256, each good for one use. */
  readonly billing: TestCaller
  /** A workload of a platform that publishes its RS256 keys; its tokens may come again. */
  readonly workload: TestCaller
  /** Administers. */
  readonly ops: TestCaller
}

export async function createTestCallers(site: KeySite): Promise<TestCallers> {
  const [own, platform, admin] = await Promise.all([
    createSigner('ES256', 'billing-1'),
    createSigner('RS256', 'cluster-1'),
    createSigner('ES256', 'ops-1'),
  ])
  site.publish([platform.jwk])
  return {
    billing: callerOf(own, 'billing'),
    workload: callerOf(platform, site.issuer, 'system:serviceaccount:reports:exporter'),
    ops: callerOf(admin, 'ops'),
  }
}

export function callerOf(signer: Signer, issuer: string, subject: string = issuer): TestCaller {
  return {
    issuer,
    subject,
    signer,
    jwt: (change = {}) => {
      const iat = Math.floor(Date.now() / 1000)
      const times = { iat, exp: iat + 240, jti: randomUUID() }
      return signer.sign({ iss: issuer, sub: subject, aud: brokerIssuer, ...times, ...change })
    },
  }
}
