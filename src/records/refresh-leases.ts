import { BrokerError } from '../domain/broker-error.ts'
import type { CredentialHealth, Narrowing, RefreshToken } from '../domain/credential.ts'
import type { ScopeSet } from '../domain/scopes.ts'
import type { Secret } from '../domain/secret.ts'
import { seconds, type EpochSeconds, type Seconds } from '../domain/time.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import { stamped, tellHealth, readModifyWrite, type ReadModifyWriteDeps } from './read-modify-write.ts'
import { credentialDocumentOf, recordIn } from './credential-codec.ts'
import { credentialKey, type CredentialRecord, type CredentialVersion } from './credential-record.ts'
import { noteHealth, reviseVersion } from './version-changes.ts'
import {
  secretText,
  openVersion,
  secretPlace,
  usableVersion,
  type VersionName,
} from './credential-secrets.ts'
import { createLeaseWatch, type LeaseWatch, leaseLeft, nextLease, type Lease } from './lease.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** A secret that changed this often while it was being opened is in somebody else's hands now. */
const beginAttemptsMax = 3

/**
 * Refreshing one refresh token, one holder at a time: two refreshes at once with a rotating token look like theft to
 * an upstream, and it revokes the grant. Lease, intent and the new token are fields of the credential's one document,
 * so that no crash can part them.
 */
export interface RefreshLeases {
  /** The right to refresh now, or how long at most until it comes free. Throws `target_unavailable` as openSecret. */
  begin(wanted: WantedRefreshLease): Promise<RefreshLease | BusyRefreshLease>
  /**
   * Ends the lease, storing what came of it. When it resolves, a rotated token is durable. Safe to repeat after
   * `store_unavailable`. A late holder still stores its rotated token as long as nobody stored another meanwhile.
   */
  end(lease: RefreshLease, result: RefreshResult): Promise<EndedRefreshLease>
}

/** `superseded`: by a newer token, or another holder. `gone`: there is no secret any more that could be replaced. */
export type EndedRefreshLease = 'ended' | 'superseded' | 'gone'

export interface WantedRefreshLease extends VersionName {
  /** A second refresh meanwhile would harm nothing: what a crash left behind is over when the clock says so. */
  readonly mayOverlap?: boolean
}

export interface RefreshLease {
  readonly held: true
  readonly name: string
  readonly version: string
  readonly fence: number
  readonly generation: number
  readonly secret: RefreshToken
  readonly consentedScopes?: ScopeSet
  readonly narrowing?: Narrowing
  /** When the upstream will take the refresh token no more, as far as it said so. */
  readonly expiresAt?: EpochSeconds
  /** When a former holder began a refresh whose end was never stored: its rotated token may be lost. */
  readonly interruptedAt?: EpochSeconds
}

export interface BusyRefreshLease {
  readonly held: false
  readonly retryAfter: Seconds
  /** The instance that has it, where that is known. */
  readonly holder?: string
}

export interface RefreshResult {
  /** The refresh token the upstream returned, when it differs from the one that was sent. */
  readonly rotated?: Secret
  /** When the refresh token of this result, rotated or the same, will end; absent, nothing new is known of it. */
  readonly expiresAt?: EpochSeconds
  readonly health?: Omit<CredentialHealth, 'since'>
  /** Keep the mark of an interrupted refresh, because this refresh did not clear up whether a token was lost. */
  readonly keepIntent?: boolean
  /** The refresh token was refused after a former answer was lost: it was used up, and nobody may send it again. */
  readonly isLost?: boolean
}

export interface RefreshLeasesDeps extends ReadModifyWriteDeps {
  readonly keyRing: KeyRing
  /** Names this instance in leases. */
  readonly holder: string
}

export function createRefreshLeases(given: RefreshLeasesDeps): RefreshLeases {
  const deps: WatchingDeps = { ...given, watch: createLeaseWatch(given.clock) }
  return {
    begin: async (wanted) => {
      for (let attempt = 0; attempt < beginAttemptsMax; attempt += 1) {
        const lease = await tryBegin(deps, wanted)
        if (lease !== undefined) return lease
      }
      return { held: false, retryAfter: seconds(1) }
    },
    end: (lease, result) => endLease(deps, lease, result),
  }
}

