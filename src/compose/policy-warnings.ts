import { checkPolicy } from '../authorize/check-policy.ts'
import { readPolicy, type PolicyContext } from '../authorize/parse-policy.ts'
import type { PolicyWarning } from '../domain/policy-warning.ts'
import type { Background } from '../ports/background.ts'
import type { Clock } from '../ports/clock.ts'
import type { Log } from '../ports/log.ts'
import type { PolicyDocument } from '../ports/policy-source.ts'
import { listAllCredentials } from '../records/all-credentials.ts'
import type { Credentials } from '../records/credentials.ts'

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

export interface TellWarningsDeps {
  readonly check: CheckDocument
  readonly background: Background
  readonly clock: Pick<Clock, 'sleep'>
  readonly log: Log
}

/**
 * Logs the warnings of a policy that has come into force, a little later: it is read once more for them, and every
 * credential with it, and whoever waits for the policy must not wait for that.
 */
export function createTellWarnings({
  check,
  background,
  clock,
  log,
}: TellWarningsDeps): (document: PolicyDocument) => void {
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
