import * as z from 'zod/mini'
import type { adminRoutes } from '../../../src/http/admin-routes.ts'
import {
  auditPageSchema,
  eventPageSchema,
  testedWebhookSchema,
  importSchema,
  blockedCallerSchema,
  blockedCallersSchema,
  connectionSchema,
  explanationSchema,
  maintenanceSchema,
  rewrapSchema,
  serviceSchema,
  startedConnectionSchema,
  stopSchema,
  suggestionSchema,
  summarySchema,
  whoamiSchema,
} from '../../../src/http/document-schemas.ts'
import {
  credentialPageSchema,
  credentialSchema,
  revokedCredentialSchema,
  versionSchema,
  appliedPolicySchema,
  policySchema,
  policyVersionSchema,
  policyVersionsSchema,
  validPolicySchema,
} from '../../../src/http/credential-schemas.ts'
import type { AnswerOf } from '../../../src/http/route-schemas.ts'

type Routes = typeof adminRoutes

const schemas = {
  listCredentials: credentialPageSchema,
  enrolCredential: credentialSchema,
  readCredential: credentialSchema,
  deleteCredential: undefined,
  disableCredential: credentialSchema,
  enableCredential: credentialSchema,
  revokeCredential: revokedCredentialSchema,
  destroyCredential: undefined,
  startConnection: startedConnectionSchema,
  readConnection: connectionSchema,
  finalizeConnection: credentialSchema,
  readPolicy: policySchema,
  applyPolicy: appliedPolicySchema,
  validatePolicy: validPolicySchema,
  explainPolicy: explanationSchema,
  suggestPolicy: suggestionSchema,
  rewrapKeys: rewrapSchema,
  exportStore: z.string(),
  importStore: importSchema,
  listVersions: z.object({ versions: z.array(versionSchema) }),
  bringVersion: credentialSchema,
  disableVersion: credentialSchema,
  destroyVersion: credentialSchema,
  rotateCredential: credentialSchema,
  abortRotation: credentialSchema,
  changeCredential: credentialSchema,
  runMaintenance: maintenanceSchema,
  whoami: whoamiSchema,
  readService: serviceSchema,
  stopService: stopSchema,
  resumeService: stopSchema,
  listBlockedCallers: blockedCallersSchema,
  revokeCaller: blockedCallerSchema,
  restoreCaller: undefined,
  readAudit: auditPageSchema,
  listEvents: eventPageSchema,
  testWebhook: testedWebhookSchema,
  readSummary: summarySchema,
  listPolicyVersions: policyVersionsSchema,
  readPolicyVersion: policyVersionSchema,
} satisfies Readonly<Record<keyof Routes, z.ZodMiniType | undefined>>

type DocumentOf<Route> = Route extends { readonly answer: AnswerOf<infer Document> } ? Document : never
type Described<Schema> = Schema extends z.ZodMiniType ? z.input<Schema> : undefined
/** `never` unless they are the same to the last optional member, which assigning one to the other would not tell. */
type Exactly<Schema, Document> =
  (<T>(one: T) => T extends Described<Schema> ? 1 : 2) extends <T>(one: T) => T extends Document ? 1 : 2
    ? Schema
    : never

/**
 * The schema of what each route of the admin API shows; `undefined` where that is nothing. The compiler holds each to its
 * route's document. Beside the code, where nothing is checked against them, they would be part of every Worker.
 */
export const adminDocuments: {
  readonly [Id in keyof Routes]: Exactly<(typeof schemas)[Id], DocumentOf<Routes[Id]>>
} = schemas
