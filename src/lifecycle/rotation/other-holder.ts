import { BrokerError } from '../../domain/broker-error.ts'
import type {
  CredentialState,
  CredentialSummary,
  VersionState,
  VersionSummary,
} from '../../domain/credential.ts'
import { eachCredential } from '../../records/all-credentials.ts'
import type { Credentials } from '../../records/credentials.ts'

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
export const drawsOnKey: NeedsKey = ({ state }, credentialState) =>
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