interface WatchingDeps extends RefreshLeasesDeps {
  readonly watch: LeaseWatch
}

/** `undefined` when the secret changed between opening it and acquiring the lease. */
async function tryBegin(
  deps: WatchingDeps,
  wanted: WantedRefreshLease,
): Promise<RefreshLease | BusyRefreshLease | undefined> {
  const { store, keyRing } = deps
  const { name, version } = wanted
  const record = recordIn(await store.get(credentialKey(name)))
  const { generation, expiresAt, intent } = usableVersion(record, { name, version })
  if (intent?.isLost === true)
    throw new BrokerError('target_unavailable', {
      reason:
        record?.health.reason ?? `credential ${name}: its refresh token was lost: consent and enrol again`,
    })
  const retryAfter = busyFor(deps, wanted, record?.lease)
  if (retryAfter !== undefined) return { held: false, retryAfter, ...heldBy(record) }
  // Opened before the lease is acquired: a key ring that fails leaves neither a lease nor a false mark of a crash.
  const secret = await openVersion(keyRing, record, { name, version })
  if (secret.kind !== 'refresh_token')
    throw new BrokerError('store_unavailable', { reason: `credential ${name} holds no refresh token` })
  const consentedScopes = consentedWith(record, version)
  const taken = await take(deps, wanted, generation)
  if (taken === undefined || !taken.held) return taken
  return {
    ...taken,
    name,
    version,
    generation,
    secret,
    ...omitUndefined({ consentedScopes }),
    ...omitUndefined({ narrowing: record?.narrowing }),
    ...omitUndefined({ expiresAt }),
  }
}

function heldBy(record: CredentialRecord | undefined): Pick<BusyRefreshLease, 'holder'> {
  return omitUndefined({ holder: record?.lease?.holder })
}

function busyFor(
  { watch, clock }: WatchingDeps,
  { name, version, mayOverlap = false }: WantedRefreshLease,
  lease: Lease | undefined,
): Seconds | undefined {
  return mayOverlap ? leaseLeft(lease, clock.now()) : watch.left(secretPlace(name, version), lease)
}

/** A version that is still a candidate was consented by itself; its scopes become the credential's when it is active. */
function consentedWith(record: CredentialRecord | undefined, version: string): ScopeSet | undefined {
  const own = record?.rotation?.candidate === version ? record.rotation.consentedScopes : undefined
  return own ?? record?.consentedScopes
}

type Taken = Pick<RefreshLease, 'held' | 'fence' | 'interruptedAt'>

function take(
  deps: WatchingDeps,
  wanted: WantedRefreshLease,
  generation: number,
): Promise<Taken | BusyRefreshLease | undefined> {
  const { store, clock, entropy, holder } = deps
  const { name, version } = wanted
  return readModifyWrite<Taken | BusyRefreshLease | undefined>(
    { store, clock, entropy },
    credentialKey(name),
    (stored) => {
      const now = clock.now()
      const before = recordIn(stored)
      const held = usableVersion(before, { name, version })
      if (before === undefined || held.generation !== generation)
        return { value: undefined, result: undefined }
      const retryAfter = busyFor(deps, wanted, before.lease)
      if (retryAfter !== undefined)
        return { value: undefined, result: { held: false, retryAfter, ...heldBy(before) } }
      const lease = nextLease(holder, before.fence, now)
      const intent = held.intent ?? { fence: lease.fence, generation, startedAt: now }
      const after: CredentialRecord = {
        ...reviseVersion(before, version, (one) => ({ ...one, intent })),
        lease,
        fence: lease.fence,
      }
      const interruptedAt = held.intent?.startedAt
      const taken: Taken = {
        held: true,
        fence: lease.fence,
        ...omitUndefined({ interruptedAt }),
      }
      return { value: credentialDocumentOf(after), result: taken }
    },
  )
}

