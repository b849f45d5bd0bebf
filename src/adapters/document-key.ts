import type { DocumentKey, ListOptions, PutOptions } from '../ports/document-store.ts'

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
