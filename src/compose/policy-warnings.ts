import { checkPolicy } from '../authorize/check-policy.ts'
import { readPolicy, type PolicyContext } from '../authorize/parse-policy.ts'
import type { PolicyWarning } from '../domain/policy-warning.ts'
import type { Background } from '../ports/background.ts'
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

export interface TellWarningsDeps {
  readonly check: CheckDocument
  readonly background: Background
  readonly log: Log
}

/** Logs the warnings of a policy that has come into force, after whatever waits for it. */
export function createTellWarnings({
  check,
  background,
  log,
}: TellWarningsDeps): (document: PolicyDocument) => void {
  return (document) => {
    background.run(async () => {
      const warnings = await check(document)
      const { origin, revision } = document
      for (const warning of warnings.slice(0, toldMax))
        log('warn', 'policy warning', { origin, revision, ...warning })
      if (warnings.length > toldMax)
        log('warn', 'more policy warnings', { origin, revision, hidden: warnings.length - toldMax })
    })
  }
}
