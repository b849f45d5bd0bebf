import { BrokerError } from '../domain/broker-error.ts'
import type {
  CredentialSummary,
  VersionSummary,
  CredentialState,
  VersionState,
} from '../domain/credential.ts'
import type { EpochSeconds } from '../domain/time.ts'
import { type Credentials, eachCredential } from '../records/credentials.ts'
import { iamAccount, type RotationDeps } from './rotation-step.ts'

export interface RemoveVersionsDeps extends Pick<RotationDeps, 'iamKeys' | 'iamToken' | 'clock' | 'log'> {
  readonly credentials: Pick<Credentials, 'removeVersion' | 'list'>
}

export interface RemovedVersions {
  readonly removed: readonly string[]
  /** Why others that are due have to stay for now. */
  readonly waiting: readonly string[]
}

/** Deletes upstream and destroys here what is due of one credential and nobody needs. Throws what stopped it. */
export type RemoveVersions = (credential: CredentialSummary) => Promise<RemovedVersions>

export function createRemoveVersions(deps: RemoveVersionsDeps): RemoveVersions {
  return async (credential) => {
    const removed: string[] = []
    const waiting: string[] = []
    for (const version of dueVersions(credential, deps.clock.now())) {
      // Upstream first: as long as it is not gone there, it stays noted here.
      const reason =
        version.removal?.upstreamToo === true ? await removeKey(deps, credential, version) : undefined
      if (reason !== undefined) {
        waiting.push(reason)
        continue
      }
      await deps.credentials.removeVersion(credential.name, version.id)
      const { name, id, keyId } = { ...credential, ...version }
      deps.log('info', 'rotation: a former version is removed', { credential: name, version: id, keyId })
      removed.push(id)
    }
    return { removed, waiting }
  }
}

function dueVersions(credential: CredentialSummary, now: EpochSeconds): readonly VersionSummary[] {
  return credential.versions.filter(
    (version) => removalIsDue(version, now) && !isToBeRevoked(version, credential),
  )
}

/** A refresh token is revoked by showing it: until that is done, its secret is needed. */
function isToBeRevoked({ id }: VersionSummary, { kind, rotation }: CredentialSummary): boolean {
  return kind === 'refresh_token' && rotation?.step === 'disable' && rotation.former === id
}

function removalIsDue({ removal }: VersionSummary, now: EpochSeconds): boolean {
  return removal !== undefined && removal.dueAt <= now
}

/** Or why it has to stay: a key that is deleted never comes back. */
async function removeKey(
  deps: RemoveVersionsDeps,
  credential: CredentialSummary,
  { id: version, keyId }: VersionSummary,
): Promise<string | undefined> {
  if (keyId === undefined) return undefined
  const { name } = credential
  const needs = needsKeyAt(deps.clock.now())
  const other = await otherHolder(deps.credentials, { name, version, keyId }, needs)
  // Brought back under this name, it goes with the version that holds it now.
  if (other === name) return undefined
  if (other !== undefined)
    return `key ${keyId} is kept for credential ${other}: it goes a day after that one is rotated`
  const removed = await deps.iamKeys.remove(await iamAccount(deps, credential), keyId)
  if (!removed.ok) throw new BrokerError('upstream_unavailable', { reason: removed.reason })
  return undefined
}

/** A credential that has just stopped using a key may have to go back to it: each key has its day. */
function needsKeyAt(now: EpochSeconds): NeedsKey {
  return (version, state) =>
    drawsOnKey(version, state) || (version.removal?.upstreamToo === true && !removalIsDue(version, now))
}

const used: ReadonlySet<VersionState> = new Set<VersionState>(['candidate', 'active', 'retiring'])

/** A version of a credential, and the key that it holds. */
export interface HeldKey {
  readonly name: string
  readonly version: string
  readonly keyId: string
}

/** Whether a version of a credential in that state needs its key upstream. */
export type NeedsKey = (version: VersionSummary, state: CredentialState) => boolean

/** A revoked credential draws on what it is brought anew alone. */
const drawsOnKey: NeedsKey = ({ state }, credentialState) =>
  credentialState === 'revoked' ? state === 'candidate' : used.has(state)

/**
 * The name of a credential, perhaps the same one, of which another version needs that key: one file may have been
 * enrolled under two names, or brought back, and what is withdrawn for the one would be gone for the other. Throws
 * `store_unavailable` where none is found and one could not be read, which may need it.
 */
export function otherHolder(
  credentials: Pick<Credentials, 'list'>,
  { name, version, keyId }: HeldKey,
  needs: NeedsKey = drawsOnKey,
): Promise<string | undefined> {
  return nameOfFirst(credentials, (one) =>
    one.versions.some(
      (held) => held.keyId === keyId && !(one.name === name && held.id === version) && needs(held, one.state),
    ),
  )
}

/**
 * The name of another credential that draws on consents to that OAuth client: of one user Google has one grant. Throws
 * as above.
 */
export function otherOfClient(
  credentials: Pick<Credentials, 'list'>,
  { name, upstream }: CredentialSummary,
  client: string,
): Promise<string | undefined> {
  return nameOfFirst(
    credentials,
    (one) =>
      one.name !== name &&
      one.kind === 'refresh_token' &&
      one.upstream === upstream &&
      one.versions.some((held) => held.identity === client && drawsOnKey(held, one.state)),
  )
}

async function nameOfFirst(
  credentials: Pick<Credentials, 'list'>,
  isWanted: (credential: CredentialSummary) => boolean,
): Promise<string | undefined> {
  let unread: BrokerError | undefined
  const onMalformed = (error: BrokerError) => {
    unread ??= error
  }
  for await (const credential of eachCredential(credentials, { onMalformed }))
    if (isWanted(credential)) return credential.name
  if (unread === undefined) return undefined
  throw new BrokerError('store_unavailable', {
    reason: `nothing is withdrawn upstream while a credential that may need it cannot be read: ${unread.reason}`,
  })
}
