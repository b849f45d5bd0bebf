import * as z from 'zod/mini'
import type { DocumentStore } from '../ports/document-store.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import { documentOf, writeDocument } from './stored-fields.ts'

/** How far the last maintenance run came, when it did not come to the end. */
export interface MaintenanceProgress {
  /** The last credential that was looked at; `undefined`: begin anew. */
  read(): Promise<string | undefined>
  keep(after: string | undefined): Promise<void>
}

const key = 'maintenance/progress'
const progress = documentOf<{ readonly after?: string }>({ after: z.exactOptional(z.string()) })

/** A document that cannot be read counts as none: then a run begins anew. Throws `store_unavailable`. */
export function createMaintenanceProgress({ store }: { readonly store: DocumentStore }): MaintenanceProgress {
  const read = async (): Promise<string | undefined> => {
    const parsed = progress.safeParse((await store.get(key))?.value)
    return parsed.success ? parsed.data.after : undefined
  }

  return {
    read,
    keep: async (after) => {
      // Most runs come to the end, and then there is nothing to write.
      if (after === (await read())) return
      await store.put(key, writeDocument(progress, omitUndefined({ after })))
    },
  }
}
