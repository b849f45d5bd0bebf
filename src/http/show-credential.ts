import type { CredentialSummary } from '../domain/credential.ts'
import { credentialDocument } from './admin-documents.ts'
import type { CredentialDocument } from './document-schemas/credential.ts'
import type { Reply } from './route-answer.ts'

/** What a route answers that shows a credential: with the revision that a change may name in `If-Match`. */
export function showCredential(credential: CredentialSummary): Reply<CredentialDocument> {
  return { document: credentialDocument(credential), revision: String(credential.revision) }
}
