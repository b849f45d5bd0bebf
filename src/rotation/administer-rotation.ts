import type { CredentialSummary, CredentialSecret } from '../domain/credential.ts'
import type { Upstream } from '../domain/upstream.ts'
import type { Log } from '../ports/log.ts'
import type { Credentials, NewCredential } from '../records/credentials.ts'
import type { Rotations } from '../records/rotations.ts'
import { stateConflict } from '../records/version-changes.ts'
import type { CredentialFile } from '../enrolment/credential-file.ts'
import { faultsInUse, foundCredential } from '../enrolment/credential-faults.ts'
import { invalidDocument } from '../domain/broker-error.ts'
import { parseCredentialFile } from '../enrolment/parse-credential-file.ts'

export interface AdministerRotationDeps {
  readonly credentials: Pick<Credentials, 'find' | 'openSecret' | 'disableVersion' | 'destroyVersion'>
  readonly rotations: Pick<Rotations, 'begin' | 'beginImport' | 'beginAbort'>
  readonly findUpstream: (name: string) => Promise<Upstream | undefined>
  /** Goes on with a rotation after the answer, where that is possible. */
  readonly pursue: (name: string) => void
  readonly log: Log
}

/** A secret that somebody brings as the next version. */
export interface BroughtSecret extends Omit<CredentialFile, 'upstream'> {
  /** Whether the secret it replaces is withdrawn upstream too; absent, only where that cannot harm the new one. */
  readonly withdrawFormer?: boolean
}

/**
 * What administrators may do to versions. What is not there is `not_found`; what its state forbids, `state_conflict`;
 * `changed_meanwhile` unless the credential is at the revision that is named, if one is.
 */
export interface AdministerRotation {
  /** Begins a rotation, or leaves the one that runs as it is. */
  readonly rotate: (name: string, revision?: string) => Promise<CredentialSummary>
  /** Throws `document_invalid` with every fault in its public detail and no secret. */
  readonly bring: (name: string, brought: BroughtSecret, revision?: string) => Promise<CredentialSummary>
  readonly abort: (name: string, revision?: string) => Promise<CredentialSummary>
  readonly disableVersion: (name: string, version: string, revision?: string) => Promise<CredentialSummary>
  readonly destroyVersion: (name: string, version: string, revision?: string) => Promise<CredentialSummary>
}

export function createAdministerRotation(deps: AdministerRotationDeps): AdministerRotation {
  const { credentials, rotations, pursue } = deps
  const read = async (name: string) => foundCredential(name, await credentials.find(name))
  const pursued = async (name: string, beginning: Promise<CredentialSummary | undefined>) => {
    const begun = foundCredential(name, await beginning)
    pursue(name)
    return begun
  }

  return {
    rotate: async (name, revision) => {
      refuseWhatNeedsAPerson(await read(name))
      return pursued(name, rotations.begin(name, revision))
    },
    bring: async (name, { withdrawFormer, ...file }, revision) => {
      const credential = await read(name)
      const { upstream } = credential
      const other = upstream === 'google' ? undefined : await deps.findUpstream(upstream)
      const judgement = parseCredentialFile({ ...file, upstream }, other)
      if (!judgement.ok) throw invalidDocument(judgement.faults)
      const brought = judgement.credential
      const former = await openActive(credentials, credential)
      const judged = faultsOfSuccessor({ credential, brought, former, withdrawFormer, upstream: other })
      const faults = [...judged.faults, ...(await faultsInUse(brought.secret))]
      if (faults.length > 0) throw invalidDocument(faults)
      const { ignored } = judgement
      if (ignored.length > 0)
        deps.log('warn', 'parts of a credential file are neither followed nor kept', {
          credential: name,
          ignored,
        })
      const { withdrawsFormer } = judged
      const how = { withdrawsFormer, isWithdrawalAsked: withdrawFormer === true, expected: revision }
      return pursued(name, rotations.beginImport(name, brought, how))
    },
    abort: (name, revision) => pursued(name, rotations.beginAbort(name, revision)),
    disableVersion: async (name, version, revision) =>
      foundCredential(name, await credentials.disableVersion(name, version, revision)),
    destroyVersion: async (name, version, revision) =>
      foundCredential(name, await credentials.destroyVersion(name, version, revision)),
  }
}

function refuseWhatNeedsAPerson(credential: CredentialSummary): void {
  const { kind } = credential
  if (kind === 'service_account_key') return
  throw stateConflict(credential, `a ${kind} is not made by the broker: bring a new one as the next version`)
}

/** The secret in use, as far as it can be opened: a revoked credential has none that matters any more. */
async function openActive(
  credentials: AdministerRotationDeps['credentials'],
  { name, version, state }: CredentialSummary,
) {
  return state === 'enabled' ? await credentials.openSecret(name, version) : undefined
}

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
