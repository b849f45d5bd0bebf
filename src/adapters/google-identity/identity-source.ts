import type { Secret } from '../../domain/secret.ts'
import type { IdentityToken } from './identity-reply.ts'

/**
 * What Google is asked of who the broker is; nothing is kept. Each question settles within two seconds and throws
 * `store_unavailable`, or `target_unavailable` for what such an identity can never give.
 */
export interface IdentitySource {
  readonly accessToken: (scopes: readonly string[]) => Promise<IdentityToken>
  /** Of Google for that audience; not judged. */
  readonly idToken: (audience: string) => Promise<Secret>
  /** The e-mail address of the service account. */
  readonly serviceAccount: () => Promise<string>
  /** Whether a token has the asked scopes and no others, wherever this runs. */
  readonly heedsScopes: boolean
}
