import type { MaybePromise } from '../domain/promises.ts'
import { BrokerError, isBrokerError } from '../domain/broker-error.ts'
import type { Policy } from '../domain/policy.ts'
import type { EpochSeconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { PolicyDocument, PolicySource } from '../ports/policy-source.ts'
import { compilePolicy, type CompiledPolicy } from './compile-policy.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import { byAge, createRefreshingValue, type RefreshingDeps } from '../domain/refreshing-value.ts'

export interface PolicyInForce {
  /**
   * The policy as the source had it at most 2 s ago, 5 s when it is just being looked at, and for as long as it takes
   * when the source is down or holds a broken document (P25). Throws `policy_unavailable` if there never was a good
   * one. Waits at most 2 s.
   */
  current(): MaybePromise<CompiledPolicy>
  status(): PolicyStatus
}

export interface PolicyStatus {
  /** Absent as long as there never was a good policy. */
  readonly inForce?: LoadedPolicy
  /** Why the source's present document is not in force; absent when it is. */
  readonly lastFault?: PolicyFault
}

interface LoadedPolicy {
  readonly document: PolicyDocument
  readonly compiled: CompiledPolicy
  readonly loadedAt: EpochSeconds
}

interface PolicyFault {
  /** Absent when the source itself could not be read. */
  readonly origin?: string
  readonly revision?: string
  readonly reason: string
  readonly since: EpochSeconds
}

export interface PolicyInForceDeps extends RefreshingDeps {
  readonly source: PolicySource
  /** Rejects with `document_invalid`. Long documents are read in turns with everything else that waits. */
  readonly parse: (document: PolicyDocument) => Policy | Promise<Policy>
  readonly clock: Clock
  readonly log: Log
  /** Told of each document that comes into force, and of the one that was; must not throw. */
  readonly onLoaded?: (document: PolicyDocument, former: PolicyDocument | undefined) => void
  /** Whether the text is a file that may be read while it is half written. */
  readonly isWrittenInPlace: boolean
}

// A change is promised to be seen within 10 s: two of these and the source's own delay stay well below. While one
// request looks, the others go on with what is at most 5 s old rather than wait.
const freshness = byAge({ freshMs: 2_000, dueMs: 5_000, staleMs: Infinity })
const bounds = { deadlineMs: 2_000, pauseMs: 2_000, remembersFailure: true }

/** The policy in force. There is no timer: the request that finds the last look too old looks again. */
export function createPolicyInForce(deps: PolicyInForceDeps): PolicyInForce {
  const { clock, sharesWork } = deps
  const shelf = createShelf(deps)
  let looks = 0

  /** An answer that comes after the deadline still counts, unless a later look was quicker. */
  const read = async (): Promise<CompiledPolicy> => {
    looks += 1
    const number = looks
    shelf.put(number, await readAndJudge(deps, shelf))
    return shelf.inForce()
  }

  const late = (): BrokerError => {
    const reason = `no answer within ${bounds.deadlineMs} ms`
    if (!shelf.hasAnswer(looks)) shelf.put(looks, { kind: 'down', reason })
    return noPolicy(reason)
  }

  const policy = createRefreshingValue({ clock, sharesWork, ...bounds, freshness, read, late })
  return { current: policy.current, status: () => shelf.status() }
}

type Outcome =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'read'; readonly document: PolicyDocument; readonly judged: Judged }
  | { readonly kind: 'down'; readonly reason: string }

type Judged =
  | { readonly isGood: true; readonly policy: Policy }
  | { readonly isGood: false; readonly reason: string }

