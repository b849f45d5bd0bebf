import type { ScopeSet } from '../domain/scopes.ts'
import type { Secret } from '../domain/secret.ts'
import type { Seconds } from '../domain/time.ts'

/**
 * Who the broker itself is to Google: what a platform, a key of its own or a federation says. Every method settles
 * within four seconds, and throws `upstream_unavailable` when Google or the platform did not give what was asked, or
 * `target_unavailable` for what this identity can never give.
 */
export interface OwnIdentity {
  /**
   * A token that may act for service accounts, kept until near its end. `refused`: one that Google did not accept; the
   * same again means that there is no other.
   */
  readonly actingToken: (refused?: Secret) => Promise<Secret>
  /** A token asked for now, of these scopes and no others. */
  readonly accessToken: (scopes: ScopeSet) => Promise<OwnToken>
  /** An ID token of Google's for that audience, not judged yet. */
  readonly idToken: (audience: string) => Promise<Secret>
  /** The e-mail address of the service account that it is. */
  readonly serviceAccount: () => Promise<string>
}

export interface OwnToken {
  readonly secret: Secret
  readonly lifetime: Seconds
  /** What it really carries, where that may be more than was asked; absent where Google gives just that. */
  readonly scopes?: ScopeSet
}
