import type { Claims } from '../domain/caller.ts'
import type { TrustedIssuer } from '../domain/policy.ts'
import { seconds } from '../domain/time.ts'

/** Whom an ID token of a person is for. */
export interface SignInAudiences {
  /** The exact `iss`. */
  readonly issuer: string
  /** The clients that people sign in with. */
  readonly clients: readonly string[]
}

/** Entra ID's live 65 minutes, those of all others an hour at most. */
const personTokenLife = 3_900

/**
 * How the ID token of a person is judged where it administrates: it is for the client that they signed in with, is shown
 * again with each request, and lives as long as issuers let it live. The issuer's entry itself for anything else.
 */
export function personEntry(
  { aud, azp }: Claims,
  issuer: TrustedIssuer,
  signIn: SignInAudiences | undefined,
): TrustedIssuer {
  if (signIn === undefined || issuer.issuer !== signIn.issuer) return issuer
  if (!signIn.clients.some((client) => client === aud && (azp ?? client) === client)) return issuer
  const lifetimeMax = seconds(Math.max(issuer.lifetimeMax, personTokenLife))
  return { ...issuer, audiences: signIn.clients, replay: 'allowed', lifetimeMax }
}
