import { BrokerError, isBrokerError } from '../domain/broker-error.ts'
import type { CredentialSummary, NarrowingWay } from '../domain/credential.ts'
import { cloudPlatformScope } from '../domain/google.ts'
import { grantedCredential, type Grant } from '../domain/grant.ts'
import type { Rule } from '../domain/policy.ts'
import { scopeSet, type ScopeSet } from '../domain/scopes.ts'
import type { ProveVersion, RotationDeps } from './rotation-step.ts'
import type { MintedToken } from '../domain/token.ts'
import type { OwnIdentity } from '../ports/own-identity.ts'
import type { Credentials } from '../records/credentials.ts'
import type { RefreshLeases } from '../records/refresh-leases.ts'
import type { Upstream } from '../domain/upstream.ts'
import type { RefreshingDeps } from '../domain/refreshing-value.ts'
import { createResolveUpstream } from '../oauth/resolve-upstream.ts'
import { createSendWithRetry, type SendWithRetryDeps } from '../oauth/send-with-retry.ts'
import { createRequestToken } from '../oauth/token-endpoint.ts'
import { judgeFailure, readOAuthError } from '../oauth/upstream-failure.ts'
import type { Log } from '../ports/log.ts'

type Mint = (grant: Grant) => Promise<MintedToken>

export interface IamTokenDeps {
  readonly rotationIdentity: 'credential' | 'broker'
  readonly ownIdentity?: OwnIdentity
  readonly mint: Mint
}

/** The token by which the keys of a service account are changed: of the credential itself, or of the broker. */
export function createIamToken({
  rotationIdentity,
  ownIdentity,
  mint,
}: IamTokenDeps): RotationDeps['iamToken'] {
  return async (credential) => {
    if (rotationIdentity === 'credential')
      return (await mint(maintenanceGrant(credential, [cloudPlatformScope]))).secret
    if (ownIdentity !== undefined) return ownIdentity.actingToken()
    throw new BrokerError('target_unavailable', {
      reason: 'DOWNSCOPE_ROTATION_IDENTITY=broker, and the broker has no Google identity here',
    })
  }
}

/** For a token that nobody uses. */
const leastScope = 'https://www.googleapis.com/auth/userinfo.email'

/** Rules that are tried: one may name a scope that its client may not have, which says nothing of its secret. */
const rulesTriedMax = 3

/** A version is proved alone, by a token that nobody uses: another that stands by proves nothing. */
export function provingWith(mint: Mint, { find, rulesInUse, proveClient }: ProofDeps): ProveVersion {
  const mintByRules = async (mintWith: MintWithScopes, name: string): Promise<void> => {
    const rules = await rulesInUse(name)
    let refused = new BrokerError('target_unavailable', {
      reason: `credential ${name}: it was enrolled without scopes, and no rule names any to try it with`,
    })
    for (const rule of rules.slice(0, rulesTriedMax)) {
      try {
        await mintWith(rule.scopes)
        return
      } catch (error) {
        if (!isBrokerError(error) || error.code !== 'scope_refused') throw error
        const { reason } = error
        refused = new BrokerError('scope_refused', {
          reason: `with the scopes of rule ${rule.name}: ${reason}`,
        })
      }
    }
    throw refused
  }

  return async (credential, version, scopes) => {
    if (credential.kind === 'oauth_client') return proveClient?.(credential, version)
    const source = credential.source === undefined ? undefined : await find(credential.source)
    if (credential.source !== undefined && source?.state !== 'enabled')
      throw new BrokerError('target_unavailable', {
        reason: `credential ${credential.name}: its source ${credential.source} is gone or not enabled`,
      })
    const mintWith: MintWithScopes = async (wanted) => {
      const grant = maintenanceGrant(credential, wanted, source)
      const { standby: _, ...alone } = grant.credential
      await mint({ ...grant, credential: { ...alone, version } })
    }
    const known = scopes ?? credential.consentedScopes
    if (known !== undefined) return mintWith(known)
    if (credential.kind !== 'client_credentials') return mintWith([leastScope])
    return mintByRules(mintWith, credential.name)
  }
}

