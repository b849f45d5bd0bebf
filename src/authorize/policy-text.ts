import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Document,
  type YAMLError,
} from 'yaml'

import type { Json } from '../domain/caller.ts'
import { quote } from '../domain/quote.ts'
import type { Fault, Path, Position } from './policy-faults.ts'

/** A document as plain values, each of which knows its place in the text. */
export interface PolicyText {
  readonly value: Json
  /** Not empty: the document is not fit to be used, whatever `value` holds. */
  readonly faults: readonly Fault[]
  /** Of the value at `path`, or of its key; of the nearest thing around it where the document has no such path. */
  readonly locate: (path: Path, at: 'key' | 'value') => Position
}

// A policy is 7 levels deep and a long one has some thousand values; a bomb of aliases has more of either.
const depthMax = 32
const valuesMax = 100_000
const bytesMax = 1024 * 1024
// After the first few the parser is mostly wrong about what the rest was meant to be.
const syntaxFaultsMax = 20

/**
 * Reads one YAML 1.2 (core schema) or JSON document, and never throws: no second document, no directive, no tag, no
 * merge key, no key twice, no key but text, no control character, at most 1 MiB. Aliases are counted at full size.
 */
export function readPolicyText(text: string): PolicyText {
  const size = Math.max(text.length, new TextEncoder().encode(text.slice(0, bytesMax + 1)).length)
  if (size > bytesMax) return unreadable('longer than 1 MiB')
  if (text.trim() === '') return unreadable('the document is empty')
  // YAML 1.2.2 §5.1; U+FFFD is what a decoder leaves of octets that are not UTF-8.
  if (!text.isWellFormed() || /[\p{Cc}--[\t\n\r\x85]]|\uFFFD/v.test(text))
    return unreadable('not text in UTF-8')
  try {
    return readDocument(text)
  } catch (error) {
    // The parser promises a list of errors, not an exception; a policy must not be able to prove it wrong (P25).
    return unreadable(`the parser gave up: ${error instanceof Error ? error.message : 'unknown'}`)
  }
}

function readDocument(text: string): PolicyText {
  const lineCounter = new LineCounter()
  // Keys are compared by convert(), in linear time. Below log level "error" a second document would go unnoticed.
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    strict: true,
    merge: false,
    resolveKnownTags: false,
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'error',
    lineCounter,
  })
  const positionOf = (offset: number): Position => lineCounter.linePos(offset)
  const syntax = syntaxFaults(document, positionOf)
  if (syntax.length > 0) return { value: null, faults: syntax, locate: () => ({ line: 1, col: 1 }) }

  const faults: Fault[] = []
  const reading: Reading = {
    anchors: new Map(),
    note: (offset, path, message) => faults.push({ position: positionOf(offset), path, text: message }),
  }
  const whole = convert(document.contents, [], reading)
  return { value: whole.json, faults, locate: (path, at) => positionOf(offsetOf(whole.place, path, at)) }
}

function syntaxFaults(document: Document.Parsed, positionOf: (offset: number) => Position): Fault[] {
  const faults = [...document.errors, ...document.warnings].slice(0, syntaxFaultsMax).map((error) => ({
    position: positionOf(error.pos[0]),
    path: [],
    text: describeSyntaxFault(error),
  }))
  const { explicit } = document.directives.yaml
  const directive = { position: { line: 1, col: 1 }, path: [], text: 'a %YAML directive is not allowed' }
  return explicit === true ? [directive, ...faults] : faults
}

function describeSyntaxFault({ code, message }: YAMLError): string {
  if (code === 'RESOURCE_EXHAUSTION') return 'nested too deep to be read'
  return code === 'BAD_ALIAS' ? `${message} (put a value that begins with * in quotes)` : message
}

/** Where a value and its key begin, as offsets, and the same of everything in it. */
interface Place {
  readonly key: number
  readonly value: number
  readonly parts: ReadonlyMap<string | number, Place>
}

interface Branch {
  readonly json: Json
  readonly place: Place
  /** How many values it holds, itself and aliased ones included. */
  readonly size: number
}

