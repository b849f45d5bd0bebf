import * as z from 'zod/mini'
import type { EpochSeconds } from '../domain/time.ts'
import type { Document, DocumentKey, Stored } from '../ports/document-store.ts'
import { blocksCodec, blocksKey } from './blocks.ts'
import { credentialDocumentOf, parseCredentialRecord } from './credential-codec.ts'
import { destroyedCredential } from './destroyed-credentials.ts'
import { issuedFacts } from './tokens.ts'
import { policyPart, policyPointer, policyPointerKey, policyVersion } from './policies.ts'
import { storedRefusal } from './refusals.ts'
import { ruleDay } from './rule-uses.ts'
import { type Codec, documentOf, instant, readDocument, writeDocument } from './stored-fields.ts'
import { withoutFences, withoutLeases } from './unite-credential.ts'

/** A document as an export has it. */
export interface CarriedDocument {
  readonly key: DocumentKey
  readonly value: Document
  readonly expiresAt?: EpochSeconds
}

/**
 * Every collection of the store. `expires`: its documents have an end, after which the sweep and Firestore's TTL policies
 * delete them. `isCarried`: an export has them, in this order, so that what was switched off is written first; cached
 * tokens and connections are got anew, `maintenance` is counted anew, and no import writes the audit trail (T37, T38).
 */
export const collections = [
  { name: 'blocks', expires: false, isCarried: true },
  { name: 'destroyed', expires: false, isCarried: true },
  { name: 'sessions', expires: true, isCarried: true },
  { name: 'replays', expires: true, isCarried: true },
  { name: 'policies', expires: false, isCarried: true },
  { name: 'issued', expires: true, isCarried: true },
  { name: 'refusals', expires: true, isCarried: true },
  { name: 'usage', expires: true, isCarried: true },
  { name: 'credentials', expires: false, isCarried: true },
  { name: 'tokens', expires: true, isCarried: false },
  { name: 'connections', expires: true, isCarried: false },
  { name: 'audit', expires: true, isCarried: false },
  { name: 'events', expires: true, isCarried: false },
  { name: 'maintenance', expires: false, isCarried: false },
] as const

const carriedCollections = collections.filter((each) => each.isCarried).map(({ name }) => name)

/**
 * The documents of an export, in its order, by what their keys begin with: what points at a policy comes after all
 * versions, so that an import that is cut off leaves none in force that is not there whole.
 */
export const carriedPrefixes: readonly string[] = carriedCollections.flatMap((name) =>
  name === 'policies' ? ['policies/v-', policyPointerKey] : [`${name}/`],
)

/** The collection of a document that an export may have. */
export function collectionOf(key: DocumentKey): (typeof carriedCollections)[number] | undefined {
  return carriedCollections.find((name) => key.startsWith(`${name}/`))
}

const empty = documentOf<object>({})
const endedSession = documentOf<{ readonly endedAt: EpochSeconds }>({ endedAt: instant })

/**
 * The document through its codec, so that nothing is carried that no code reads; of a credential without its leases.
 * Throws `store_unavailable` naming what is wrong, also for a key of another collection.
 */
export function carriedValue(document: Pick<Stored, 'key' | 'value'>): Document {
  const { key } = document
  const through = <T>(codec: Codec<T>) => writeDocument(codec, readDocument(codec, document))
  switch (collectionOf(key)) {
    case 'credentials':
      return credentialDocumentOf(withoutLeases(parseCredentialRecord(document)))
    case 'blocks':
      return key === blocksKey ? through(blocksCodec) : through(unknownKey)
    case 'destroyed':
      return through(destroyedCredential)
    case 'sessions':
      return through(endedSession)
    case 'replays':
      return through(empty)
    case 'policies':
      if (key === policyPointerKey) return through(policyPointer)
      return Object.hasOwn(document.value, 'number') ? through(policyVersion) : through(policyPart)
    case 'issued':
      return through(issuedFacts)
    case 'refusals':
      return through(storedRefusal)
    case 'usage':
      return through(ruleDay)
    case undefined:
      return through(unknownKey)
  }
}

/** Reads nothing: a document of a key that no code knows is malformed. */
const unknownKey = documentOf<{ readonly never: never }>({ never: z.never() })

/**
 * The text that a digest is made of, equal for the same content in any store: without what counts at one store alone,
 * which are fences, leases, and for how long the service is stopped.
 */
export function comparableText({ key, value }: Pick<Stored, 'key' | 'value'>): string {
  const carried = carriedValue({ key, value })
  if (collectionOf(key) === 'credentials')
    return JSON.stringify([key, credentialDocumentOf(withoutFences(parseCredentialRecord({ key, value })))])
  const { stopped: _, tickets: __, ...rest } = carried
  return JSON.stringify([key, key === blocksKey ? rest : carried])
}