type MintWithScopes = (scopes: ScopeSet) => Promise<void>

/** The rules that allow scopes for a credential, in the order of the policy. */
export type RulesInUse = (credential: string) => Promise<readonly Pick<Rule, 'name' | 'scopes'>[]>

export interface ProofDeps {
  readonly find: Credentials['find']
  readonly rulesInUse: RulesInUse
  /** For the credentials that give nobody a token. */
  readonly proveClient?: ProveClient
}

/** What the broker does for itself, with a token that leaves it never. */
function maintenanceGrant(
  credential: CredentialSummary,
  scopes: readonly string[],
  source?: CredentialSummary,
): Grant {
  return {
    caller: { issuer: 'downscope', issuerName: 'downscope', subject: 'maintenance', claims: {} },
    rule: 'maintenance',
    credential: grantedCredential(credential, source === undefined ? undefined : grantedCredential(source)),
    scopes: scopeSet(scopes),
    tokenType: credential.kind === 'api_key' ? 'api_key' : 'access_token',
  }
}

export interface MintingRecords {
  readonly credentials: Credentials
  readonly refreshLeases: RefreshLeases
}

/** What becomes of a candidate says nothing of the credential's health. */
export function withoutHealth({ credentials, refreshLeases }: MintingRecords): MintingRecords {
  return {
    credentials: { ...credentials, noteHealth: () => Promise.resolve() },
    refreshLeases: {
      ...refreshLeases,
      end: (...[lease, result]: Parameters<RefreshLeases['end']>) => {
        const { health: _, ...rest } = result
        return refreshLeases.end(lease, rest)
      },
    },
  }
}

/** What a token was found to carry, and by what. */
interface ShownToken {
  readonly by: 'reply' | 'token'
  readonly roles: ReadonlySet<string>
}

interface VerifyGrantDeps extends ProofDeps {
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

interface ProveClientDeps extends SendWithRetryDeps, Pick<RefreshingDeps, 'sharesWork'> {
  readonly log: Log
  readonly credentials: Pick<Credentials, 'openSecret'>
  readonly findUpstream: (name: string) => Promise<Upstream | undefined>
  readonly google: { readonly oauthTokenUrl: string }
}

type ProveClient = (credential: CredentialSummary, version: string) => Promise<void>

/** RFC 6749 §5.2, then as Google, GitHub and Slack have it. */
const refusals: ReadonlySet<string> = new Set([
  'invalid_client',
  'unauthorized_client',
  'deleted_client',
  'disabled_client',
  'incorrect_client_credentials',
  'bad_client_secret',
  'invalid_client_id',
])
const budgetMs = 5_000

/**
 * Shows that an upstream takes a version of an `oauth_client`: a code that nobody gave out is refused only after the client
 * was (RFC 6749 §4.1.3), and uses nothing up. Throws what the refusal of a client is, and `upstream_unavailable`.
 */
export function createProveClient(deps: ProveClientDeps): ProveClient {
  const { clock, credentials } = deps
  const ask = createRequestToken({ ...deps, ask: createSendWithRetry(deps) })
  const reach = createResolveUpstream({ ...deps, tokenUrl: deps.google.oauthTokenUrl })

  return async (credential, version) => {
    const { name } = credential
    const { secret } = await credentials.openSecret(name, version)
    if (secret.kind !== 'oauth_client') return
    const { reply, secrets } = await ask({
      reached: await reach(grantedCredential(credential)),
      client: secret.client,
      credential: name,
      form: {
        grant_type: 'authorization_code',
        code: 'of-nobody',
        redirect_uri: 'https://downscope.invalid/',
      },
      repeatable: 'always',
      deadlineMs: clock.steadyMs() + budgetMs,
    })
    const told = reply.kind === 'answer' ? readOAuthError(reply.answer) : undefined
    if (told !== undefined && !refusals.has(told.error)) return
    throw judgeFailure(reply, { now: clock.now(), secrets }).error
  }
}
