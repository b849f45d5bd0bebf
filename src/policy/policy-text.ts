import { EVENT_ID, parseEvents, YAMLException, type Event } from 'js-yaml'
import type { Json } from '../domain/caller.ts'
import type { Steps } from '../domain/promises.ts'
import type { TextPlace } from '../boundaries/boundary.ts'
import { keptFaultsMax, type At, type Fault, type Path, type Position } from './policy-faults.ts'
import { readYamlTree, type Place, type YamlTreeDeps } from './yaml-tree.ts'

/** A document as plain values, each of which knows its place in the text. */
export interface PolicyText {
  readonly value: Json
  /** Not empty: the document is not fit to be used, whatever `value` holds. */
  readonly faults: readonly Fault[]
  /** Reads the places of its values, once. */
  readonly places: () => Steps<Locate>
}

/** Of the value at `path`, or of its key; of the nearest thing around it where the document has no such path. */
export type Locate = (path: Path, at: At) => Position

// A policy is 7 levels deep; a bomb of aliases has more.
const depthMax = 32
/** Without aliases each value takes a character; an honest policy repeats less than it writes out. */
const repeatedValuesMax = 1_000
const bytesMax = 4 * 1024 * 1024

/**
 * Reads one YAML 1.2 (core schema) or JSON document, and never throws: no second document, no directive, no tag, no
 * merge key, no key twice, no key but text, no mapping of more than 10,000 keys, no control character, at most 4 MiB,
 * and with aliases at full size no more values than it has characters and a thousand. The longest step is the parser's:
 * 40 ms for each MB, and 100 for one of nothing but commas. Of faults in the syntax only the first is found; what comes
 * behind it has no certain meaning.
 */
export function* readPolicyText(text: string): Steps<PolicyText> {
  const size = Math.max(text.length, new TextEncoder().encode(text.slice(0, bytesMax + 1)).length)
  if (size > bytesMax) return unreadable('longer than 4 MiB')
  if (text.trim() === '') return unreadable('the document is empty')
  // YAML 1.2.2 §5.1; U+FFFD is what a decoder leaves of octets that are not UTF-8.
  if (!text.isWellFormed() || /[\p{Cc}--[\t\n\r\x85]]|\uFFFD/v.test(text))
    return unreadable('not text in UTF-8')
  try {
    return yield* readDocument(text)
  } catch (error) {
    return syntaxFault(error)
  }
}

function* readDocument(text: string): Steps<PolicyText> {
  const positionOf = createPositionOf(text)
  const events = parseEvents(text, { maxDepth: depthMax })
  const fault = documentFault(events)
  if (fault !== undefined) return unreadable(fault)
  yield
  const faults: Fault[] = []
  const read = (keepsPlaces: boolean, note: YamlTreeDeps['note']) =>
    readYamlTree({
      source: text,
      events: events.slice(1),
      valuesMax: repeatedValuesMax + text.length,
      keepsPlaces,
      note,
    })
  const { json } = yield* read(false, (offset, path, message) => {
    if (faults.length < keptFaultsMax)
      faults.push({ position: positionOf(offset), path: path(), code: 'syntax', text: message })
  })
  // A document that nothing is said of is read once.
  let root: Place | undefined
  return {
    value: json,
    faults,
    *places() {
      const place = (root ??= (yield* read(true, () => undefined)).place)
      return (path, at) => {
        const offset = offsetOf(place, path, at)
        return positionOf(typeof at === 'string' ? offset : offsetWithin(text, offset, at))
      }
    },
  }
}

function documentFault(events: readonly Event[]): string | undefined {
  const documents = events.filter((event) => event.type === EVENT_ID.DOCUMENT)
  const [document] = documents
  if (document === undefined) return 'the document is empty'
  if (documents.length > 1) return 'there are multiple documents, and a policy is one'
  return document.directives.length > 0 ? 'a %YAML directive is not allowed, nor any other' : undefined
}

/** The parser promises an exception of its own; a policy must not be able to prove it wrong (P25). */
function syntaxFault(error: unknown): PolicyText {
  if (!(error instanceof YAMLException))
    return unreadable(`the parser gave up: ${error instanceof Error ? error.message : 'unknown'}`)
  const { reason, mark } = error
  const position = mark === undefined ? { line: 1, col: 1 } : { line: mark.line + 1, col: mark.column + 1 }
  return unreadable(
    /alias/.test(reason) ? `${reason} (put a value that begins with * in quotes)` : reason,
    position,
  )
}

/** From offsets to lines and columns, in logarithmic time. */
function createPositionOf(text: string): (offset: number) => Position {
  let known: readonly number[] | undefined
  return (offset) => {
    const starts = (known ??= lineStarts(text))
    let [low, high] = [0, starts.length - 1]
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((starts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return { line: low + 1, col: offset - (starts[low] ?? 0) + 1 }
  }
}

function lineStarts(text: string): readonly number[] {
  const starts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return starts
}

/** Where a place of a value stands in the document: on the line that is written there just like the value's own. */
function offsetWithin(source: string, start: number, { text, offset }: TextPlace): number {
  const lineStart = text.lastIndexOf('\n', offset - 1) + 1
  const line = text.slice(lineStart).split('\n', 1)[0] ?? ''
  // A scalar of several lines begins behind its sign, and its lines are indented.
  const found = source.slice(start, start + 2 * text.length + 1000).indexOf(line)
  return line === '' || found === -1 ? start : start + found + (offset - lineStart)
}

function offsetOf(root: Place, path: Path, at: At): number {
  let place = root
  for (const step of path) {
    const next = place.partAt(step)
    if (next === undefined) return place.value
    place = next
  }
  return at === 'key' ? place.key : place.value
}

function unreadable(text: string, position: Position = { line: 1, col: 1 }): PolicyText {
  return {
    value: null,
    faults: [{ position, path: [], code: 'syntax', text }],
    // oxlint-disable-next-line require-yield -- there is nothing to read
    *places() {
      return () => position
    },
  }
}
