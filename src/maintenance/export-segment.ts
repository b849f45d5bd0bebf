import * as z from 'zod/mini'
import { requestMalformed } from '../domain/broker-error.ts'
import { parseJsonObject } from '../domain/json.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import { Secret } from '../domain/secret.ts'
import { epochSeconds } from '../domain/time.ts'
import type { Sha256 } from '../ports/entropy.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import type { CarriedDocument } from '../records/collections.ts'

/*
 * An export is JSON lines in one or more segments. A segment is a header, a document a line, and an end with the
 * number of documents, the SHA-256 of all that stands before it, and a MAC: that digest, sealed under the exporter's
 * key ring at a place that names the export. Where there is more, the end says after which key the next one goes on.
 */

export interface SegmentHeader {
  /** The same for all segments of an export. */
  readonly id: string
  /** The key that it goes on after; absent in the first one. */
  readonly after?: string | undefined
  readonly at: number
}

export interface Segment extends SegmentHeader {
  readonly documents: readonly CarriedDocument[]
  /** Keys of documents that could not be read. */
  readonly leftOut: readonly string[]
  /** After which key the next segment goes on; absent at the end of the export. */
  readonly next?: string | undefined
}

export interface CheckedSegment extends Segment {
  /** `none`: nobody vouches for it (T38). */
  readonly mac: 'verified' | 'none'
}

interface SegmentDeps {
  readonly sha256: Sha256
  readonly keyRing: Pick<KeyRing, 'seal' | 'open'>
}

/** The segment as text that ends in a newline. Throws `key_ring_unavailable`. */
export async function writeSegment({ sha256, keyRing }: SegmentDeps, segment: Segment): Promise<string> {
  const { id, after, at, documents, leftOut, next } = segment
  const lines = [
    { downscope: 'store export', schema: 1, export: id, at, ...omitUndefined({ after }) },
    ...documents.map(({ key, value, expiresAt }) => ({
      key,
      ...omitUndefined({ expires_at: expiresAt }),
      value,
    })),
  ].map((line) => JSON.stringify(line))
  const end = { documents: documents.length, left_out: leftOut, ...omitUndefined({ next }) }
  const digest = await sha256([...lines, JSON.stringify(end)].join('\n'))
  const mac = await keyRing.seal(new Secret(digest), placeOf(id))
  return `${[...lines, JSON.stringify({ ...end, sha256: digest, mac })].join('\n')}\n`
}

function placeOf(id: string): string {
  return `exports/${id}#mac`
}

const name = z.string().check(z.maxLength(402))
const headerLine = z.strictObject({
  downscope: z.literal('store export'),
  schema: z.number(),
  export: z.string().check(z.regex(/^[0-9a-f-]{36}$/)),
  at: z.int(),
  after: z.exactOptional(name),
})
const documentLine = z.strictObject({
  key: z.string().check(z.regex(/^[a-z]+\/[A-Za-z0-9_.@-]{1,200}$/)),
  expires_at: z.exactOptional(z.int()),
  value: z.record(z.string(), z.json()),
})
const endLine = z.strictObject({
  documents: z.int(),
  left_out: z.array(name),
  next: z.exactOptional(name),
  sha256: z.string(),
  mac: z.exactOptional(z.string()),
})

/**
 * Reads what `writeSegment` wrote. Throws `request_malformed`, which says what is wrong and quotes nothing, for one
 * that is cut off, edited or of another schema, and `key_ring_unavailable` for one of another key ring.
 */
export async function readSegment({ sha256, keyRing }: SegmentDeps, text: string): Promise<CheckedSegment> {
  const read = linesOf(text)
  const { lines, header, end } = read
  const { sha256: digest, mac, documents: count, left_out: leftOut, next } = end
  const digested = [
    ...lines.slice(0, -1),
    JSON.stringify({ documents: count, left_out: leftOut, ...omitUndefined({ next }) }),
  ]
  if (count !== lines.length - 2) throw requestMalformed('the export is cut off: documents are missing')
  if ((await sha256(digested.join('\n'))) !== digest)
    throw requestMalformed('the export was edited or damaged: its digest is another one')
  const { export: id } = header
  if (mac !== undefined && (await keyRing.open(mac, placeOf(id))).reveal() !== digest)
    throw requestMalformed('the export was edited: its MAC is not of these documents')
  return { ...segmentOf(read), mac: mac === undefined ? 'none' : 'verified' }
}

/** What a segment says of itself, unverified: to put segments into order and to count. Throws `request_malformed`. */
export function outlineOf(text: string): Segment {
  return segmentOf(linesOf(text))
}

function segmentOf({ lines, header, end }: ReturnType<typeof linesOf>): Segment {
  const { export: id, after, at } = header
  const { left_out: leftOut, next } = end
  return { id, after, at, documents: lines.slice(1, -1).map(parseDocumentLine), leftOut, next }
}

function linesOf(text: string) {
  const lines = text.trimEnd().split('\n')
  const header = headerLine.safeParse(parseJsonObject(lines[0] ?? ''))
  if (!header.success) throw requestMalformed('this is no export of a store')
  if (header.data.schema !== 1)
    throw requestMalformed('the export is of another schema: use the version of Downscope that wrote it')
  const end = endLine.safeParse(lines.length < 2 ? undefined : parseJsonObject(lines.at(-1) ?? ''))
  if (!end.success) throw requestMalformed('the export is cut off: its end is missing')
  return { lines, header: header.data, end: end.data }
}

function parseDocumentLine(line: string): CarriedDocument {
  const parsed = documentLine.safeParse(parseJsonObject(line))
  if (!parsed.success) throw requestMalformed('the export holds a line that is no document')
  const { key, value, expires_at: expiresAt } = parsed.data
  return {
    key,
    value,
    ...omitUndefined({ expiresAt: expiresAt === undefined ? undefined : epochSeconds(expiresAt) }),
  }
}

/**
 * Throws `request_malformed` unless `segment` is the first one of an export, or goes on where the one before it ended.
 */
export function requireNext(before: Segment | undefined, segment: SegmentHeader): void {
  const isOfBefore = before === undefined || (segment.id === before.id && before.next !== undefined)
  if (isOfBefore && segment.after === before?.next) return
  throw requestMalformed('the export is put together of parts that do not belong together')
}
