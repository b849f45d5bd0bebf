import type { DocumentKey } from '../../ports/document-store.ts'

export interface DocumentPath {
  readonly collection: string
  readonly id: string
}

/** Firestore refuses these: https://firebase.google.com/docs/firestore/quotas#collections_documents_and_fields */
const reserved = /^(?:\.\.?|__.*__)$/
/** Comes before every character of a key, so that a marked name keeps its place in the order. */
const mark = '!'

/** Where a key or a key prefix lies: itself, but for names that Firestore keeps to itself. */
export function documentPath(key: DocumentKey): DocumentPath {
  const slash = key.indexOf('/')
  return { collection: firestoreName(key.slice(0, slash)), id: firestoreName(key.slice(slash + 1)) }
}

/** The least id after all whose keys start with `prefix`: `~` follows every character of a key. */
export function endOfIds(prefix: DocumentKey): string {
  return `${prefix.slice(prefix.indexOf('/') + 1)}~`
}

/** The key whose document has this id, in the collection of `neighbour`. */
export function documentKey(neighbour: DocumentKey, id: string): DocumentKey {
  return neighbour.slice(0, neighbour.indexOf('/') + 1) + (id.endsWith(mark) ? id.slice(0, -mark.length) : id)
}

function firestoreName(segment: string): string {
  return reserved.test(segment) ? segment + mark : segment
}
