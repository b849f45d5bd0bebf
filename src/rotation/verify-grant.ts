import { isBrokerError } from '../domain/broker-error.ts'
import type { CredentialSummary, NarrowingWay } from '../domain/credential.ts'
import type { Upstream } from '../domain/upstream.ts'
import type { Credentials } from '../records/credentials.ts'
import { provingWith, type ProofDeps } from './prove-version.ts'

/** What a token was found to carry, and by what. */
interface ShownToken {
  readonly by: 'reply' | 'token'
  readonly roles: ReadonlySet<string>
}

export interface VerifyGrantDeps extends ProofDeps {
  readonly credentials: Pick<Credentials, 'noteNarrowing'>
  /** A mint that shows what its tokens were found to carry. */
  readonly mintShowing: (show: (token: ShownToken) => void) => Parameters<typeof provingWith>[0]
  readonly findUpstream: (name: string) => Promise<Upstream | undefined>
}

/**
 * Tries a credential that was just enrolled: a token of everything that was consented, and for a refresh token a second
 * one of a single scope, which shows what its grant can do. A rotated refresh token is stored before this resolves or
 * rejects (T26). Throws what minting throws where the first token is refused.
 */
export function createVerifyGrant(deps: VerifyGrantDeps): (credential: CredentialSummary) => Promise<void> {
  return async (credential) => {
    const seen: ShownToken[] = []
    const prove = provingWith(
      deps.mintShowing((confirmed) => void seen.push(confirmed)),
      deps,
    )
    const { name, version, kind, consentedScopes, consentedScopes: [first, ...others] = [] } = credential
    // A client that people consent to gets no token by itself, and one without a scope is tried by its first rule.
    if (kind === 'oauth_client') return
    const isWithoutScope = kind === 'client_credentials' && consentedScopes === undefined
    if (isWithoutScope && (await deps.rulesInUse(name)).length === 0) return
    await prove(credential, version)
    const upstream = await deps.findUpstream(credential.upstream)
    if (kind !== 'refresh_token' || first === undefined || others.length === 0) return
    if (upstream?.scopeInRefresh === 'omit') return
    const whole = seen.at(-1)
    try {
      await prove(credential, version, [first])
      const way = wayOf(seen.at(-1), { whole, acceptsRoles: upstream?.acceptsRoles === true })
      if (way !== undefined) await deps.credentials.noteNarrowing(name, { way })
    } catch (error) {
      // Whatever else went wrong says nothing of the grant, and the credential works.
      if (!isBrokerError(error)) throw error
      if (error.code === 'upstream_nonsense') await deps.credentials.noteNarrowing(name, { way: 'no' })
    }
  }
}

function wayOf(
  narrowed: ShownToken | undefined,
  { whole, acceptsRoles }: { readonly whole: ShownToken | undefined; readonly acceptsRoles: boolean },
): NarrowingWay | undefined {
  if (narrowed === undefined) return undefined
  const { roles, by } = narrowed
  // T7: scopes that shrank beside roles that did not are no narrowing.
  const didShrink = roles.size === 0 || (whole !== undefined && roles.size < whole.roles.size)
  if (!didShrink && !acceptsRoles) return 'no'
  return by === 'reply' ? 'by_reply' : 'by_token'
}
