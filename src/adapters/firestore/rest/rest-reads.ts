import { isMembers, type Members } from '../../../domain/json.ts'
import type { Clock } from '../../../ports/clock.ts'
import type { DocumentKey, ListOptions, Stored, Document, Version } from '../../../ports/document-store.ts'
import {
  isExpired,
  isListed,
  documentKey,
  documentPath,
  endOfIds,
  parseFields,
  type DocumentFields,
  formatUpdateTime,
  parseUpdateTime,
  type DocumentsRoot,
  documentName,
} from '../firestore-document.ts'
import { type SendFirestore, restError, restFault } from './send-firestore.ts'
import { parseDocument } from '../../documents.ts'
import { omitUndefined } from '../../../domain/omit-undefined.ts'

interface RestReadsDeps {
  readonly ask: SendFirestore
  readonly root: DocumentsRoot
  readonly clock: Clock
}

export interface RestReads {
  readonly find: (key: DocumentKey, endMs: number) => Promise<Found | undefined>
  readonly get: (key: DocumentKey, endMs: number) => Promise<Stored | undefined>
  readonly list: (options: ListOptions, endMs: number) => Promise<readonly Stored[]>
}

/** Pages after the first, which exist only where documents were filtered out. */
const pageMax = 300
const pageBytesMax = 2 * 1024 * 1024
/** One document of 900,000 bytes, of which Google may write each `<` as six. */
const documentBytesMax = 6 * 1024 * 1024

/** Reads of one document or of a range of names; no other index is used, so all fields may be exempt from indexing. */
export function createRestReads(deps: RestReadsDeps): RestReads {
  const { ask, root, clock } = deps
  const find = async (key: DocumentKey, endMs: number): Promise<Found | undefined> => {
    const name = documentName(root, key)
    // Not a GET of the document: its 404 could as well be that of a missing database, or a proxy's.
    const reply = await ask({
      method: 'batchGet',
      body: { documents: [name] },
      endMs,
      maxBytes: documentBytesMax,
    })
    if (!reply.ok) throw restError(reply)
    for (const { found, missing } of elementsOf(reply.body)) {
      if (missing === name) return undefined
      if (!isMembers(found) || found['name'] !== name) continue
      const document = parseRestDocument(key, found)
      if (document !== undefined) return document
    }
    throw restError(restFault(undefined, 'it does not speak of the document asked for'))
  }

  const get = async (key: DocumentKey, endMs: number): Promise<Stored | undefined> => {
    const found = await find(key, endMs)
    return found === undefined || isExpired(found.fields, clock.now()) ? undefined : storedOf(found)
  }

  const list = async (options: ListOptions, endMs: number): Promise<readonly Stored[]> => {
    const now = clock.now()
    const stored: Stored[] = []
    for await (const found of documentsInOrder(deps, options, endMs)) {
      if (!isListed(found.fields, options, now)) continue
      stored.push(storedOf(found))
      if (stored.length === options.limit) break
    }
    return stored
  }

  return { find, get, list }
}

async function* documentsInOrder(
  { ask, root }: RestReadsDeps,
  options: ListOptions,
  endMs: number,
): AsyncGenerator<Found> {
  const { prefix } = options
  const range = createRange(root, prefix)
  let begin = beginOf(options)
  let nextPage = pageMax
  let page = Math.min(options.limit, nextPage)
  while (begin !== undefined) {
    const maxBytes = page === 1 ? documentBytesMax : pageBytesMax
    const reply = await ask({ method: 'runQuery', body: range(begin, page), endMs, maxBytes })
    if (!reply.ok && reply.isTooLarge && page > 1) {
      // What comes next is likely to be alike: pages stay small.
      page = nextPage = Math.ceil(page / 8)
      continue
    }
    if (!reply.ok) throw restError(reply)
    const documents = elementsOf(reply.body)
      .map(({ document }) => document)
      .filter(isMembers)
    for (const document of documents) {
      const key = documentKey(prefix, documentId(String(document['name'])))
      const found = parseRestDocument(key, document)
      if (found !== undefined) yield found
    }
    const last = documents.at(-1)
    if (last === undefined || documents.length < page) return
    begin = { id: documentId(String(last['name'])), isIncluded: false }
    page = nextPage
  }
}

