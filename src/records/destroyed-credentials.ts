import * as z from 'zod/mini'
import { isMembers } from '../domain/json.ts'
import type { DocumentKey, DocumentStore, Stored } from '../ports/document-store.ts'
import { credentialKey } from './credential-record.ts'
import { readModifyWrite, type ReadModifyWriteDeps } from './read-modify-write.ts'
import { documentOf, readDocument, texts, writeDocument } from './stored-fields.ts'

/** What is left of a credential that was destroyed: the ids of its versions, which no import brings back (T37). */
export interface DestroyedCredential {
  readonly versions: readonly string[]
}

export const destroyedCredential = documentOf<DestroyedCredential>({
  versions: texts.check(z.maxLength(10_000)),
})

/** Of a name that was enrolled and destroyed again and again, the last ones. */
const versionsMax = 1_000

function destroyedKey(name: string): DocumentKey {
  return `destroyed/${name}`
}

/** Before the document goes: its versions are remembered, also where the rest of it cannot be read. */
async function rememberDestroyed(
  deps: ReadModifyWriteDeps,
  name: string,
  document: Pick<Stored, 'value'> | undefined,
): Promise<void> {
  const versions = document?.value['versions']
  const ids = (Array.isArray(versions) ? versions : []).flatMap((version) =>
    isMembers(version) && typeof version['id'] === 'string' ? [version['id']] : [],
  )
  if (ids.length === 0) return
  await readModifyWrite(deps, destroyedKey(name), (stored) => ({
    value: writeDocument(destroyedCredential, uniteDestroyed(parseDestroyed(stored), { versions: ids })),
    result: undefined,
  }))
}

export function parseDestroyed(stored: Pick<Stored, 'key' | 'value'> | undefined): DestroyedCredential {
  return stored === undefined ? { versions: [] } : readDocument(destroyedCredential, stored)
}

export function uniteDestroyed(one: DestroyedCredential, other: DestroyedCredential): DestroyedCredential {
  return { versions: [...new Set([...one.versions, ...other.versions])].slice(-versionsMax) }
}

/** The versions of that name that were destroyed with their credential. */
export async function destroyedVersions(
  store: Pick<DocumentStore, 'get'>,
  name: string,
): Promise<ReadonlySet<string>> {
  return new Set(parseDestroyed(await store.get(destroyedKey(name))).versions)
}

/** Deletes the credential's document, and remembers its versions first. Whether there was one. */
export async function destroyDocument(
  deps: ReadModifyWriteDeps,
  name: string,
  condition: Parameters<DocumentStore['delete']>[1] = {},
): Promise<boolean> {
  const key = credentialKey(name)
  const stored = await deps.store.get(key)
  if (stored === undefined) return deps.store.delete(key, condition)
  await rememberDestroyed(deps, name, stored)
  return deps.store.delete(key, condition)
}
