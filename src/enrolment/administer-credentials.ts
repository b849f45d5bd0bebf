import {
  BrokerError,
  requestMalformed,
  invalidDocument,
  isBrokerError,
  type BrokerErrorCode,
} from '../domain/broker-error.ts'
import {
  credentialName,
  type CredentialState,
  type CredentialSummary,
  type CredentialKind,
} from '../domain/credential.ts'
import type { Upstream } from '../domain/upstream.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import { eachCredential, type Credentials, type NewCredential } from '../records/credentials.ts'
import { secretText } from '../records/credential-secrets.ts'
import type { CredentialFile } from './credential-file.ts'
import {
  changedBoundaries,
  changedOptions,
  type BoundaryChange,
  type CredentialChange,
} from './credential-options.ts'
import { faultsInUse, foundCredential, noSuchCredential } from './credential-faults.ts'
import { parseCredentialFile } from './parse-credential-file.ts'
import { cloudPlatformScope } from '../domain/google.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

const pageDefault = 100
const pageMax = 500

export interface AdministerCredentialsDeps {
  readonly credentials: Pick<
    Credentials,
    'find' | 'findSame' | 'list' | 'add' | 'setState' | 'changeOptions' | 'remove' | 'openSecret'
  >
  /** The upstreams besides Google, by the policy in force. Throws `policy_unavailable`. */
  readonly findUpstream: (name: string) => Promise<Upstream | undefined>
  /** Tries a credential at its upstream; throws what minting throws where it is refused. */
  readonly verify?: (credential: CredentialSummary) => Promise<void>
  readonly log: Log
  readonly clock: Clock
}

/** What is sent to enrol a credential; nothing of it is believed yet. */
export interface Enrolment extends CredentialFile {
  readonly name: string
  /** Of a service-account key only: how old it may become. */
  readonly rotateAfterDays?: number
  readonly boundaries?: BoundaryChange
  /** Whether it is tried at its upstream before it is called enrolled. */
  readonly verify?: boolean
}

export interface EnrolledCredential extends CredentialSummary {
  /** Other enabled credentials that hold the very secret; absent where there is none. */
  readonly alsoEnrolledAs?: readonly string[]
}

/** All that may be done to credentials. What is not there, or could not be, is `not_found`. */
export interface AdministerCredentials {
  /** In ascending order of the name, at most 500. */
  readonly list: (page: {
    readonly after?: string
    readonly limit?: number
  }) => Promise<readonly CredentialSummary[]>
  readonly read: (name: string) => Promise<CredentialSummary>
  /**
   * Throws `document_invalid`, with every fault in its public detail and no secret, or `already_exists`. The same once
   * more is no error: whoever lost the first answer may ask again. A secret that another credential holds too is not
   * tried: at some upstreams that would use up the one of the other.
   */
  readonly enrol: (enrolment: Enrolment) => Promise<EnrolledCredential>
  /** Throws `document_invalid` and `state_conflict`; like the next three, `changed_meanwhile`. */
  readonly change: (name: string, change: CredentialChange, revision?: string) => Promise<CredentialSummary>
  /** These three throw `changed_meanwhile` unless the credential is at that revision, if one is named. */
  readonly disable: (name: string, revision?: string) => Promise<CredentialSummary>
  readonly enable: (name: string, revision?: string) => Promise<CredentialSummary>
  readonly destroy: (name: string, revision?: string) => Promise<void>
}

