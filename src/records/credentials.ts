import { unusableCredential, BrokerError } from '../domain/broker-error.ts'
import type {
  Account,
  CredentialHealth,
  CredentialOptions,
  CredentialSecret,
  CredentialState,
  CredentialSummary,
  Narrowing,
  Revocation,
} from '../domain/credential.ts'
import type { ScopeSet } from '../domain/scopes.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { Stored } from '../ports/document-store.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import {
  changeCredential,
  refuseUnlessAt,
  tellHealth,
  type Revision,
  readModifyWrite,
  type ReadModifyWriteDeps,
} from './read-modify-write.ts'
import { credentialDocumentOf, parseCredentialRecord, recordIn } from './credential-codec.ts'
import {
  credentialKey,
  summaryOf,
  type CredentialRecord,
  type CredentialVersion,
} from './credential-record.ts'
import {
  connectRecord,
  enterState,
  noteHealth,
  setOptions,
  noteWithdrawn,
  revokeRecord,
  type HeldVersion,
  destroyVersion,
  disableVersion,
  removeVersion,
} from './version-changes.ts'
import { secretOf, secretText, openVersion, secretPlace, usableVersion } from './credential-secrets.ts'
import { destroyDocument } from './destroyed-credentials.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** What is enrolled: a parsed and checked secret with the facts that may be shown. */
export interface NewCredential extends CredentialOptions {
  readonly name: string
  /** Whose grant it is, where somebody consented here. */
  readonly account?: Account
  readonly upstream: string
  readonly secret: CredentialSecret
  readonly identity: string
  readonly keyId?: string
  readonly consentedScopes?: ScopeSet
  /** For impersonation: the credential it draws on; absent, the broker's own identity. */
  readonly source?: string
}

export interface ConnectedVersion {
  readonly id: string
  /** When the upstream will take it no more, where it said so. */
  readonly expiresAt?: EpochSeconds
}

type OnMalformed = (error: BrokerError) => void

export interface CredentialPage {
  readonly after?: string | undefined
  readonly limit: number
  readonly onMalformed?: OnMalformed
}

/** The credentials we hold. Every method may throw `store_unavailable`; those that touch secrets `key_ring_unavailable`. */
export interface Credentials {
  find(name: string): Promise<CredentialSummary | undefined>
  /**
   * In the order of their names; fewer than `limit` only where there are no more. A malformed document is skipped,
   * logged and passed to `onMalformed`; the others are still listed.
   */
  list(page: CredentialPage): Promise<readonly CredentialSummary[]>
  /** The credential of that name, if it is enabled and just what this one would be. */
  findSame(credential: NewCredential): Promise<CredentialSummary | undefined>
  /** `undefined` when the name is taken. */
  add(credential: NewCredential): Promise<CredentialSummary | undefined>
  /**
   * What somebody consented to becomes the active version of that id, of a new credential or of the one that is there,
   * whose other secrets are dropped. Its state stays, but for a revoked one, which is disabled then: nothing is enabled by
   * it. The same id twice changes nothing more. Throws `state_conflict` for a credential of another kind or upstream.
   */
  connect(credential: NewCredential, connected: ConnectedVersion): Promise<CredentialSummary>
  /** `undefined` when there is none of that name; throws `state_conflict` for a revoked one. */
  setState(name: string, state: CredentialState, expected?: Revision): Promise<CredentialSummary | undefined>
  /**
   * No token is minted from it any more. A rotation in progress ends where it is, even one that would bring a revoked
   * credential back. Its secrets stay until `noteRevocation` says that the upstream knows. `undefined` when there
   * is none of that name.
   */
  revoke(name: string, expected?: Revision): Promise<CredentialSummary | undefined>
  /**
   * Records what the upstream answered, and drops the secrets that were withdrawn. Records `failed` where a refresh at
   * the same time has replaced one of them, or may yet do so.
   */
  noteRevocation(
    name: string,
    revocation: Omit<Revocation, 'at'>,
    withdrawn: readonly HeldVersion[],
  ): Promise<CredentialSummary | undefined>
  /** The versions whose secrets are still held. */
  heldVersions(name: string): Promise<readonly HeldVersion[]>
  /** Replaces the options by what `revise` makes of the credential. `undefined` when there is none of that name. */
  changeOptions(
    name: string,
    revise: (credential: CredentialSummary, now: EpochSeconds) => CredentialOptions,
    expected?: Revision,
  ): Promise<CredentialSummary | undefined>
  /** Throws `not_found` without such a version, `state_conflict` for the only one that works. */
  disableVersion(name: string, version: string, expected?: Revision): Promise<CredentialSummary | undefined>
  /** Drops the secret of a disabled version; throws `not_found` or `state_conflict`. */
  destroyVersion(name: string, version: string, expected?: Revision): Promise<CredentialSummary | undefined>
  /** Destroys a version whose removal is due, after its key is gone upstream. */
  removeVersion(name: string, version: string): Promise<CredentialSummary | undefined>
  /** Whether there was one. Its secret is gone with it. */
  remove(name: string, expected?: Revision): Promise<boolean>
  /**
   * The secret of one version; throws `target_unavailable` when the credential is not enabled, or the version is
   * gone, disabled or destroyed.
   */
  openSecret(name: string, version: string): Promise<OpenedSecret>
  /** The secret of a version that mints nothing any more, only to revoke it upstream. Throws `target_unavailable`. */
  openWithdrawn(name: string, version: string): Promise<CredentialSecret>
  /** Writes only when status or reason changed, or half a day later; a credential that is gone is no error. */
  noteHealth(name: string, health: Omit<CredentialHealth, 'since'>): Promise<void>
  /** What a refresh showed; a way that is known stays where none is given. A credential that is gone is no error. */
  noteNarrowing(name: string, narrowing: Narrowing): Promise<void>
}

