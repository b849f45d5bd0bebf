import type * as z from 'zod/mini'

import type { CredentialSummary } from '../domain/credential.ts'
import { credentialDocument, type credentialSchema } from './admin-documents.ts'
import type { Reply } from './route-answer.ts'

/** What a route answers that shows a credential: with the revision that a change may name in `If-Match`. */
export function showCredential(credential: CredentialSummary): Reply<z.input<typeof credentialSchema>> {
  return { document: credentialDocument(credential), revision: String(credential.revision) }
}
