import { createAuthenticate, type AuthenticateDeps } from '../../src/authentication/authenticate.ts'
import { parseStrictJsonObject } from '../../src/domain/json.ts'
import type { Caller, Claims } from '../../src/domain/caller.ts'
import { isBrokerError, type BrokerError } from '../../src/domain/broker-error.ts'
import type { Proof } from '../../src/domain/exchange-request.ts'
import type { TrustedIssuer } from '../../src/domain/policy.ts'
import { Secret } from '../../src/domain/secret.ts'
import { seconds } from '../../src/domain/time.ts'
import { createFakeClock, type FakeClock } from './fake-clock.ts'
import { createRoutedHttp, type RoutedHttp } from './routed-http.ts'
import type { Signer } from './signer.ts'

export const broker = 'https://tokens.acme.example'

export interface AuthenticateWorld extends RoutedHttp {
  readonly clock: FakeClock
  readonly logs: readonly string[]
  /** The uses the store was asked to remember. */
  readonly uses: readonly { readonly issuer: string; readonly jti: string; readonly until: number }[]
  /** The policy in force, replaced as a whole. */
  trust(...issuers: readonly TrustedIssuer[]): void
  prove(token: string, proof?: Partial<Proof>): Promise<Caller>
  /** The rejection of that token; fails when it is accepted or when something else is thrown. */
  refusal(token: string, proof?: Partial<Proof>): Promise<BrokerError>
  /** Good claims of that issuer now, with changes; an `undefined` member is left out. */
  claims(issuer: TrustedIssuer, changes?: Readonly<Record<string, unknown>>): Claims
}

/** A broker's authentication around a fake clock, a routed HTTP client and a set for a store. */
export function createAuthenticateWorld(overrides: Partial<AuthenticateDeps> = {}): AuthenticateWorld {
  const clock = createFakeClock()
  const routed = createRoutedHttp()
  const logs: string[] = []
  const uses: { issuer: string; jti: string; until: number }[] = []
  const seen = new Set<string>()
  let trusted: readonly TrustedIssuer[] = []
  let serial = 0
  const authenticate = createAuthenticate({
    brokerIssuer: broker,
    findIssuer: async (iss) => trusted.find(({ issuer }) => issuer === iss),
    rememberOnce: async (use) => {
      uses.push(use)
      const name = JSON.stringify([use.issuer, use.jti])
      return !seen.has(name) && seen.add(name) === seen
    },
    http: routed.http,
    clock,
    sha256,
    sharesWork: true,
    log: (level, message, fields) => void logs.push(JSON.stringify({ level, message, ...fields })),
    ...overrides,
  })
  const prove = (token: string, proof: Partial<Proof> = {}): Promise<Caller> =>
    authenticate({ form: 'client_assertion', assertion: new Secret(token), ...proof })

  return {
    ...routed,
    clock,
    logs,
    uses,
    prove,
    trust: (...issuers) => {
      trusted = issuers
    },
    refusal: async (token, proof) => {
      const outcome = await prove(token, proof).catch((error: unknown) => error)
      if (isBrokerError(outcome)) return outcome
      throw new Error('expected a refusal', { cause: outcome })
    },
    claims: (issuer, changes) => {
      serial += 1
      const iat = clock.now()
      const subject = issuer.selfIssued ? issuer.issuer : 'workload'
      const good = {
        iss: issuer.issuer,
        sub: subject,
        aud: broker,
        iat,
        exp: iat + 120,
        jti: `jti-${serial}`,
      }
      const written = parseStrictJsonObject(JSON.stringify({ ...good, ...changes }))
      if (!written.ok) throw new Error(`claims that no JWT can hold: ${written.fault}`)
      return written.value
    },
  }
}

/** An issuer of these keys, trusted within ordinary bounds. */
export function trustedIssuer(
  signers: readonly Signer[],
  changes: Partial<TrustedIssuer> = {},
): TrustedIssuer {
  return {
    name: 'billing',
    issuer: 'billing',
    selfIssued: true,
    keys: { from: 'inline', keys: signers.map(({ jwk }) => jwk) },
    audiences: [broker],
    algorithms: signers.map(({ alg }) => alg),
    lifetimeMax: seconds(300),
    replay: 'once',
    ...changes,
  }
}

export async function sha256(text: string): Promise<string> {
  const octets = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  return Array.from(new Uint8Array(octets), (octet) => octet.toString(16).padStart(2, '0')).join('')
}
