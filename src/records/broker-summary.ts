import { base64url } from 'jose'
import * as z from 'zod/mini'
import { credentialKinds, credentialStates } from '../domain/credential.ts'
import { rotationSteps } from '../domain/rotation.ts'
import type { BrokerSummary, CredentialRow } from '../domain/summary.ts'
import type { DocumentStore } from '../ports/document-store.ts'
import { instant } from './stored-fields.ts'

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
      const { data } = parsed
      try {
        const rows = z.array(rowText).safeParse(JSON.parse(await unpack(data.credentials)))
        if (!rows.success) return undefined
        return {
          at: data.at,
          credentials: rows.data,
          isCut: data.is_cut,
          hours: data.hours.map(({ refused_of: refusedOf, ...counts }) => ({ ...counts, refusedOf })),
          ...(data.counted_to === undefined ? {} : { countedTo: data.counted_to }),
          ...(data.uses_read_at === undefined ? {} : { usesReadAt: data.uses_read_at }),
        }
      } catch {
        return undefined
      }
    },
    keep: async ({ at, credentials, isCut, hours, countedTo, usesReadAt }) => {
      let rows = credentials
      let packed = await pack(JSON.stringify(rows))
      while (packed.length > charsMax) {
        rows = rows.slice(0, Math.floor(rows.length / 2))
        packed = await pack(JSON.stringify(rows))
      }
      await store.put(key, {
        schema: 1,
        at,
        credentials: packed,
        is_cut: isCut || rows.length < credentials.length,
        hours: hours.map(({ refusedOf, ...counts }) => ({ ...counts, refused_of: refusedOf })),
        ...(countedTo === undefined ? {} : { counted_to: countedTo }),
        ...(usesReadAt === undefined ? {} : { uses_read_at: usesReadAt }),
      })
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

const summaryDocument = z.object({
  schema: z.literal(1),
  at: instant,
  credentials: z.string(),
  is_cut: z.boolean(),
  hours: z.array(
    z.object({
      hour: instant,
      issued: z.int(),
      refused: z.int(),
      failed: z.int(),
      refused_of: z.record(z.string(), z.int()),
    }),
  ),
  counted_to: z.exactOptional(z.string()),
  uses_read_at: z.exactOptional(instant),
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
