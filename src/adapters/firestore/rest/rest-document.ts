import { isMembers, type Members } from '../../../domain/json.ts'
import type { Document, DocumentKey, Stored, Version } from '../../../ports/document-store.ts'
import { parseDocument } from '../../documents.ts'
import {
  parseFields,
  type DocumentFields,
  documentPath,
  formatUpdateTime,
  parseUpdateTime,
} from '../firestore-document.ts'
import { omitUndefined } from '../../../domain/omit-undefined.ts'

/** A document as it lies there, expired or not. */
export interface Found {
  readonly key: DocumentKey
  readonly fields: DocumentFields
  readonly value: Document
  readonly version: Version
}

/** Where the documents of a database lie: the beginning of each one's name. */
export type DocumentsRoot = `projects/${string}/databases/${string}/documents`

/** The name of a key's document. Keys hold neither slashes nor anything else that means something in a name. */
export function documentName(root: DocumentsRoot, key: DocumentKey): string {
  const { collection, id } = documentPath(key)
  return `${root}/${collection}/${id}`
}

/** The last segment of a document's name. */
export function documentId(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1)
}

/** Our fields as REST's typed values. Written without a mask they are the whole document: nothing stays from before. */
export function restFields({ json, nonce, expiresAt }: DocumentFields): Members {
  return {
    json: { stringValue: json },
    nonce: { stringValue: nonce },
    ...(expiresAt === undefined ? {} : { expiresAt: { timestampValue: formatTimestamp(expiresAt) } }),
  }
}

/** What is not in our form is an empty document; `undefined` when it is none. */
export function parseRestDocument(key: DocumentKey, document: Members): Found | undefined {
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

export function storedOf({ key, fields: { expiresAt }, value, version }: Found): Stored {
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
