import { BrokerError } from '../domain/broker-error.ts'
import type { ClientReference, OAuthClient, CredentialSecret, VersionState } from '../domain/credential.ts'
import type { Credentials } from './credentials.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import { credentialKey, type CredentialRecord, type CredentialVersion } from './credential-record.ts'
import * as z from 'zod/mini'
import { Secret } from '../domain/secret.ts'
import { signingAlgorithms } from '../domain/jwk.ts'
import { filledText } from './stored-fields.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

export interface ClientOfDeps {
  readonly credentials: Pick<Credentials, 'find' | 'openSecret' | 'openWithdrawn'>
}

export interface ClientUse {
  /** The upstream it has to be a client of (T18). */
  readonly upstream: string
  /** Whether it may be switched off: to give something back upstream, and for nothing else. */
  readonly mayBeOff?: boolean
}

/**
 * The client that a secret was issued to: its own, or the one that a credential of the kind `oauth_client` is. Throws
 * `target_unavailable` where that is gone, switched off, or of another upstream.
 */
export async function clientOf(
  { credentials }: ClientOfDeps,
  client: OAuthClient | ClientReference,
  { upstream, mayBeOff = false }: ClientUse,
): Promise<OAuthClient> {
  if (client.proof !== 'credential') return client
  const { credential: name } = client
  const found = await credentials.find(name)
  if (found?.kind !== 'oauth_client' || found.upstream !== upstream)
    throw unusable(name, `is no oauth_client of ${upstream}`)
  const secret = mayBeOff
    ? await credentials.openWithdrawn(name, found.version)
    : (await credentials.openSecret(name, found.version)).secret
  if (secret.kind !== 'oauth_client') throw unusable(name, 'holds no client')
  return secret.client
}

function unusable(name: string, why: string): BrokerError {
  return new BrokerError('target_unavailable', { reason: `credential ${name} ${why}` })
}

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

/** The text that is sealed for a credential. */
export function secretText(secret: CredentialSecret): Secret {
  switch (secret.kind) {
    case 'service_account_key':
      return new Secret(
        JSON.stringify({
          kind: secret.kind,
          client_email: secret.clientEmail,
          key_id: secret.keyId,
          private_key: secret.privateKey.reveal(),
        }),
      )
    case 'refresh_token':
      return new Secret(
        JSON.stringify({
          kind: secret.kind,
          ...clientMembers(secret.client),
          refresh_token: secret.refreshToken.reveal(),
        }),
      )
    case 'client_credentials':
    case 'oauth_client':
      return new Secret(JSON.stringify({ kind: secret.kind, ...clientMembers(secret.client) }))
    case 'impersonation':
      return new Secret(
        JSON.stringify({
          kind: secret.kind,
          service_account: secret.serviceAccount,
          delegates: secret.delegates,
        }),
      )
    case 'broker_identity':
      return new Secret(JSON.stringify({ kind: secret.kind }))
    case 'api_key':
      return new Secret(JSON.stringify({ kind: secret.kind, key: secret.key.reveal() }))
  }
}

function clientMembers(client: OAuthClient | ClientReference): object {
  if (client.proof === 'credential') return { client_credential: client.credential }
  const named = { client_id: client.id, client_origin: client.origin }
  switch (client.proof) {
    case 'secret':
      return { ...named, client_secret: client.secret.reveal() }
    case 'key':
      return {
        ...named,
        client_key: { pem: client.privateKey.reveal(), id: client.keyId, algorithm: client.algorithm },
      }
    case 'none':
      return named
  }
}

/** Reads what `secretText` wrote. Throws `store_unavailable` naming the place, never the text. */
export function secretOf(text: Secret, place: string): CredentialSecret {
  const parsed = secretDocument.safeParse(parseJson(text))
  if (!parsed.success)
    throw new BrokerError('store_unavailable', { reason: `the secret at ${place} is malformed` })
  return parsed.data
}

function parseJson(text: Secret): unknown {
  try {
    return JSON.parse(text.reveal())
  } catch {
    return undefined
  }
}

const secretField = z.pipe(
  filledText,
  z.transform((text) => new Secret(text)),
)

const clientShape = {
  client_id: z.string(),
  client_origin: z.exactOptional(filledText),
  client_secret: z.optional(secretField),
  client_key: z.optional(
    z.object({ pem: secretField, id: z.optional(z.string()), algorithm: z.enum(signingAlgorithms) }),
  ),
}

const clientDocument = z.object(clientShape)

function parseClient(members: z.output<typeof clientDocument>): OAuthClient {
  const { client_id, client_origin: origin, client_secret: secret, client_key: key } = members
  const named = { id: client_id, ...omitUndefined({ origin }) }
  if (secret !== undefined) return { ...named, proof: 'secret', secret }
  if (key === undefined) return { ...named, proof: 'none' }
  const { pem: privateKey, id: keyId, algorithm } = key
  return { ...named, proof: 'key', privateKey, algorithm, ...omitUndefined({ keyId }) }
}

const secretDocument = z.discriminatedUnion('kind', [
  z.pipe(
    z.object({
      kind: z.literal('service_account_key'),
      client_email: z.string(),
      key_id: z.string(),
      private_key: secretField,
    }),
    z.transform(({ kind, client_email: clientEmail, key_id: keyId, private_key: privateKey }) => ({
      kind,
      clientEmail,
      keyId,
      privateKey,
    })),
  ),
  z.pipe(
    z.object({
      kind: z.literal('refresh_token'),
      ...clientShape,
      client_id: z.exactOptional(z.string()),
      client_credential: z.exactOptional(filledText),
      refresh_token: secretField,
    }),
    z.transform(
      ({
        kind,
        refresh_token: refreshToken,
        client_id: id = '',
        client_credential: credential,
        ...members
      }) => ({
        kind,
        client:
          credential === undefined
            ? parseClient({ ...members, client_id: id })
            : ({ proof: 'credential', credential } as const),
        refreshToken,
      }),
    ),
  ),
  z.pipe(
    z.object({ kind: z.literal('client_credentials'), ...clientShape }),
    z.transform(({ kind, ...members }) => ({ kind, client: parseClient(members) })),
  ),
  z.pipe(
    z.object({ kind: z.literal('oauth_client'), ...clientShape }),
    z.transform(({ kind, ...members }) => ({ kind, client: parseClient(members) })),
  ),
  z.pipe(
    z.object({
      kind: z.literal('impersonation'),
      service_account: filledText,
      delegates: z.array(filledText),
    }),
    z.transform(({ kind, service_account: serviceAccount, delegates }) => ({
      kind,
      serviceAccount,
      delegates,
    })),
  ),
  z.object({ kind: z.literal('broker_identity') }),
  z.object({ kind: z.literal('api_key'), key: secretField }),
])
