import type { DocumentSnapshot, Query, Timestamp } from '@google-cloud/firestore'
import type { Clock } from '../../../ports/clock.ts'
import type { Document, DocumentKey, ListOptions, Stored } from '../../../ports/document-store.ts'
import { parseDocument } from '../../documents.ts'
import {
  isExpired,
  isListed,
  parseFields,
  type DocumentFields,
  documentKey,
  documentPath,
  endOfIds,
  formatUpdateTime,
} from '../firestore-document.ts'
import { type LazySdkClient, type SdkClient, sdkError, sdkStatus } from './sdk-client.ts'
import { omitUndefined } from '../../../domain/omit-undefined.ts'

/** A document as it lies there, expired or not. */
export interface Found {
  readonly key: DocumentKey
  readonly fields: DocumentFields
  readonly value: Document
  readonly updateTime: Timestamp
}

export interface SdkReads {
  readonly find: (key: DocumentKey) => Promise<Found | undefined>
  readonly get: (key: DocumentKey) => Promise<Stored | undefined>
  readonly list: (options: ListOptions) => Promise<readonly Stored[]>
}

/** Pages after the first, which exist only where documents were filtered out. */
const pageMax = 300

/** Reads of one document or of a range of names; no other index is used, so all fields may be exempt from indexing. */
export function createSdkReads({ open, clock }: { open: LazySdkClient['open']; clock: Clock }): SdkReads {
  const find = async (key: DocumentKey): Promise<Found | undefined> => {
    const { collection, id } = documentPath(key)
    try {
      const { firestore, sdk } = await open()
      const snapshot = await twice(() => firestore.collection(collection).doc(id).get())
      if (!snapshot.exists) return undefined
      return foundIn(sdk, key, snapshot)
    } catch (error) {
      throw sdkError(error)
    }
  }

  const list = async (options: ListOptions): Promise<readonly Stored[]> => {
    const now = clock.now()
    const stored: Stored[] = []
    try {
      const client = await open()
      for await (const found of documentsInOrder(client, options)) {
        if (!isListed(found.fields, options, now)) continue
        stored.push(storedOf(found))
        if (stored.length === options.limit) break
      }
    } catch (error) {
      throw sdkError(error)
    }
    return stored
  }

  const get = async (key: DocumentKey): Promise<Stored | undefined> => {
    const found = await find(key)
    return found === undefined || isExpired(found.fields, clock.now()) ? undefined : storedOf(found)
  }

  return { find, get, list }
}

/** A read may be sent again: once, at once, and only for what a new connection can fix. */
async function twice<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (sdkStatus(error) !== 'UNAVAILABLE') throw error
    return await read()
  }
}

async function* documentsInOrder({ sdk, firestore }: SdkClient, options: ListOptions): AsyncGenerator<Found> {
  const { prefix, limit } = options
  const begin = beginOf(options)
  if (begin === undefined) return
  const { collection } = documentPath(prefix)
  const ordered = firestore.collection(collection).orderBy(sdk.FieldPath.documentId())
  const range = ordered.endBefore(endOfIds(prefix))
  let next = begin(range)
  for (let page = Math.min(limit, pageMax); ; page = pageMax) {
    const query = next.limit(page)
    const { docs } = await twice(() => query.get())
    for (const snapshot of docs) {
      const found = foundIn(sdk, documentKey(prefix, snapshot.id), snapshot)
      if (found !== undefined) yield found
    }
    const last = docs.at(-1)
    if (last === undefined || docs.length < page) return
    next = range.startAfter(last.id)
  }
}

/** Where the list begins, or `undefined` when `after` lies beyond the whole collection. */
function beginOf({ prefix, after = '' }: ListOptions): ((range: Query) => Query) | undefined {
  const { collection, id } = documentPath(prefix)
  // An empty id is no place to begin at: the collection's beginning.
  if (after <= prefix) return (range) => (id === '' ? range : range.startAt(id))
  const start = documentPath(after)
  return start.collection === collection ? (range) => range.startAfter(start.id) : undefined
}

function foundIn(sdk: SdkClient['sdk'], key: DocumentKey, snapshot: DocumentSnapshot): Found | undefined {
  const { updateTime } = snapshot
  const expiresAt: unknown = snapshot.get('expiresAt')
  const fields = parseFields({
    json: snapshot.get('json'),
    nonce: snapshot.get('nonce'),
    expiresAt: expiresAt instanceof sdk.Timestamp ? expiresAt.seconds : expiresAt,
  })
  return updateTime === undefined ? undefined : { key, fields, value: parseDocument(fields.json), updateTime }
}

function storedOf({ key, fields: { expiresAt }, value, updateTime }: Found): Stored {
  const version = formatUpdateTime({ seconds: updateTime.seconds, nanos: updateTime.nanoseconds })
  return { key, value, version, ...omitUndefined({ expiresAt }) }
}
