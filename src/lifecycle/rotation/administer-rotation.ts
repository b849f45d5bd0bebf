import type { CredentialSummary } from '../../domain/credential.ts'
import type { Upstream } from '../../domain/upstream.ts'
import type { Log } from '../../ports/log.ts'
import type { Credentials } from '../../records/credentials.ts'
import type { Rotations } from '../../records/rotations.ts'
import { stateConflict } from '../../records/state-conflict.ts'
import type { CredentialFile } from '../credential-file.ts'
import { faultsInUse } from '../faults-in-use.ts'
import { foundCredential } from '../found-credential.ts'
import { invalidDocument } from '../invalid-document.ts'
import { parseCredentialFile } from '../parse-credential-file.ts'
import { faultsOfSuccessor } from './judge-successor.ts'

export interface AdministerRotationDeps {
  readonly credentials: Pick<
    Credentials,
    'find' | 'openSecret' | 'setRotateAfter' | 'disableVersion' | 'destroyVersion'
  >
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
  readonly rotateAfter: (
    name: string,
    days: number | undefined,
    revision?: string,
  ) => Promise<CredentialSummary>
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
    rotateAfter: async (name, days, revision) => {
      if (days !== undefined) refuseWhatNeedsAPerson(await read(name))
      return foundCredential(name, await credentials.setRotateAfter(name, days, revision))
    },
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