interface Begin {
  /** Empty: the collection's beginning. */
  readonly id: string
  readonly isIncluded: boolean
}

/** Where the list begins, or `undefined` when `after` lies beyond the whole collection. */
function beginOf({ prefix, after = '' }: ListOptions): Begin | undefined {
  const { collection, id } = documentPath(prefix)
  if (after <= prefix) return { id, isIncluded: true }
  const start = documentPath(after)
  return start.collection === collection ? { id: start.id, isIncluded: false } : undefined
}

/** Queries over the names that start with `prefix`, in their order. */
function createRange(root: DocumentsRoot, prefix: string): (begin: Begin, limit: number) => Members {
  const { collection } = documentPath(prefix)
  const cursor = (id: string, before: boolean): Members => ({
    values: [{ referenceValue: `${root}/${collection}/${id}` }],
    before,
  })
  return ({ id, isIncluded }, limit) => ({
    structuredQuery: {
      from: [{ collectionId: collection }],
      orderBy: [{ field: { fieldPath: '__name__' }, direction: 'ASCENDING' }],
      ...(id !== '' && { startAt: cursor(id, isIncluded) }),
      endAt: cursor(endOfIds(prefix), true),
      limit,
    },
  })
}

/** The elements of a streaming method's answer. Throws `store_unavailable` when it is none. */
function elementsOf(body: unknown): readonly Members[] {
  const elements: readonly unknown[] = Array.isArray(body) ? body : []
  if (elements.length === 0 || !elements.every(isMembers))
    throw restError(restFault(undefined, 'it is no list of results'))
  return elements.filter(isMembers)
}

/** A document as it lies there, expired or not. */
interface Found {
  readonly key: DocumentKey
  readonly fields: DocumentFields
  readonly value: Document
  readonly version: Version
}

/** The last segment of a document's name. */
function documentId(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1)
}

/** Our fields as REST's typed values. Written without a mask they are the whole document: nothing stays from before. */
export function restFields({ json, nonce, expiresAt }: DocumentFields): Members {
  return {
    json: { stringValue: json },
    nonce: { stringValue: nonce },
    ...(expiresAt !== undefined && { expiresAt: { timestampValue: formatTimestamp(expiresAt) } }),
  }
}

/** What is not in our form is an empty document; `undefined` when it is none. */
function parseRestDocument(key: DocumentKey, document: Members): Found | undefined {
  const version = parseVersion(document['updateTime'])
  if (version === undefined) return undefined
  // A document without any field has no member `fields`.
  const members = isMembers(document['fields']) ? document['fields'] : {}
  const fields = parseFields({
    json: contentOf(members['json'], 'stringValue'),
    nonce: contentOf(members['nonce'], 'stringValue'),
    expiresAt: expiryOf(members['expiresAt']),
  })
  return { key, fields, value: parseDocument(fields.json), version }
}

/** Six digits, whoever wrote it: the two drivers take each other's versions. */
export function parseVersion(updateTime: unknown): Version | undefined {
  const time = typeof updateTime === 'string' ? parseUpdateTime(updateTime) : undefined
  return time && formatUpdateTime(time)
}

function storedOf({ key, fields: { expiresAt }, value, version }: Found): Stored {
  return { key, value, version, ...omitUndefined({ expiresAt }) }
}

function contentOf(value: unknown, type: 'stringValue' | 'timestampValue'): unknown {
  return isMembers(value) ? value[type] : undefined
}

/** Seconds; `undefined` when there is none, `null` when it is anything but a timestamp. */
function expiryOf(value: unknown): number | null | undefined {
  if (value === undefined) return undefined
  const text = contentOf(value, 'timestampValue')
  const time = typeof text === 'string' ? parseUpdateTime(text) : undefined
  return time?.seconds ?? null
}

function formatTimestamp(instant: number): string {
  return `${new Date(instant * 1000).toISOString().slice(0, 'YYYY-MM-DDTHH:MM:SS'.length)}Z`
}
