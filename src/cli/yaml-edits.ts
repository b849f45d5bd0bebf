import type { Span, YamlList, YamlMapping, YamlPart } from './yaml-source.ts'

/** Text that takes the place of what is from one offset to another. */
export interface Edit {
  readonly from: number
  readonly to: number
  readonly text: string
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
  list: YamlList,
  isGone: (item: YamlPart) => boolean,
): readonly Edit[] {
  const gone = list.items.map(isGone)
  if (!gone.includes(true)) return []
  if (!gone.includes(false)) return emptyList(text, list)
  if (list.isFlow) return removeFromFlow(list.items, gone)
  return list.items.flatMap((item, index) =>
    gone[index] === true ? [removeLines(text, { from: dashOf(text, list, item), to: item.to })] : [],
  )
}

/** Takes a member out of a mapping; one that shares its line with a dash becomes `[]`. */
export function removeMember(text: string, mapping: YamlMapping, name: string): readonly Edit[] {
  const { members } = mapping
  const gone = members.map((member) => member.name === name)
  if (mapping.isFlow) return removeFromFlow(members, gone)
  const member = members[gone.indexOf(true)]
  if (member === undefined) return []
  if (isAloneFrom(text, member.from)) return [removeLines(text, member)]
  return member.value.kind === 'list' ? emptyList(text, member.value) : []
}

/** Makes a list of words hold exactly these: what is new stands where the first that is gone stood. */
export function setWords(text: string, list: YamlList, words: readonly string[]): readonly Edit[] {
  const wordOf = (item: YamlPart) => (item.kind === 'scalar' ? item.text : undefined)
  const written = list.items.map(wordOf)
  const added = words.filter((word) => !written.includes(word))
  const isGone = (word: string | undefined) => word === undefined || !words.includes(word)
  const first = list.items[written.findIndex(isGone)]
  if (added.length === 0 || first === undefined)
    return removeItems(text, list, (item) => isGone(wordOf(item)))
  const { from, to } = first
  const quoted = text[from] === '"'
  const dash = list.isFlow ? from : dashOf(text, list, first)
  const between = list.isFlow ? ', ' : `\n${text.slice(lineStart(text, dash), from)}`
  const rest = removeItems(text, list, (item) => item !== first && isGone(wordOf(item)))
  return [...rest, { from, to, text: added.map((word) => scalar(word, quoted)).join(between) }]
}

function scalar(word: string, isQuoted: boolean): string {
  return isQuoted || !/^[a-z][\w:/.-]*$/.test(word) ? JSON.stringify(word) : word
}

/** A list in block style leaves its lines, and `[]` stands behind its key. */
function emptyList(text: string, list: YamlList): readonly Edit[] {
  const { from, to } = list
  if (list.isFlow) return [{ from, to, text: '[]' }]
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

/** Where the dash of an item is: in the column of the list, on the item's line or, behind comments, above it. */
function dashOf(text: string, list: YamlList, item: YamlPart): number {
  const column = list.from - lineStart(text, list.from)
  for (let line = lineStart(text, item.from); line > list.from; line = lineStart(text, line - 1))
    if (text[line + column] === '-' && isBlank(text.slice(line, line + column))) return line + column
  return list.from
}

function isBlank(text: string): boolean {
  return text.trim() === ''
}
