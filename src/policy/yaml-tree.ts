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
import type { Steps } from '../domain/promises.ts'
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
  readonly partAt: (step: string | number) => Place | undefined
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

const stepEvents = 20_000
/** Of one mapping: an honest one has some dozen. */
const membersMax = 10_000

/**
 * One document's values by the core schema of YAML 1.2, with every fault noted: no tag, no merge key, no key twice, no
 * key but text. What is faulty reads as null.
 */
export function* readYamlTree(deps: YamlTreeDeps): Steps<Branch> {
  const { source, events, valuesMax, keepsPlaces } = deps
  const anchors = new Map<string, Branch>()
  let open: Collection | undefined
  let root: Branch | undefined
  // An empty value has no place of its own: it is where the text before it ends.
  let lastOffset = 0

  const note = (offset: number, where: Where, text: string): void =>
    deps.note(offset, () => pathOf(where), text)

  /** Of what comes next. What stands where a key belongs is at the place of its mapping. */
  const whereNow = (): Where => {
    if (open === undefined) return undefined
    const step = open.isList ? open.parts.length : open.key?.name
    return step === undefined ? open.where : { within: open.where, step }
  }

  const take = (branch: Branch, offset: number): void => {
    const where = whereNow()
    const isTooMuch = branch.size > valuesMax
    if (isTooMuch) note(offset, where, `holds more than ${valuesMax} values`)
    const value = isTooMuch ? leaf(null, offset) : branch
    if (open === undefined) root ??= value
    else if (open.isList) open.parts.push(value)
    else if (open.key === undefined) open.key = { fault: 'a key must be plain text', offset }
    else takeMember(open, value)
  }

  const takeMember = (mapping: Mapping, value: Branch): void => {
    const { key, members, where } = mapping
    mapping.key = undefined
    if (key === undefined) return
    const fault = key.name === undefined ? key.fault : keyFault(key.name, members)
    if (fault !== undefined) note(key.offset, where, fault)
    else if (key.name !== undefined)
      members.set(key.name, keepsPlaces ? { ...value, place: { ...value.place, key: key.offset } } : value)
  }

  const takeAnchored = (event: Exclude<NodeEvent, AliasEvent>, branch: Branch, offset: number): void => {
    if (event.tagStart >= 0) {
      const tag = source.slice(event.tagStart, event.tagEnd)
      note(event.tagStart, whereNow(), `the tag ${quote(tag)} is not allowed`)
    }
    if (event.anchorStart >= 0) anchors.set(source.slice(event.anchorStart, event.anchorEnd), branch)
    take(branch, offset)
  }

  const readAlias = ({ anchorStart, anchorEnd }: AliasEvent): Branch => {
    const name = source.slice(anchorStart, anchorEnd)
    // An anchor is known once its value is complete: one that contains itself is not.
    const known = anchors.get(name)
    if (known !== undefined) return known
    note(anchorStart - 1, whereNow(), `no anchor ${quote(name)} (put a value that begins with * in quotes)`)
    return leaf(null, anchorStart - 1)
  }

  const readScalar = (event: ScalarEvent): void => {
    const value = scalarOf(source, event)
    const isPlain = event.valueStart >= 0 && event.tagStart < 0 && event.anchorStart < 0
    if (open?.isList === false && open.key === undefined && isPlain && typeof value === 'string')
      open.key = { name: value, offset: lastOffset }
    else takeAnchored(event, leaf(value, lastOffset), lastOffset)
  }

  const placeOf = (value: number, partAt: Place['partAt']): Place =>
    keepsPlaces ? { key: value, value, partAt } : nowhere

  const close = (done: Collection): void => {
    open = done.within
    const { start } = done.event
    if (done.isList) {
      const { parts } = done
      const place = placeOf(start, (step) => (typeof step === 'number' ? parts[step]?.place : undefined))
      takeAnchored(
        done.event,
        { json: parts.map(({ json }) => json), place, size: sizeOf(parts) },
        done.offset,
      )
      return
    }
    const { members } = done
    const json: Record<string, Json> = {}
    for (const [name, value] of members) json[name] = value.json
    const place = placeOf(start, (step) => members.get(String(step))?.place)
    takeAnchored(done.event, { json, place, size: sizeOf(members.values()) }, done.offset)
  }

  for (const [index, event] of events.entries()) {
    if (index % stepEvents === stepEvents - 1) yield
    if (event.type === EVENT_ID.DOCUMENT) continue
    if (event.type === EVENT_ID.POP) {
      if (open !== undefined) close(open)
      continue
    }
    const start = startOf(event)
    if (start >= 0) lastOffset = start
    const collection = { within: open, where: whereNow(), offset: lastOffset }
    if (event.type === EVENT_ID.ALIAS) take(readAlias(event), lastOffset)
    else if (event.type === EVENT_ID.SCALAR) readScalar(event)
    else if (event.type === EVENT_ID.SEQUENCE) open = { ...collection, event, isList: true, parts: [] }
    else open = { ...collection, event, isList: false, members: new Map(), key: undefined }
  }
  return root ?? leaf(null, lastOffset)
}

/** A list or mapping whose end has not come yet. */
type Collection = List | Mapping

interface Opened {
  readonly within: Collection | undefined
  readonly where: Where
  readonly offset: number
}

interface List extends Opened {
  readonly isList: true
  readonly event: SequenceEvent
  readonly parts: Branch[]
}

interface Mapping extends Opened {
  readonly isList: false
  readonly event: MappingEvent
  readonly members: Map<string, Branch>
  /** Of the value that comes next. */
  key: Key | undefined
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
  if (members.size === membersMax) return `there are more than ${membersMax} keys`
  return members.has(name) ? `the key ${quote(name)} occurs twice` : undefined
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

const nowhere: Place = { key: 0, value: 0, partAt: () => undefined }

function leaf(json: Json, offset: number): Branch {
  return { json, place: { key: offset, value: offset, partAt: nowhere.partAt }, size: 1 }
}

function sizeOf(parts: Iterable<Branch>): number {
  let size = 1
  for (const part of parts) size += part.size
  return size
}