export interface OpenedSecret {
  readonly secret: CredentialSecret
  /** When the version was added: an upstream may not know a key of some seconds ago yet. */
  readonly createdAt: EpochSeconds
  /** How many secrets a rotating refresh token has gone through, this one included. */
  readonly generation: number
}

export interface CredentialsDeps extends ReadModifyWriteDeps {
  readonly keyRing: KeyRing
  readonly onMalformed: OnMalformed
}

export function createCredentials(deps: CredentialsDeps): Credentials {
  const { store, keyRing, clock, entropy } = deps

  const readRecord = async (name: string) => recordIn(await store.get(credentialKey(name)))

  const change = (
    name: string,
    revise: (record: CredentialRecord, now: EpochSeconds) => CredentialRecord,
    expected?: Revision,
  ) => changeCredential(deps, name, revise, expected)

  const readableIn = (document: Stored, onMalformed?: OnMalformed): readonly CredentialSummary[] => {
    try {
      return [summaryOf(parseCredentialRecord(document))]
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      deps.onMalformed(error)
      onMalformed?.(error)
      return []
    }
  }

  return {
    find: async (name) => {
      const record = await readRecord(name)
      return record === undefined ? undefined : summaryOf(record)
    },
    list: async ({ after: afterName, limit, onMalformed }) => {
      const readable: CredentialSummary[] = []
      let after = afterName === undefined ? undefined : credentialKey(afterName)
      for (;;) {
        const wanted = limit - readable.length
        const stored = await store.list({ prefix: credentialKey(''), after, limit: wanted })
        readable.push(...stored.flatMap((document) => readableIn(document, onMalformed)))
        const last = stored.at(-1)
        if (last === undefined || stored.length < wanted || readable.length === limit) return readable
        after = last.key
      }
    },
    findSame: async (credential) => {
      const record = await readRecord(credential.name)
      if (record?.state !== 'enabled' || !isSameButSecret(record, credential)) return undefined
      const summary = summaryOf(record)
      const held = await openVersion(keyRing, record, { name: record.name, version: summary.version })
      return secretText(held).reveal() === secretText(credential.secret).reveal() ? summary : undefined
    },
    add: async (credential) => {
      const id = entropy.uuid()
      const { name, secret } = credential
      const sealed = await keyRing.seal(secretText(secret), secretPlace(name, id))
      const record = newRecord(credential, { id, sealed, now: clock.now() })
      const written = await store.put(credentialKey(name), credentialDocumentOf(record), { if: 'absent' })
      return written === undefined ? undefined : summaryOf(record)
    },
    connect: async (credential, connected) => {
      const { name, secret } = credential
      const { id } = connected
      const sealed = await keyRing.seal(secretText(secret), secretPlace(name, id))
      return readModifyWrite(deps, credentialKey(name), (stored) => {
        const now = clock.now()
        const fresh = withEnd(newRecord(credential, { id, sealed, now }), connected)
        const before = recordIn(stored)
        if (before?.versions.some((version) => version.id === id) === true)
          return { value: undefined, result: summaryOf(before) }
        const after = before === undefined ? fresh : connectRecord(before, fresh, now)
        const written = before === undefined ? undefined : tellHealth(deps.noticeHealth, before, after)
        return { value: credentialDocumentOf(after), result: summaryOf(after), written }
      })
    },
    setState: (name, state, expected) => change(name, (record) => enterState(record, state), expected),
    revoke: (name, expected) => change(name, revokeRecord, expected),
    noteRevocation: (name, revocation, withdrawn) =>
      change(name, (record, now) => noteWithdrawn(record, { revocation, withdrawn, now })),
    heldVersions: async (name) => {
      const versions = (await readRecord(name))?.versions ?? []
      return versions.flatMap(({ id, generation, sealed }) =>
        sealed === undefined ? [] : [{ id, generation }],
      )
    },
    changeOptions: (name, revise, expected) =>
      change(name, (record, now) => setOptions(record, revise(summaryOf(record), now)), expected),
    disableVersion: (name, version, expected) =>
      change(name, (record, now) => disableVersion(record, version, now), expected),
    destroyVersion: (name, version, expected) =>
      change(name, (record, now) => destroyVersion(record, version, now), expected),
    removeVersion: (name, version) => change(name, (record, now) => removeVersion(record, version, now)),
    remove: async (name, expected) => {
      if (expected === undefined) return destroyDocument(deps, name)
      const stored = await store.get(credentialKey(name))
      if (stored === undefined) return false
      refuseUnlessAt(parseCredentialRecord(stored), expected)
      if (await destroyDocument(deps, name, { version: stored.version })) return true
      throw new BrokerError('changed_meanwhile', { reason: `credential ${name} was changed in between` })
    },
    openSecret: async (name, version) => {
      const record = await readRecord(name)
      const { createdAt, generation } = usableVersion(record, { name, version })
      return { secret: await openVersion(keyRing, record, { name, version }), createdAt, generation }
    },
    openWithdrawn: async (name, version) => {
      const sealed = (await readRecord(name))?.versions.find(({ id }) => id === version)?.sealed
      if (sealed === undefined) throw unusableCredential(name, 'has that version no more')
      const place = secretPlace(name, version)
      return secretOf(await keyRing.open(sealed, place), place)
    },
    noteHealth: async (name, health) => {
      await change(name, (record, now) => noteHealth(record, health, now))
    },
    noteNarrowing: async (name, { way, refusedUntil }) => {
      await change(name, (record) => {
        const known = way ?? record.narrowing?.way
        const narrowing = {
          ...omitUndefined({ way: known, refusedUntil }),
        }
        return JSON.stringify(narrowing) === JSON.stringify(record.narrowing)
          ? record
          : { ...record, narrowing }
      })
    },
  }
}

