import { BrokerError } from '../domain/broker-error.ts'
import { credentialName, type CredentialSummary } from '../domain/credential.ts'

/** What was found under a name; throws `not_found` for nothing. */
export function foundCredential(name: string, summary: CredentialSummary | undefined): CredentialSummary {
  if (summary === undefined) throw noSuchCredential(name)
  return summary
}

/** Shows no text that could not be a name. */
export function noSuchCredential(name: string): BrokerError {
  const shown = credentialName.test(name) ? name : 'of that name'
  return new BrokerError('not_found', { reason: `there is no credential ${shown}` })
}
