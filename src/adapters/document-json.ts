import { BrokerError } from '../domain/broker-error.ts'
import type { Document, DocumentKey } from '../ports/document-store.ts'

/** KB = 1,000: Firestore's limit is 1 MiB for the whole document, with its name and our other fields. */
const bytesMax = 900_000

/** The document as JSON: what every adapter stores, so that all of them keep and refuse the same values. */
export function formatDocument(value: Document): string {
  const json = JSON.stringify(value)
  // One UTF-16 code unit is at most three octets: small documents need no count.
  if (json.length * 3 > bytesMax && new TextEncoder().encode(json).length > bytesMax)
    throw new TypeError(`a document may have ${bytesMax} bytes as JSON, this has more`)
  return json
}

/** The document of `formatDocument`; throws `store_unavailable` when somebody else wrote there. */
export function parseDocument(key: DocumentKey, json: string): Document {
  const value = tryParseDocument(json)
  if (value === undefined) throw unreadableDocument(key)
  return value
}

/** The document of `formatDocument`, or `undefined` for any other text. */
export function tryParseDocument(json: string): Document | undefined {
  try {
    const value: unknown = JSON.parse(json)
    return isDocument(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** For what lies in the store under a key of ours and was not written by this code. */
export function unreadableDocument(key: DocumentKey): BrokerError {
  return new BrokerError('store_unavailable', { reason: `document ${key} is not in the store's own form` })
}

/** It came out of a JSON parser: that it is an object says everything. */
function isDocument(value: unknown): value is Document {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
