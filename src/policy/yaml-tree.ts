import {
  boolCoreTag,
  EVENT_ID,
  floatCoreTag,
  getScalarValue,
  intCoreTag,
  NOT_RESOLVED,
  nullCoreTag,
  SCALAR_STYLE,
  type AliasEvent,
  type Event,
  type MappingEvent,
  type ScalarEvent,
  type SequenceEvent,
} from 'js-yaml'
import type { Json } from '../domain/caller.ts'
import { quote } from '../domain/text.ts'
import type { Path } from './policy-faults.ts'

/** A value, and its place in the text where that was asked for. */
export interface Branch {
  readonly json: Json
  readonly place: Place
  /** How many values it holds, itself and aliased ones included. */
  readonly size: number
}

/** Where a value and its key begin, as offsets, and the same of everything in it. */
export interface Place {
  readonly key: number
  readonly value: number
  readonly parts: ReadonlyMap<string | number, Place>
}

export interface YamlTreeDeps {
  readonly source: string
  /** Of one document, from behind its start. */
  readonly events: readonly Event[]
  /** With aliases at full size: a bomb of them has more. */
  readonly valuesMax: number
  /** Off, every value is at the place of what holds it, and reading is twice as fast. */
  readonly keepsPlaces: boolean
  readonly note: (offset: number, path: () => Path, text: string) => void
}

type NodeEvent = SequenceEvent | MappingEvent | ScalarEvent | AliasEvent

/**
 * One document's values by the core schema of YAML 1.2, with every fault noted: no tag, no merge key, no key twice, no
 * key but text. What is faulty reads as null.
 */
export function readYamlTree(deps: YamlTreeDeps): Branch {
  const { source, events, valuesMax, keepsPlaces } = deps
  const anchors = new Map<string, Branch>()
  let at = 0
  // An empty value has no place of its own: it is where the text before it ends.
  let lastOffset = 0

  const next = (): Event | undefined => {
    const event = events[at]
    at += 1
    return event
  }

  const note = (offset: number, where: Where, text: string): void =>
    deps.note(offset, () => pathOf(where), text)

  const readNode = (path: Where): Branch => {
    const event = next()
    if (event === undefined || event.type === EVENT_ID.DOCUMENT || event.type === EVENT_ID.POP)
      return leaf(null, lastOffset)
    const offset = offsetOf(event)
    const branch = event.type === EVENT_ID.ALIAS ? readAlias(event, path) : readAnchored(event, path)
    if (branch.size <= valuesMax) return branch
    note(offset, path, `holds more than ${valuesMax} values`)
    return leaf(null, offset)
  }

  const offsetOf = (event: NodeEvent): number => {
    const start = startOf(event)
    if (start >= 0) lastOffset = start
    return lastOffset
  }

  const readAlias = ({ anchorStart, anchorEnd }: AliasEvent, path: Where): Branch => {
    const name = source.slice(anchorStart, anchorEnd)
    // An anchor is known once its value is complete: one that contains itself is not.
    const known = anchors.get(name)
    if (known !== undefined) return known
    note(anchorStart - 1, path, `no anchor ${quote(name)} (put a value that begins with * in quotes)`)
    return leaf(null, anchorStart - 1)
  }

  const readAnchored = (event: Exclude<NodeEvent, AliasEvent>, path: Where): Branch => {
    const branch = readContent(event, path)
    if (event.tagStart >= 0) {
      const tag = source.slice(event.tagStart, event.tagEnd)
      note(event.tagStart, path, `the tag ${quote(tag)} is not allowed`)
    }
    if (event.anchorStart >= 0) anchors.set(source.slice(event.anchorStart, event.anchorEnd), branch)
    return branch
  }

  const readContent = (event: Exclude<NodeEvent, AliasEvent>, path: Where): Branch => {
    switch (event.type) {
      case EVENT_ID.SCALAR:
        return leaf(scalarOf(source, event), lastOffset)
      case EVENT_ID.SEQUENCE:
        return readList(event.start, path)
      case EVENT_ID.MAPPING:
        return readMapping(event.start, path)
    }
  }

  const isEnd = (): boolean => {
    const event = events[at]
    if (event !== undefined && event.type !== EVENT_ID.POP) return false
    at += 1
    return true
  }

  const readList = (offset: number, path: Where): Branch => {
    const parts: Branch[] = []
    while (!isEnd()) parts.push(readNode({ within: path, step: parts.length }))
    return {
      json: parts.map(({ json }) => json),
      place: placeOf(offset, parts.entries()),
      size: sizeOf(parts),
    }
  }

  const readMapping = (offset: number, path: Where): Branch => {
    const members = new Map<string, Branch>()
    while (!isEnd()) {
      const key = readKey(path)
      const fault = key.name === undefined ? key.fault : keyFault(key.name, members)
      const value = readNode(key.name === undefined ? path : { within: path, step: key.name })
      if (fault !== undefined) note(key.offset, path, fault)
      else if (key.name !== undefined)
        members.set(key.name, keepsPlaces ? { ...value, place: { ...value.place, key: key.offset } } : value)
    }
    const json: Record<string, Json> = {}
    for (const [name, value] of members) json[name] = value.json
    return { json, place: placeOf(offset, members), size: sizeOf(members.values()) }
  }

  const placeOf = (offset: number, branches: Iterable<readonly [string | number, Branch]>): Place =>
    keepsPlaces
      ? {
          key: offset,
          value: offset,
          parts: new Map(Array.from(branches, ([step, { place }]) => [step, place])),
        }
      : nowhere

  const readKey = (path: Where): Key => {
    const event = events[at]
    const isPlain =
      event?.type === EVENT_ID.SCALAR && event.valueStart >= 0 && event.tagStart < 0 && event.anchorStart < 0
    const value = isPlain ? scalarOf(source, event) : undefined
    const offset = event === undefined || !isNode(event) ? lastOffset : offsetOf(event)
    if (typeof value === 'string') {
      at += 1
      return { name: value, offset }
    }
    // Read all the same, so that what follows is still in step.
    readNode(path)
    return { fault: 'a key must be plain text', offset }
  }

  return readNode(undefined)
}

