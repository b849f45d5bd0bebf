import { BrokerError } from '../../domain/broker-error.ts'
import type { CredentialSummary, VersionSummary } from '../../domain/credential.ts'
import type { Credentials } from '../../records/credentials.ts'
import { iamAccount, type RotationDeps } from './rotation-deps.ts'

export interface RemoveVersionsDeps extends Pick<RotationDeps, 'iamKeys' | 'iamToken' | 'clock' | 'log'> {
  readonly credentials: Pick<Credentials, 'removeVersion'>
}

/** Deletes upstream and destroys here what is due of one credential; the ids of those versions. Throws what stopped it. */
export type RemoveVersions = (credential: CredentialSummary) => Promise<readonly string[]>

export function createRemoveVersions(deps: RemoveVersionsDeps): RemoveVersions {
  return async (credential) => {
    const due = dueVersions(credential, deps.clock.now())
    for (const version of due) {
      // Upstream first: as long as it is not gone there, it stays noted here.
      if (version.removal?.upstreamToo === true) await removeKey(deps, credential, version)
      await deps.credentials.removeVersion(credential.name, version.id)
      const { name, id, keyId } = { ...credential, ...version }
      deps.log('info', 'rotation: a former version is removed', { credential: name, version: id, keyId })
    }
    return due.map(({ id }) => id)
  }
}

function dueVersions({ versions }: CredentialSummary, now: number): readonly VersionSummary[] {
  return versions.filter(({ removal }) => removal !== undefined && removal.dueAt <= now)
}

async function removeKey(
  deps: RemoveVersionsDeps,
  credential: CredentialSummary,
  { keyId }: VersionSummary,
): Promise<void> {
  if (keyId === undefined) return
  const removed = await deps.iamKeys.remove(await iamAccount(deps, credential), keyId)
  if (!removed.ok) throw new BrokerError('upstream_unavailable', { reason: removed.reason })
}