async function readAndJudge(
  { source, parse, isWrittenInPlace }: PolicyInForceDeps,
  shelf: Shelf,
): Promise<Outcome> {
  let document
  try {
    document = await source.read(shelf.knownRevision())
  } catch (error) {
    return { kind: 'down', reason: reasonOf(error) }
  }
  if (document === undefined) return { kind: 'unchanged' }
  const before = shelf.status().inForce?.document
  if (isWrittenInPlace && before !== undefined && looksCutOff(document.text, before.text))
    return { kind: 'read', document, judged: { isGood: false, reason: cutOff } }
  try {
    return { kind: 'read', document, judged: { isGood: true, policy: await parse(document) } }
  } catch (error) {
    // Whatever went wrong, a bug of ours included: the policy in force stays (P25).
    return { kind: 'read', document, judged: { isGood: false, reason: reasonOf(error) } }
  }
}

const cutOff =
  'this is the policy in force up to the middle of a line: if that is meant, end it with a new line'

interface Shelf {
  /** Takes the outcome of a look, unless one of a later look has been taken. Never throws. */
  put(lookNumber: number, outcome: Outcome): void
  hasAnswer(lookNumber: number): boolean
  /** Of the last document read, good or bad: neither is read or judged twice. */
  knownRevision(): string | undefined
  inForce(): CompiledPolicy
  status(): PolicyStatus
}

/** Holds the last good policy; only a good one ever takes its place. */
function createShelf({ onLoaded, clock, log }: PolicyInForceDeps): Shelf {
  let loaded: LoadedPolicy | undefined
  let broken: PolicyFault | undefined
  let down: PolicyFault | undefined
  let known: string | undefined
  let newest = 0

  const take = (document: PolicyDocument, judged: Judged): void => {
    known = document.revision
    const { origin, revision } = document
    if (!judged.isGood) {
      broken = { origin, revision, reason: judged.reason, since: clock.now() }
      log('error', 'policy refused; the last good one stays in force', {
        origin,
        revision,
        reason: judged.reason,
      })
      return
    }
    broken = undefined
    const former = loaded?.document
    const compiled = compilePolicy(judged.policy, loaded?.compiled)
    loaded = { document, compiled, loadedAt: clock.now() }
    const { issuers, rules, admins } = compiled.policy
    const counts = { issuers: issuers.length, rules: rules.length, admins: admins.length }
    // Allowed, and worth a second look: such a policy gives nothing to anybody, or nobody can change it.
    const level = rules.length === 0 || admins.length === 0 ? 'warn' : 'info'
    log(level, 'policy in force', { origin, revision, ...counts })
    onLoaded?.(document, former)
  }

  return {
    put: (lookNumber, outcome) => {
      if (lookNumber < newest) return
      newest = lookNumber
      if (outcome.kind === 'down') {
        if (down === undefined) log('error', 'policy source cannot be read', { reason: outcome.reason })
        down = { reason: outcome.reason, since: down?.since ?? clock.now() }
        return
      }
      if (down !== undefined) log('info', 'policy source can be read again')
      down = undefined
      if (outcome.kind === 'read') take(outcome.document, outcome.judged)
    },
    hasAnswer: (lookNumber) => newest === lookNumber,
    knownRevision: () => known,
    inForce: () => {
      if (loaded !== undefined) return loaded.compiled
      throw noPolicy((broken ?? down)?.reason ?? 'not read')
    },
    status: () => {
      const lastFault = down ?? broken
      return {
        ...omitUndefined({ inForce: loaded, lastFault }),
      }
    },
  }
}

function noPolicy(why: string): BrokerError {
  return new BrokerError('policy_unavailable', { reason: `no policy yet: ${why}` })
}

/** A file caught while it is written: what is there is the old text, and it ends in the middle of a line. */
function looksCutOff(text: string, before: string): boolean {
  return (
    text.length < before.length &&
    !text.endsWith('\n') &&
    before[text.length] !== '\n' &&
    before.startsWith(text)
  )
}

function reasonOf(error: unknown): string {
  if (isBrokerError(error)) return error.reason
  return error instanceof Error ? `${error.name}: ${error.message}` : 'unknown'
}

/** A policy that is what it is until the next start. */
export function createTextPolicySource(text: string, origin: string): PolicySource {
  const revision = 'fixed'
  return {
    read: (known) => Promise.resolve(known === revision ? undefined : { text, revision, origin }),
  }
}
