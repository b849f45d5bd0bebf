import { unusableCredential, BrokerError } from '../domain/broker-error.ts'
import type {
  ClientReference,
  CredentialSecret,
  Impersonation,
  OAuthClient,
  RefreshToken,
  ServiceAccountKey,
  VersionState,
} from '../domain/credential.ts'
import type { Credentials } from './credentials.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import { credentialKey, type CredentialRecord, type CredentialVersion } from './credential-record.ts'
import * as z from 'zod/mini'
import { Secret } from '../domain/secret.ts'
import { parseJsonObject } from '../domain/json.ts'
import { signingAlgorithms, type SigningAlgorithm } from '../domain/jwk.ts'
import { filledText, membersOf } from './stored-fields.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

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
  credentials: Pick<Credentials, 'find' | 'openSecret' | 'openWithdrawn'>,
  client: OAuthClient | ClientReference,
  { upstream, mayBeOff = false }: ClientUse,
): Promise<OAuthClient> {
  if (client.proof !== 'credential') return client
  const { credential: name } = client
  const found = await credentials.find(name)
  if (found?.kind !== 'oauth_client' || found.upstream !== upstream)
    throw unusableCredential(name, `is no oauth_client of ${upstream}`)
  const secret = mayBeOff
    ? await credentials.openWithdrawn(name, found.version)
    : (await credentials.openSecret(name, found.version)).secret
  if (secret.kind !== 'oauth_client') throw unusableCredential(name, 'holds no client')
  return secret.client
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
    throw unusableCredential(name, missing(record, held))
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
  return new Secret(JSON.stringify(z.encode(credentialSecret, secret)))
}

/** Reads what `secretText` wrote. Throws `store_unavailable` naming the place, never the text. */
export function secretOf(text: Secret, place: string): CredentialSecret {
  const parsed = credentialSecret.safeParse(parseJsonObject(text.reveal()))
  if (!parsed.success)
    throw new BrokerError('store_unavailable', { reason: `the secret at ${place} is malformed` })
  return parsed.data
}

const secret = z.codec(filledText, z.instanceof(Secret), {
  decode: (text) => new Secret(text),
  encode: (held) => held.reveal(),
})

/** The members of a client that are stored beside those of its secret; which are there says how it proves itself. */
const clientShape = {
  clientId: z.exactOptional(z.string()),
  clientOrigin: z.exactOptional(filledText),
  clientSecret: z.exactOptional(filledText),
  clientKey: z.exactOptional(
    z.object({ pem: filledText, id: z.exactOptional(z.string()), algorithm: z.enum(signingAlgorithms) }),
  ),
}

interface ClientMembers {
  readonly clientId?: string
  readonly clientOrigin?: string
  readonly clientSecret?: string
  readonly clientKey?: { readonly pem: string; readonly id?: string; readonly algorithm: SigningAlgorithm }
}

function clientIn({ clientId: id = '', clientOrigin, clientSecret, clientKey }: ClientMembers): OAuthClient {
  const named = { id, ...omitUndefined({ origin: clientOrigin }) }
  if (clientSecret !== undefined) return { ...named, proof: 'secret', secret: new Secret(clientSecret) }
  if (clientKey === undefined) return { ...named, proof: 'none' }
  const { pem, id: keyId, algorithm } = clientKey
  return { ...named, proof: 'key', privateKey: new Secret(pem), algorithm, ...omitUndefined({ keyId }) }
}

function clientMembers(client: OAuthClient): ClientMembers {
  const named = { clientId: client.id, ...omitUndefined({ clientOrigin: client.origin }) }
  if (client.proof === 'none') return named
  if (client.proof === 'secret') return { ...named, clientSecret: client.secret.reveal() }
  const { privateKey, keyId: id, algorithm } = client
  return { ...named, clientKey: { pem: privateKey.reveal(), ...omitUndefined({ id }), algorithm } }
}

function clientOnly<Kind extends 'client_credentials' | 'oauth_client'>(kind: Kind) {
  type Flat = ClientMembers & { readonly kind: Kind }
  const flat = membersOf<Flat>({ kind: z.literal(kind), ...clientShape })
  return z.codec(flat, z.custom<{ readonly kind: Kind; readonly client: OAuthClient }>(), {
    decode: (members) => ({ kind, client: clientIn(members) }),
    encode: ({ client }) => ({ kind, ...clientMembers(client) }),
  })
}

const refreshToken = z.codec(
  membersOf<Omit<RefreshToken, 'client'> & ClientMembers & { readonly clientCredential?: string }>({
    kind: z.literal('refresh_token'),
    ...clientShape,
    clientCredential: z.exactOptional(filledText),
    refreshToken: secret,
  }),
  z.custom<RefreshToken>(),
  {
    decode: ({ kind, refreshToken: token, clientCredential: credential, ...members }) => ({
      kind,
      client: credential === undefined ? clientIn(members) : { proof: 'credential' as const, credential },
      refreshToken: token,
    }),
    encode: ({ kind, refreshToken: token, client }) => ({
      kind,
      ...(client.proof === 'credential' ? { clientCredential: client.credential } : clientMembers(client)),
      refreshToken: token,
    }),
  },
)

const credentialSecret = z.discriminatedUnion('kind', [
  membersOf<ServiceAccountKey>({
    kind: z.literal('service_account_key'),
    clientEmail: z.string(),
    keyId: z.string(),
    privateKey: secret,
  }),
  refreshToken,
  clientOnly('client_credentials'),
  clientOnly('oauth_client'),
  membersOf<Impersonation>({
    kind: z.literal('impersonation'),
    serviceAccount: filledText,
    delegates: z.array(filledText),
  }),
  z.object({ kind: z.literal('broker_identity') }),
  z.object({ kind: z.literal('api_key'), key: secret }),
])
