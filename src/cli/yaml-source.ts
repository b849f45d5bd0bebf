import {
  COLLECTION_STYLE,
  EVENT_ID,
  getScalarValue,
  parseEvents,
  SCALAR_STYLE,
  type Event,
  type ScalarEvent,
} from 'js-yaml'

/** What a YAML text says, and from which offset to which it says it, white space and comments behind it left out. */
export type YamlPart = YamlScalar | YamlList | YamlMapping | YamlAlias

export interface Span {
  readonly from: number
  readonly to: number
}

interface Part extends Span {
  /** An anchor may be meant elsewhere. */
  readonly isAnchored: boolean
}

export interface YamlScalar extends Part {
  readonly kind: 'scalar'
  readonly text: string
}

export interface YamlAlias extends Part {
  readonly kind: 'alias'
}

export interface YamlList extends Part {
  readonly kind: 'list'
  /** Written with brackets. */
  readonly isFlow: boolean
  readonly items: readonly YamlPart[]
}

export interface YamlMapping extends Part {
  readonly kind: 'mapping'
  readonly isFlow: boolean
  readonly members: readonly YamlMember[]
}

export interface YamlMember extends Span {
  readonly name: string | undefined
  readonly value: YamlPart
}

/** The text must be one valid document. */
export function readYamlSource(text: string): YamlPart {
  const events = parseEvents(text, {})
  let at = 1
  let end = 0

  const read = (): YamlPart => {
    const event = events[at]
    at += 1
    switch (event?.type) {
      case EVENT_ID.SCALAR:
        return readScalar(event)
      case EVENT_ID.ALIAS:
        end = event.anchorEnd
        return { kind: 'alias', isAnchored: false, from: event.anchorStart - 1, to: end }
      case EVENT_ID.SEQUENCE:
        return readList(event)
      case EVENT_ID.MAPPING:
        return readMapping(event)
      default:
        return { kind: 'scalar', isAnchored: false, text: '', from: end, to: end }
    }
  }

  const readScalar = (event: ScalarEvent): YamlScalar => {
    const { style, valueStart, valueEnd, anchorStart } = event
    const isQuoted = style === SCALAR_STYLE.SINGLE_QUOTED || style === SCALAR_STYLE.DOUBLE_QUOTED
    const quote = isQuoted ? 1 : 0
    const from = valueStart < 0 ? end : valueStart - quote
    end = valueStart < 0 ? end : valueEnd + quote
    return { kind: 'scalar', isAnchored: anchorStart >= 0, text: getScalarValue(text, event), from, to: end }
  }

  const isEnd = (): boolean => {
    const event: Event | undefined = events[at]
    if (event !== undefined && event.type !== EVENT_ID.POP) return false
    at += 1
    return true
  }

  const opened = ({ start, style, anchorStart }: Extract<Event, { style: 1 | 2; start: number }>) => {
    const isFlow = style === COLLECTION_STYLE.FLOW
    if (isFlow) end = start + 1
    return { from: start, isFlow, isAnchored: anchorStart >= 0 }
  }

  const readList = (event: Extract<Event, { type: typeof EVENT_ID.SEQUENCE }>): YamlList => {
    const part = opened(event)
    const items: YamlPart[] = []
    while (!isEnd()) items.push(read())
    if (part.isFlow) end = text.indexOf(']', skipComments(text, end)) + 1
    return { kind: 'list', ...part, to: end, items }
  }

  const readMapping = (event: Extract<Event, { type: typeof EVENT_ID.MAPPING }>): YamlMapping => {
    const part = opened(event)
    const members: YamlMember[] = []
    while (!isEnd()) {
      const key = read()
      const value = read()
      const name = key.kind === 'scalar' ? key.text : undefined
      members.push({ name, value, from: key.from, to: Math.max(key.to, value.to) })
    }
    if (part.isFlow) end = text.indexOf('}', skipComments(text, end)) + 1
    return { kind: 'mapping', ...part, to: end, members }
  }

  return read()
}

/** A bracket inside a comment closes nothing. */
function skipComments(text: string, from: number): number {
  const gap = /^(?:[\s,]|#[^\n]*(?:\n|$))*/.exec(text.slice(from))?.[0] ?? ''
  return from + gap.length
}

export function memberOfYaml(part: YamlPart | undefined, name: string): YamlPart | undefined {
  return part?.kind === 'mapping' ? part.members.find((member) => member.name === name)?.value : undefined
}

/** Whether changing it could change something else. */
export function isShared(part: YamlPart): boolean {
  if (part.isAnchored) return true
  switch (part.kind) {
    case 'alias':
      return true
    case 'scalar':
      return false
    case 'list':
      return part.items.some(isShared)
    case 'mapping':
      return part.members.some(({ value }) => isShared(value))
  }
}
