import { checkPolicy } from './check-policy.ts'
import { readPolicy, type PolicyContext } from './parse-policy.ts'
import type { PolicyWarning, Policy } from '../domain/policy.ts'
import type { Background } from '../ports/background.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { PolicyDocument } from '../ports/policy-source.ts'
import { listAllCredentials, type Credentials } from '../records/credentials.ts'
import { isBrokerError } from '../domain/broker-error.ts'
import type { CredentialSummary } from '../domain/credential.ts'

export type CheckDocument = (document: PolicyDocument) => Promise<readonly PolicyWarning[]>

/** What a document may say and probably should not, given the credentials that are enrolled. */
export function createCheckDocument(
  credentials: Pick<Credentials, 'list'>,
  context: PolicyContext,
): CheckDocument {
  return async (document) => {
    const read = readPolicy(document, context)
    return checkPolicy(read, await listAllCredentials(credentials))
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
    const warnings = await check(document)
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
  /** Each begins with the place, as editors jump to it: `policy.yaml:12:5`. */
  | { readonly ok: false; readonly faults: readonly string[] }

/** A document judged as the broker would, without one. */
export function judgePolicy(policy: PolicyToJudge): PolicyJudgement {
  const { text, origin, brokerIssuer = 'http://127.0.0.1', credentials } = policy
  try {
    const read = readPolicy({ text, revision: 'proposed', origin: `file ${origin}` }, { brokerIssuer })
    return { ok: true, policy: read.policy, warnings: checkPolicy(read, credentials) }
  } catch (error) {
    if (!isBrokerError(error) || error.code !== 'document_invalid') throw error
    return { ok: false, faults: error.reason.split('\n') }
  }
}
