import { isMap, isNode, isPair, isScalar, isSeq, type YAMLMap, type YAMLSeq } from 'yaml'

/** Text that takes the place of what is from one offset to another. */
export interface Edit {
  readonly from: number
  readonly to: number
  readonly text: string
}

interface Span {
  readonly from: number
  readonly to: number
}

/** The text with edits that do not overlap. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  return edits
    .toSorted((one, other) => other.from - one.from)
    .reduce((left, { from, to, text: new_ }) => left.slice(0, from) + new_ + left.slice(to), text)
}

/** Takes items out of a list; a list that keeps none becomes `[]`. */
export function removeItems(
  text: string,
  list: YAMLSeq,
  isGone: (item: unknown) => boolean,
): readonly Edit[] {
  const gone = list.items.map(isGone)
  if (!gone.includes(true)) return []
  if (!gone.includes(false)) return emptyList(text, list)
  const spans = list.items.map(spanOf)
  if (list.flow === true) return removeFromFlow(spans, gone)
  return dashesOf(list).flatMap((dash, index) => {
    const span = spans[index]
    return gone[index] === true && span !== undefined ? [removeLines(text, { from: dash, to: span.to })] : []
  })
}

/** Takes a member out of a mapping; one that shares its line with a dash becomes `[]`. */
export function removeMember(text: string, map: YAMLMap, name: string): readonly Edit[] {
  const gone = map.items.map(({ key }) => isScalar(key) && key.value === name)
  const spans = map.items.map(spanOf)
  if (map.flow === true) return removeFromFlow(spans, gone)
  const span = spans[gone.indexOf(true)]
  if (span === undefined) return []
  if (isAloneFrom(text, span.from)) return [removeLines(text, span)]
  const list = map.get(name, true)
  return isSeq(list) ? emptyList(text, list) : []
}

/** Makes a list of words hold exactly these: what is new stands where the first that is gone stood. */
export function setWords(text: string, list: YAMLSeq, words: readonly string[]): readonly Edit[] {
  const written = list.items.map((item) => (isScalar(item) ? String(item.value) : undefined))
  const added = words.filter((word) => !written.includes(word))
  const isGone = (word: string | undefined) => word === undefined || !words.includes(word)
  const first = written.findIndex(isGone)
  const span = first === -1 ? undefined : spanOf(list.items[first])
  if (added.length === 0 || span === undefined)
    return removeItems(text, list, (item) => isGone(written[list.items.indexOf(item)]))
  const quoted = text[span.from] === '"'
  const dash = dashesOf(list)[first] ?? span.from
  const between = list.flow === true ? ', ' : `\n${text.slice(lineStart(text, dash), span.from)}`
  const rest = removeItems(text, list, (item) => {
    const index = list.items.indexOf(item)
    return index !== first && isGone(written[index])
  })
  return [...rest, { ...span, text: added.map((word) => scalar(word, quoted)).join(between) }]
}

function scalar(word: string, isQuoted: boolean): string {
  return isQuoted || !/^[a-z][\w:/.-]*$/.test(word) ? JSON.stringify(word) : word
}

/** A list in block style leaves its lines, and `[]` stands behind its key. */
function emptyList(text: string, list: YAMLSeq): readonly Edit[] {
  const { from, to } = spanOf(list)
  if (list.flow === true) return [{ from, to, text: '[]' }]
  const colon = text.lastIndexOf(':', from)
  const lines = removeLines(text, { from, to })
  return [{ from: colon + 1, to: colon + 1, text: ' []' }, lines]
}

function removeFromFlow(spans: readonly Span[], gone: readonly boolean[]): readonly Edit[] {
  const lastKept = gone.lastIndexOf(false)
  return spans.flatMap((span, index) => {
    if (gone[index] !== true) return []
    const next = spans[index + 1]
    if (index < lastKept && next !== undefined) return [{ from: span.from, to: next.from, text: '' }]
    const previous = spans[index - 1]
    return [{ from: previous?.to ?? span.from, to: span.to, text: '' }]
  })
}

/** With the comments directly above, and without a second empty line where they were. */
function removeLines(text: string, { from, to }: Span): Edit {
  let start = lineStart(text, from)
  for (;;) {
    const above = lineStart(text, start - 1)
    if (start === 0 || !/^[ \t]*#/.test(text.slice(above, start))) break
    start = above
  }
  const newline = text.indexOf('\n', to)
  const end = newline === -1 ? text.length : newline + 1
  const emptyAbove = /\n(\r?\n)$/.exec(text.slice(0, start))?.[1] ?? ''
  const isFollowedByEmpty = end === text.length || /^\r?\n/.test(text.slice(end, end + 2))
  return { from: isFollowedByEmpty ? start - emptyAbove.length : start, to: end, text: '' }
}

function lineStart(text: string, at: number): number {
  return at <= 0 ? 0 : text.lastIndexOf('\n', at - 1) + 1
}

function isAloneFrom(text: string, at: number): boolean {
  return text.slice(lineStart(text, at), at).trim() === ''
}

/** Where the dash of each item is. */
function dashesOf(list: YAMLSeq): readonly number[] {
  const token = list.srcToken
  if (token?.type !== 'block-seq') return []
  return token.items.flatMap(({ start }) => {
    const dash = start.find(({ type }) => type === 'seq-item-ind')
    return dash === undefined ? [] : [dash.offset]
  })
}

/** Without the white space and comments behind it. */
function spanOf(part: unknown): Span {
  if (isPair(part)) {
    const key = spanOf(part.key)
    return { from: key.from, to: Math.max(key.to, spanOf(part.value).to) }
  }
  const range = isNode(part) ? part.range : undefined
  const [from, to] = range ?? [0, 0]
  const last = (isMap(part) || isSeq(part)) && part.flow !== true ? part.items.at(-1) : undefined
  return last === undefined ? { from, to } : { from, to: spanOf(last).to }
}
