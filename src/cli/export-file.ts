import { createReadStream, existsSync, linkSync, truncateSync, unlinkSync } from 'node:fs'
import { appendFile, open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { nodeSha256 } from '../adapters/system/node-crypto.ts'
import { isBrokerError, requestMalformed } from '../domain/broker-error.ts'
import { outlineOf, requireNext, type Segment } from '../maintenance/export-segment.ts'
import { createFault } from './fault.ts'
import { causeOf, refuseExisting } from './files.ts'
import type { StoreAtPlace } from './store-place.ts'

export interface ExportedSegment {
  readonly text: string
  readonly outline: Segment
}

/** An export of which a part was written this long ago is begun anew: it would be of two times too far apart. */
const partKeptMs = 3_600_000

/**
 * Writes an export into a new file that its owner alone may read. Each segment is on the disk before the next one is
 * asked for; one that was interrupted lies beside it and is gone on with. Resolves with what was there already, too.
 */
export async function writeExport(
  file: string,
  { name, exportSegment }: Pick<StoreAtPlace, 'name' | 'exportSegment'>,
  { isRewrapped, onSegment }: { isRewrapped: boolean; onSegment: (segment: ExportedSegment) => void },
): Promise<void> {
  refuseExisting(file)
  // Of this store and this way of sealing alone.
  const part = `${file}.${nodeSha256(JSON.stringify([name, isRewrapped])).slice(0, 8)}.part`
  let last = await partBefore(part, onSegment)
  try {
    if (last === undefined) await (await open(part, 'wx', 0o600)).close()
    while (last === undefined || last.next !== undefined) {
      const text = await exportSegment({
        isRewrapped,
        ...(last?.next !== undefined && { id: last.id, after: last.next }),
      })
      const outline = outlineOf(text)
      requireNext(last, outline)
      await appendFile(part, text, { flush: true })
      onSegment({ text, outline })
      last = outline
    }
    // Unlike a renaming, this never takes the place of a file that came in between.
    linkSync(part, file)
    unlinkSync(part)
  } catch (error) {
    if (error instanceof Error && 'code' in error && 'syscall' in error)
      throw createFault('usage', `${file} cannot be written: ${causeOf(error)}`)
    throw error
  }
}

/** The last whole segment of an export that was interrupted; what is behind it is cut off, and an old one deleted. */
async function partBefore(
  part: string,
  onSegment: (segment: ExportedSegment) => void,
): Promise<Segment | undefined> {
  if (!existsSync(part)) return undefined
  const whole: ExportedSegment[] = []
  let bytes = 0
  try {
    for await (const text of segmentsOf(part)) {
      const outline = outlineOf(text)
      requireNext(whole.at(-1)?.outline, outline)
      whole.push({ text, outline })
      bytes += Buffer.byteLength(text)
    }
  } catch (error) {
    if (!isBrokerError(error)) throw error
  }
  const first = whole[0]
  if (first === undefined || Date.now() - first.outline.at * 1000 > partKeptMs) {
    unlinkSync(part)
    return undefined
  }
  truncateSync(part, bytes)
  for (const segment of whole) onSegment(segment)
  return whole.at(-1)?.outline
}

/** Every segment of an export, in its order. Throws `request_malformed` for a file that is cut off or put together. */
export async function* readExport(file: string): AsyncGenerator<ExportedSegment, void> {
  let before: Segment | undefined
  for await (const text of segmentsOf(file)) {
    const outline = outlineOf(text)
    requireNext(before, outline)
    before = outline
    yield { text, outline }
  }
  if (before === undefined) outlineOf('')
  else if (before.next !== undefined)
    throw requestMalformed('the export is cut off: its last part is missing')
}

/** A whole line is a document of 900,000 octets at most, and a segment ends soon after its first million. */
const segmentCharsMax = 4_000_000

async function* segmentsOf(file: string): AsyncGenerator<string, void> {
  const stream = createReadStream(file, 'utf8')
  let lines: string[] = []
  let chars = 0
  try {
    for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
      lines.push(line)
      chars += line.length
      if (chars > segmentCharsMax) throw createFault('refused', `${file} is no export of a store`)
      if (!line.startsWith('{"documents":')) continue
      yield `${lines.join('\n')}\n`
      lines = []
      chars = 0
    }
  } catch (error) {
    if (error instanceof Error && 'syscall' in error)
      throw createFault('usage', `${file} cannot be read: ${causeOf(error)}`)
    throw error
  }
  if (lines.length > 0) yield `${lines.join('\n')}\n`
}
