import { BrokerError } from '../domain/broker-error.ts'
import type { CredentialSecret, VersionState } from '../domain/credential.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import { credentialKey, type CredentialRecord, type CredentialVersion } from './credential-record.ts'
import { secretOf } from './credential-secret-codec.ts'

export interface VersionName {
  readonly name: string
  readonly version: string
}

/** Opens one version of a record, or throws `target_unavailable` with what is missing. */
export async function openVersion(
  keyRing: KeyRing,
  record: CredentialRecord | undefined,
  { name, version }: VersionName,
): Promise<CredentialSecret> {
  const { sealed } = usableVersion(record, { name, version })
  const place = secretPlace(name, version)
  return secretOf(await keyRing.open(sealed, place), place)
}

/** Where a secret is sealed to: a ciphertext put anywhere else does not open. */
export function secretPlace(name: string, version: string): string {
  return `${credentialKey(name)}#${version}`
}

type UsableVersion = CredentialVersion & { readonly sealed: string }

/** The version of a record that may be used, or throws `target_unavailable` with what is missing. */
export function usableVersion(
  record: CredentialRecord | undefined,
  { name, version }: VersionName,
): UsableVersion {
  const held = record?.versions.find(({ id }) => id === version)
  const sealed = held !== undefined && usableStates.has(held.state) ? held.sealed : undefined
  // A revoked credential comes back with a new secret, which has to be proved first.
  const mayServe = record?.state === 'enabled' || (record?.state === 'revoked' && held?.state === 'candidate')
  if (!mayServe || held === undefined || sealed === undefined)
    throw new BrokerError('target_unavailable', { reason: `credential ${name} ${missing(record, held)}` })
  return { ...held, sealed }
}

/** A candidate is used to prove it. */
const usableStates: ReadonlySet<VersionState> = new Set<VersionState>(['candidate', 'active', 'retiring'])

function missing(record: CredentialRecord | undefined, held: CredentialVersion | undefined): string {
  if (record === undefined) return 'is gone'
  if (record.state !== 'enabled') return `is ${record.state}`
  return held === undefined ? 'has no such version any more' : `has its version ${held.state}`
}
