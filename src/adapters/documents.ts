import type { Document, DocumentKey, ListOptions, PutOptions, Version } from '../ports/document-store.ts'
import { parseJsonObject } from '../domain/json.ts'

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

/**
 * The document of `formatDocument`. What somebody else wrote there reads as an empty document, which every reader refuses
 * by its key: it hides no other (P25), and who may replace it can.
 */
export function parseDocument(json: unknown): Document {
  const members = typeof json === 'string' ? parseJsonObject(json) : undefined
  return (members ?? {}) as Document
}

// Without bounds in it: those are counted character by character, and every read and write comes by here.
const keyPattern = /^[\w.@-]+\/[\w.@-]+$/
const partCharsMax = 200
const prefixPattern = /^[\w.@-]{1,200}\/[\w.@-]{0,200}$/
/** RFC 3339 ends with the year 9999, and so do Firestore's timestamps. */
const instantMax = 253_402_300_799

/** Throws TypeError unless the key keeps the port's rule; all adapters refuse alike. */
export function checkKey(key: DocumentKey): void {
  const end = key.indexOf('/')
  const isShort = end <= partCharsMax && key.length - end - 1 <= partCharsMax
  if (!isShort || !keyPattern.test(key)) throw new TypeError(`not a document key: ${JSON.stringify(key)}`)
}

/** Throws TypeError unless the expiry is an instant that every backend can hold. */
export function checkExpiry({ expiresAt }: PutOptions): void {
  if (expiresAt === undefined) return
  if (!Number.isInteger(expiresAt) || expiresAt < 0 || expiresAt > instantMax)
    throw new TypeError(`expiresAt must be whole seconds from 0 to ${instantMax}, not ${expiresAt}`)
}

/** Throws TypeError unless prefix, `after` and limit keep the port's rule. */
export function checkListOptions({ prefix, after, limit }: ListOptions): void {
  if (!prefixPattern.test(prefix)) throw new TypeError(`not a key prefix: ${JSON.stringify(prefix)}`)
  // A prefix will do: "after the beginning of this collection" is a fair question.
  if (after !== undefined && !prefixPattern.test(after))
    throw new TypeError(`not a document key: ${JSON.stringify(after)}`)
  if (!Number.isSafeInteger(limit) || limit < 1)
    throw new TypeError(`limit must be a whole number from 1, not ${limit}`)
}

/** The least text after all keys that start with `prefix`: `~` follows every character of a key. */
export function endOfPrefix(prefix: string): string {
  return `${prefix}~`
}

// A brand has no run-time form: this is the only place where an adapter's text becomes a version.
export const documentVersion = (text: string): Version => text as Version