function withEnd(record: CredentialRecord, { expiresAt }: ConnectedVersion): CredentialRecord {
  if (expiresAt === undefined) return record
  return { ...record, versions: record.versions.map((version) => ({ ...version, expiresAt })) }
}

interface FirstVersion {
  readonly id: string
  readonly sealed: string
  readonly now: EpochSeconds
}

function newRecord(credential: NewCredential, { id, sealed, now }: FirstVersion): CredentialRecord {
  const { name, upstream, secret, identity, keyId, source, consentedScopes, rotateAfterDays, boundaries } =
    credential
  const version: CredentialVersion = {
    id,
    state: 'active',
    identity,
    ...omitUndefined({ keyId }),
    sealed,
    generation: 1,
    createdAt: now,
    changedAt: now,
  }
  return {
    name,
    kind: secret.kind,
    upstream,
    state: 'enabled',
    versions: [version],
    ...omitUndefined({ source, account: credential.account, consentedScopes }),
    health: { status: 'unknown', since: now },
    ...omitUndefined({ rotateAfterDays, boundaries }),
    fence: 0,
    revision: 1,
    createdAt: now,
    updatedAt: now,
  }
}

function isSameButSecret(record: CredentialRecord, other: NewCredential): boolean {
  const facts = (one: Omit<NewCredential, 'name' | 'secret' | 'identity' | 'keyId'>) =>
    JSON.stringify([
      one.upstream,
      one.source ?? null,
      one.consentedScopes ?? null,
      one.rotateAfterDays ?? null,
      one.boundaries ?? null,
    ])
  return record.kind === other.secret.kind && facts(record) === facts(other)
}

const pageSize = 200

/** Every credential that can be read, by name, however many there are. Throws what `list` throws. */
export async function listAllCredentials(
  credentials: Pick<Credentials, 'list'>,
): Promise<readonly CredentialSummary[]> {
  const all: CredentialSummary[] = []
  for await (const credential of eachCredential(credentials)) all.push(credential)
  return all
}

/** The same one by one: a reader that has found what it looks for reads no further page. */
export async function* eachCredential(
  credentials: Pick<Credentials, 'list'>,
  more: Pick<CredentialPage, 'onMalformed'> = {},
): AsyncGenerator<CredentialSummary, void> {
  let after: string | undefined
  do {
    const page = await credentials.list({ ...more, after, limit: pageSize })
    yield* page
    after = page.length < pageSize ? undefined : page.at(-1)?.name
  } while (after !== undefined)
}