/** Enrols nothing that could not sign, and asks no upstream: a broken one never stops an administrator. */
export function createAdministerCredentials({
  credentials,
  findUpstream,
  verify,
  log,
  clock,
}: AdministerCredentialsDeps): AdministerCredentials {
  const setState = async (name: string, state: CredentialState, revision?: string) =>
    foundCredential(name, isName(name) ? await credentials.setState(name, state, revision) : undefined)

  return {
    list: async ({ after, limit = pageDefault }) =>
      credentials.list({
        limit: Math.min(pageMax, Math.max(1, Math.floor(limit))),
        ...(after !== undefined && { after: checkedAfter(after) }),
      }),
    read: async (name) => foundCredential(name, isName(name) ? await credentials.find(name) : undefined),
    enrol: async ({
      name,
      rotateAfterDays: days,
      boundaries: change = {},
      verify: isToBeTried = false,
      ...file
    }) => {
      if (!isName(name)) throw invalidDocument([`name: must match ${credentialName.source}`])
      const { upstream } = file
      const named = typeof upstream === 'string' && upstream !== 'google'
      const judgement = parseCredentialFile(file, named ? await findUpstream(upstream) : undefined)
      if (!judgement.ok) throw invalidDocument(judgement.faults)
      const { credential, ignored } = judgement
      const { secret, source } = credential
      const faults = [
        ...(await faultsInUse(secret)),
        ...(days === undefined || secret.kind === 'service_account_key'
          ? []
          : ['rotate_after_days: only a service-account key can be replaced without a person']),
        ...(source === undefined ? [] : sourceFaults(await credentials.find(source))),
      ]
      if (faults.length > 0) throw invalidDocument(faults)
      const { kind } = secret
      const boundaries = changedBoundaries({ name, kind, ...credential }, change, clock.now())
      const wanted = {
        name,
        ...credential,
        ...omitUndefined({ rotateAfterDays: days }),
        ...(Object.keys(boundaries).length > 0 && { boundaries }),
      }
      const fresh = await credentials.add(wanted)
      const added = fresh ?? (await credentials.findSame(wanted))
      if (added === undefined)
        throw new BrokerError('already_exists', { reason: `there is a credential ${name} already` })
      if (ignored.length > 0)
        log('warn', 'parts of a credential file are neither followed nor kept', { credential: name, ignored })
      const others = await othersWith(wanted, credentials)
      if (others.length > 0) return { ...added, alsoEnrolledAs: others }
      if (!isToBeTried || verify === undefined) return added
      await refuseUnlessGood(added, verify, async () => {
        if (fresh !== undefined) await credentials.remove(name)
      })
      return (await credentials.find(name)) ?? added
    },
    change: async (name, change, revision) =>
      foundCredential(
        name,
        await credentials.changeOptions(
          name,
          (credential, now) => changedOptions(credential, change, now),
          revision,
        ),
      ),
    disable: (name, revision) => setState(name, 'disabled', revision),
    enable: (name, revision) => setState(name, 'enabled', revision),
    destroy: async (name, revision) => {
      if (!isName(name) || !(await credentials.remove(name, revision))) throw noSuchCredential(name)
    },
  }
}

/** What its upstream refuses is not enrolled; what its upstream cannot say now is, and the answer says so. */
async function refuseUnlessGood(
  credential: CredentialSummary,
  verify: (credential: CredentialSummary) => Promise<void>,
  takeBack: () => Promise<void>,
): Promise<void> {
  try {
    await verify(credential)
  } catch (error) {
    if (!isBrokerError(error) || !refusals.has(error.code)) throw error
    await takeBack()
    throw invalidDocument([`secret: its upstream refuses it: ${error.reason}`])
  }
}

const openedMax = 100

/** By what may be shown first, so that few are opened; one that cannot be opened is none. */
async function othersWith(
  { name, secret, identity, keyId }: NewCredential,
  credentials: AdministerCredentialsDeps['credentials'],
): Promise<readonly string[]> {
  // These hold no secret: two of one account are two ways to it.
  if (secret.kind === 'impersonation' || secret.kind === 'broker_identity') return []
  const text = secretText(secret).reveal()
  const others: string[] = []
  let opened = 0
  for await (const other of eachCredential(credentials)) {
    const isAlike = other.kind === secret.kind && other.identity === identity && other.keyId === keyId
    if (!isAlike || other.name === name || other.state !== 'enabled') continue
    if ((opened += 1) > openedMax) break
    try {
      const held = await credentials.openSecret(other.name, other.version)
      if (secretText(held.secret).reveal() === text) others.push(other.name)
    } catch (error) {
      if (!isBrokerError(error)) throw error
    }
  }
  return others
}

const refusals: ReadonlySet<BrokerErrorCode> = new Set<BrokerErrorCode>([
  'target_unavailable',
  'scope_refused',
])

function isName(name: string): boolean {
  return credentialName.test(name)
}

function checkedAfter(after: string): string {
  // Not a whole name: an earlier page may end with one that no longer matches today's pattern.
  if (/^[A-Za-z0-9_.@-]{1,200}$/.test(after)) return after
  throw requestMalformed('after: must be the name of a credential')
}

/** Kinds whose tokens may act for a service account. */
const actingKinds: ReadonlySet<CredentialKind> = new Set<CredentialKind>([
  'service_account_key',
  'refresh_token',
  'broker_identity',
])

/** Why nothing could be impersonated by this credential; empty if nothing speaks against it. */
function sourceFaults(source: CredentialSummary | undefined): readonly string[] {
  if (source === undefined) return ['secret.source: no credential of that name is enrolled']
  if (!actingKinds.has(source.kind) || source.upstream !== 'google')
    return [`secret.source: is ${source.kind} of ${source.upstream}, which cannot act for a service account`]
  const { consentedScopes } = source
  return consentedScopes === undefined || consentedScopes.includes(cloudPlatformScope)
    ? []
    : [`secret.source: was not consented ${cloudPlatformScope}`]
}
