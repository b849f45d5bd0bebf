import type { CredentialSecret, CredentialSummary } from '../../domain/credential.ts'
import type { Upstream } from '../../domain/upstream.ts'
import type { NewCredential } from '../../records/credentials.ts'

export interface Succession {
  readonly credential: CredentialSummary
  readonly brought: Omit<NewCredential, 'name'>
  /** What is in use now, as far as that matters. */
  readonly former: { readonly secret: CredentialSecret; readonly generation: number } | undefined
  readonly withdrawFormer: boolean | undefined
  /** Absent for Google. */
  readonly upstream?: Upstream | undefined
}

export interface SuccessorJudgement {
  readonly faults: readonly string[]
  readonly withdrawsFormer: boolean
}

/** Whether one secret may follow another under the same name, and whether the former may be withdrawn upstream. */
export function faultsOfSuccessor(succession: Succession): SuccessorJudgement {
  const { credential, brought, withdrawFormer, upstream } = succession
  const { kind } = brought.secret
  if (kind !== credential.kind)
    return {
      faults: [`secret: is a ${kind}, and this credential is a ${credential.kind}`],
      withdrawsFormer: false,
    }
  if (kind === 'impersonation' || kind === 'broker_identity')
    return { faults: [`secret: a ${kind} holds no secret that could be replaced`], withdrawsFormer: false }
  const sharesToken = isSameRefreshToken(succession)
  const isOtherGrant = kind === 'refresh_token' && brought.identity !== credential.identity
  const mayBeRevoked = mayRevoke(upstream)
  const faults = [
    ...(kind === 'service_account_key' && brought.identity !== credential.identity
      ? [`secret.client_email: is another account than ${credential.identity}`]
      : []),
    ...(sharesToken && (succession.former?.generation ?? 1) > 1
      ? [
          'secret.refresh_token: is the one in use, and its upstream replaces it with every refresh: two versions ' +
            'cannot share it; consent anew',
        ]
      : []),
    ...(withdrawFormer === true && sharesToken
      ? ['withdraw_former: would revoke the refresh token that is brought']
      : []),
    ...(withdrawFormer === true && kind === 'service_account_key' && brought.keyId === credential.keyId
      ? ['withdraw_former: would withdraw the key that is brought']
      : []),
    ...(withdrawFormer === true && !canBeWithdrawn.has(kind)
      ? [`withdraw_former: nothing of a ${kind} can be withdrawn upstream from here`]
      : []),
    ...(withdrawFormer === true && kind === 'refresh_token' && !mayBeRevoked
      ? [`withdraw_former: upstream ${credential.upstream} has no revocation_endpoint in the policy`]
      : []),
  ]
  // Revoking one refresh token of Google's ends the whole grant of client and user (docs/google.md §1.5): only another
  // client is surely another grant. A key that somebody brings is somebody's to delete.
  return { faults, withdrawsFormer: withdrawFormer ?? (isOtherGrant && mayBeRevoked) }
}

/** What discovery finds is not known yet. */
function mayRevoke(upstream: Upstream | undefined): boolean {
  if (upstream === undefined || upstream.endpoints.from === 'discovery') return true
  return upstream.endpoints.revocation !== undefined
}

const canBeWithdrawn: ReadonlySet<CredentialSecret['kind']> = new Set<CredentialSecret['kind']>([
  'service_account_key',
  'refresh_token',
])

function isSameRefreshToken({ brought: { secret }, former }: Succession): boolean {
  if (secret.kind !== 'refresh_token' || former?.secret.kind !== 'refresh_token') return false
  return secret.refreshToken.reveal() === former.secret.refreshToken.reveal()
}