interface Reading {
  readonly anchors: Map<string, Branch>
  readonly note: (offset: number, path: Path, text: string) => void
}

function convert(node: unknown, path: Path, reading: Reading): Branch {
  const offset = rangeStart(node)
  const fail = (text: string): Branch => {
    reading.note(offset, path, text)
    return leaf(null, offset)
  }
  if (path.length > depthMax) return fail(`nested deeper than ${depthMax} levels`)
  if (isAlias(node)) {
    // An anchor is known once its value is complete: one that contains itself is not.
    const known = reading.anchors.get(node.source)
    if (known === undefined)
      return fail(`no anchor ${quote(node.source)} (put a value that begins with * in quotes)`)
    return known
  }
  if (node !== null && (isScalar(node) || isMap(node) || isSeq(node)) && node.tag !== undefined)
    return fail(`the tag ${quote(node.tag)} is not allowed`)
  const branch = convertContent(node, path, reading)
  if (branch === undefined) return fail('neither text, number, true, false, null, list nor mapping')
  if (branch.size > valuesMax) return fail(`holds more than ${valuesMax} values`)
  if ((isScalar(node) || isMap(node) || isSeq(node)) && node.anchor !== undefined)
    reading.anchors.set(node.anchor, branch)
  return branch
}

function convertContent(node: unknown, path: Path, reading: Reading): Branch | undefined {
  if (isMap(node)) return convertMap(node.items, { path, reading, offset: rangeStart(node) })
  if (isSeq(node)) {
    const parts = node.items.map((item, index) => convert(item, [...path, index], reading))
    return {
      json: parts.map((part) => part.json),
      place: {
        key: rangeStart(node),
        value: rangeStart(node),
        parts: new Map(parts.map((part, i) => [i, part.place])),
      },
      size: sizeOf(parts),
    }
  }
  const value = isScalar(node) ? node.value : null
  const isPlain =
    value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
  return isPlain ? leaf(value, rangeStart(node)) : undefined
}

interface MapPlace {
  readonly path: Path
  readonly reading: Reading
  readonly offset: number
}

function convertMap(
  pairs: Iterable<{ key: unknown; value: unknown }>,
  { path, reading, offset }: MapPlace,
): Branch {
  const members = new Map<string, Branch>()
  for (const { key, value } of pairs) {
    const keyOffset = rangeStart(key)
    const name = isScalar(key) && key.tag === undefined && key.anchor === undefined ? key.value : undefined
    if (typeof name !== 'string') reading.note(keyOffset, path, 'a key must be plain text')
    // Object literals and schema libraries lose such a member, and a condition must not get lost.
    else if (name === '__proto__') reading.note(keyOffset, path, 'a key must not be "__proto__"')
    else if (members.has(name)) reading.note(keyOffset, path, `the key ${quote(name)} occurs twice`)
    else {
      const { json, place, size } = convert(value, [...path, name], reading)
      members.set(name, { json, size, place: { ...place, key: keyOffset } })
    }
  }
  const branches = [...members]
  return {
    json: Object.fromEntries(branches.map(([name, branch]) => [name, branch.json])),
    place: {
      key: offset,
      value: offset,
      parts: new Map(branches.map(([name, branch]) => [name, branch.place])),
    },
    size: sizeOf(members.values()),
  }
}

function leaf(json: Json, offset: number): Branch {
  return { json, place: { key: offset, value: offset, parts: new Map() }, size: 1 }
}

function sizeOf(parts: Iterable<Branch>): number {
  let size = 1
  for (const part of parts) size += part.size
  return size
}

function rangeStart(node: unknown): number {
  return isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? (node.range?.[0] ?? 0) : 0
}

function offsetOf(root: Place, path: Path, at: 'key' | 'value'): number {
  let place = root
  for (const step of path) {
    const next = place.parts.get(step)
    if (next === undefined) return place.value
    place = next
  }
  return at === 'key' ? place.key : place.value
}

function unreadable(text: string): PolicyText {
  const position = { line: 1, col: 1 }
  return { value: null, faults: [{ position, path: [], text }], locate: () => position }
}