async function endLease(
  { store, clock, entropy, keyRing, noticeHealth }: RefreshLeasesDeps,
  lease: RefreshLease,
  { rotated, expiresAt, health, keepIntent = false, isLost = false }: RefreshResult,
): Promise<EndedRefreshLease> {
  const sealed =
    rotated === undefined
      ? undefined
      : await keyRing.seal(
          secretText({ ...lease.secret, refreshToken: rotated }),
          secretPlace(lease.name, lease.version),
        )
  return readModifyWrite<EndedRefreshLease>(
    { store, clock, entropy },
    credentialKey(lease.name),
    (stored) => {
      const before = recordIn(stored)
      if (before === undefined) return { value: undefined, result: 'gone' }
      const isGone = !before.versions.some((one) => one.id === lease.version && one.sealed !== undefined)
      // Fences start anew when a name is enrolled again: only together with the version do they name this lease.
      const holdsLease =
        before.lease?.fence === lease.fence && before.versions.some(({ id }) => id === lease.version)
      const { versions, isOurs } = replaceSealed(before, { lease, sealed, expiresAt, holdsLease })
      if (!isOurs && !holdsLease) return { value: undefined, result: isGone ? 'gone' : 'superseded' }
      const now = clock.now()
      const { lease: current, ...rest } = before
      const ended: CredentialRecord = { ...rest, versions }
      const after: CredentialRecord = {
        ...(holdsLease ? reviseVersion(ended, lease.version, intentAfter({ keepIntent, isLost })) : ended),
        ...(!holdsLease && omitUndefined({ lease: current })),
      }
      const noted = health === undefined ? after : noteHealth(after, health, now)
      const isShown = noted !== after || endOf(after, lease) !== endOf(before, lease)
      return {
        value: credentialDocumentOf(isShown ? stamped(noted, now) : noted),
        result: isGone ? 'gone' : 'ended',
        written: tellHealth(noticeHealth, before, noted),
      }
    },
  )
}

function endOf({ versions }: CredentialRecord, lease: RefreshLease): EpochSeconds | undefined {
  return versions.find(({ id }) => id === lease.version)?.expiresAt
}

function intentAfter({ keepIntent, isLost }: Required<Pick<RefreshResult, 'keepIntent' | 'isLost'>>) {
  return (version: CredentialVersion): CredentialVersion => {
    const { intent, ...rest } = version
    if (!keepIntent || intent === undefined) return rest
    return isLost ? { ...rest, intent: { ...intent, isLost } } : version
  }
}

interface Replacement {
  readonly lease: RefreshLease
  readonly sealed: string | undefined
  readonly expiresAt: EpochSeconds | undefined
  readonly holdsLease: boolean
}

/**
 * Puts the new secret in place if this lease is still held, or if the version still holds the generation that
 * the lease refreshed: the holder of the newest fence is right, and a late one only as long as nobody was quicker.
 */
function replaceSealed(
  record: CredentialRecord,
  { lease, sealed, expiresAt, holdsLease }: Replacement,
): { readonly versions: readonly CredentialVersion[]; readonly isOurs: boolean } {
  const held = record.versions.find(({ id }) => id === lease.version)
  const isNewest = holdsLease || held?.generation === lease.generation
  // A destroyed version gets no secret back.
  if (held?.sealed === undefined || !isNewest) return { versions: record.versions, isOurs: false }
  const { expiresAt: endBefore, ...rest } = held
  // A rotated token has an end of its own; of the same one, what was said last holds.
  const end = expiresAt ?? (sealed === undefined ? endBefore : undefined)
  const after: CredentialVersion = {
    ...rest,
    ...(sealed !== undefined && { sealed, generation: held.generation + 1 }),
    ...omitUndefined({ expiresAt: end }),
  }
  const versions = record.versions.map((version) => (version.id === lease.version ? after : version))
  return { versions, isOurs: sealed !== undefined }
}
