import { base64url } from 'jose'
import * as z from 'zod/mini'
import { credentialKinds, credentialStates } from '../domain/credential.ts'
import { rotationSteps } from '../domain/rotation.ts'
import type { BrokerSummary, CredentialRow, HourCount } from '../domain/summary.ts'
import type { DocumentStore } from '../ports/document-store.ts'
import { documentOf, instant, membersOf, writeDocument } from './stored-fields.ts'

/** The summary in one document; absent until maintenance has run. Each may throw `store_unavailable`. */
export interface SummaryRecord {
  read(): Promise<BrokerSummary | undefined>
  keep(summary: BrokerSummary): Promise<void>
}

const key = 'maintenance/summary'
/** A document has at most 900,000 bytes: ten thousand credentials take a third of that. */
const charsMax = 800_000

/** Compressed, because thousands of rows are alike. One that cannot be read counts as none. */
export function createSummaryRecord({ store }: { readonly store: DocumentStore }): SummaryRecord {
  return {
    read: async () => {
      const parsed = summaryDocument.safeParse((await store.get(key))?.value)
      if (!parsed.success) return undefined
      try {
        const rows = z.array(rowText).safeParse(JSON.parse(await unpack(parsed.data.credentials)))
        return rows.success ? { ...parsed.data, credentials: rows.data } : undefined
      } catch {
        return undefined
      }
    },
    keep: async (summary) => {
      let rows = summary.credentials
      let packed = await pack(JSON.stringify(rows))
      while (packed.length > charsMax) {
        rows = rows.slice(0, Math.floor(rows.length / 2))
        packed = await pack(JSON.stringify(rows))
      }
      const isCut = summary.isCut || rows.length < summary.credentials.length
      await store.put(key, writeDocument(summaryDocument, { ...summary, credentials: packed, isCut }))
    },
  }
}

async function pack(text: string): Promise<string> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream('gzip'))
  return base64url.encode(new Uint8Array(await new Response(stream).arrayBuffer()))
}

async function unpack(packed: string): Promise<string> {
  const stream = new Blob([base64url.decode(packed)]).stream()
  return new Response(stream.pipeThrough(new DecompressionStream('gzip'))).text()
}

const summaryDocument = documentOf<Omit<BrokerSummary, 'credentials'> & { readonly credentials: string }>({
  at: instant,
  credentials: z.string(),
  isCut: z.boolean(),
  hours: z.array(
    membersOf<HourCount>({
      hour: instant,
      issued: z.int(),
      refused: z.int(),
      failed: z.int(),
      refusedOf: z.record(z.string(), z.int()),
    }),
  ),
  countedTo: z.exactOptional(z.string()),
  usesReadAt: z.exactOptional(instant),
})

const rowText: z.ZodMiniType<CredentialRow> = z.object({
  name: z.string(),
  kind: z.enum(credentialKinds),
  upstream: z.string(),
  account: z.string(),
  state: z.enum(credentialStates),
  health: z.enum(['unknown', 'healthy', 'broken']),
  scopes: z.array(z.string()),
  lastUsed: z.exactOptional(instant),
  rotatedAt: instant,
  endsAt: z.exactOptional(instant),
  rotation: z.exactOptional(z.enum(rotationSteps)),
  rotationSince: z.exactOptional(instant),
  stuck: z.exactOptional(z.string()),
})