/** The way to a value, from its end: most are never asked for. */
type Where = { readonly within: Where; readonly step: string | number } | undefined

function pathOf(where: Where): Path {
  const path: (string | number)[] = []
  for (let at = where; at !== undefined; at = at.within) path.unshift(at.step)
  return path
}

type Key =
  | { readonly name: string; readonly fault?: undefined; readonly offset: number }
  | { readonly name?: undefined; readonly fault: string; readonly offset: number }

function keyFault(name: string, members: ReadonlyMap<string, Branch>): string | undefined {
  // Object literals and schema libraries lose such a member, and a condition must not get lost.
  if (name === '__proto__') return 'a key must not be "__proto__"'
  return members.has(name) ? `the key ${quote(name)} occurs twice` : undefined
}

function isNode(event: Event): event is NodeEvent {
  return event.type !== EVENT_ID.DOCUMENT && event.type !== EVENT_ID.POP
}

/** Where its text begins, a quote included; negative for an empty value. */
function startOf(event: NodeEvent): number {
  switch (event.type) {
    case EVENT_ID.ALIAS:
      return event.anchorStart - 1
    case EVENT_ID.SCALAR:
      return isQuoted(event) ? event.valueStart - 1 : event.valueStart
    case EVENT_ID.SEQUENCE:
    case EVENT_ID.MAPPING:
      return event.start
  }
}

function isQuoted({ style }: ScalarEvent): boolean {
  return style === SCALAR_STYLE.SINGLE_QUOTED || style === SCALAR_STYLE.DOUBLE_QUOTED
}

const coreTags = [nullCoreTag, boolCoreTag, intCoreTag, floatCoreTag] as const
/** How null, true, false and every number begin, in each of their spellings. */
const beginsNoText = /^(?:$|[-+.\d~nNtTfF])/

/** YAML 1.2.2 §10.3: only what is written plainly can be anything but text. */
function scalarOf(source: string, event: ScalarEvent): Json {
  const text = getScalarValue(source, event)
  if (event.style !== SCALAR_STYLE.PLAIN || !beginsNoText.test(text)) return text
  for (const tag of coreTags) {
    const value = tag.resolve(text, false, tag.tagName)
    if (value !== NOT_RESOLVED) return value
  }
  return text
}

const nowhere: Place = { key: 0, value: 0, parts: new Map() }

function leaf(json: Json, offset: number): Branch {
  return { json, place: { key: offset, value: offset, parts: nowhere.parts }, size: 1 }
}

function sizeOf(parts: Iterable<Branch>): number {
  let size = 1
  for (const part of parts) size += part.size
  return size
}
