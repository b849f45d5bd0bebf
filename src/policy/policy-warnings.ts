import type { IssuersWithoutJti } from './check-rules.ts'
import { checkPolicySteps, checkPolicy } from './check-policy.ts'
import { readPolicySteps, type PolicyContext, judgeDocument } from './parse-policy.ts'
import type { Policy, PolicyWarning } from '../domain/policy.ts'
import { runInTurns, runAtOnce } from '../domain/promises.ts'
import type { Background } from '../ports/background.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { PolicyDocument } from '../ports/policy-source.ts'
import { listAllCredentials, type Credentials } from '../records/credentials.ts'
import { describeFault, describePath, inOrder, type Fault, type FaultCode } from './policy-faults.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** A document that may come into force, and what to warn of. */
export interface CheckedDocument {
  readonly policy: Policy
  readonly warnings: readonly PolicyWarning[]
}

export type CheckDocument = (document: PolicyDocument) => Promise<CheckedDocument>

/** What a document means, and what it says and probably should not, given the credentials that are enrolled. */
export function createCheckDocument(
  credentials: Pick<Credentials, 'list'>,
  context: PolicyContext & { readonly clock: Pick<Clock, 'sleep'>; readonly withoutJti?: IssuersWithoutJti },
): CheckDocument {
  const pause = () => context.clock.sleep(0)
  return async (document) => {
    const read = await runInTurns(readPolicySteps(document, context), pause)
    const steps = checkPolicySteps(read, await listAllCredentials(credentials), context.withoutJti)
    return { policy: read.policy, warnings: await runInTurns(steps, pause) }
  }
}

const toldMax = 50
/** A cold start has its first token by then. */
const tellAfterMs = 1_000

export interface LogWarningsDeps {
  readonly check: CheckDocument
  readonly background: Background
  readonly clock: Pick<Clock, 'sleep'>
  readonly log: Log
}

/**
 * Logs the warnings of a policy that has come into force, a little later: it is read once more for them, and every
 * credential with it, and whoever waits for the policy must not wait for that.
 */
export function createLogWarnings({
  check,
  background,
  clock,
  log,
}: LogWarningsDeps): (document: PolicyDocument) => void {
  const tell = async (document: PolicyDocument): Promise<void> => {
    const { warnings } = await check(document)
    const { origin, revision } = document
    for (const warning of warnings.slice(0, toldMax))
      log('warn', 'policy warning', { origin, revision, ...warning })
    if (warnings.length > toldMax)
      log('warn', 'more policy warnings', { origin, revision, hidden: warnings.length - toldMax })
  }

  return (document) => {
    // The end of the process does not wait for the pause.
    void clock.sleep(tellAfterMs).then(() => background.run(() => tell(document)))
  }
}

export interface PolicyToJudge {
  readonly text: string
  /** What the places of faults begin with. */
  readonly origin: string
  /** Tells which audience is the default; where that does not matter, any URL will do. */
  readonly brokerIssuer?: string | undefined
  /** All that are enrolled, as far as that is known. */
  readonly credentials?: readonly CredentialSummary[]
}

export type PolicyJudgement =
  | { readonly ok: true; readonly policy: Policy; readonly warnings: readonly PolicyWarning[] }
  | {
      readonly ok: false
      readonly faults: readonly JudgedFault[]
      /** Each as a line that begins with the place, as editors jump to it: `policy.yaml:12:5`. */
      readonly lines: readonly string[]
    }

/** One fault, for programs and for people. */
export interface JudgedFault {
  readonly file: string
  /** From 1, as editors count; likewise `column`. */
  readonly line: number
  readonly column: number
  /** Such as `rules[0].scopes[1]`; empty where it is the document. */
  readonly path: string
  readonly code: FaultCode
  readonly text: string
  readonly hint?: string
}

/** A document judged as the broker would, without one. */
export function judgePolicy(policy: PolicyToJudge): PolicyJudgement {
  const { text, origin, brokerIssuer = 'http://127.0.0.1', credentials } = policy
  const judged = runAtOnce(judgeDocument(text, { brokerIssuer }))
  if (judged.ok) {
    const { read } = judged
    return { ok: true, policy: read.policy, warnings: checkPolicy(read, credentials) }
  }
  // A value that is repeated by an alias has its fault once.
  const distinct = new Map(inOrder(judged.faults).map((fault) => [describeFault(origin, fault), fault]))
  return {
    ok: false,
    faults: Array.from(distinct.values(), (fault) => judgedFault(origin, fault)),
    lines: [...distinct.keys()],
  }
}

function judgedFault(file: string, fault: Fault): JudgedFault {
  const { position, path, code, text, hint } = fault
  return {
    file,
    line: position.line,
    column: position.col,
    path: describePath(path),
    code,
    text,
    ...omitUndefined({ hint }),
  }
}
