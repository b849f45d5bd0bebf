/** Foreign text as part of a sentence, for logs and faults: quoted, escaped, on one line, and cut. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 79)}…` : text)
}

/**
 * Without the white space of ASCII around it: a token read from a file brings the file's newline. Not `trim()`, which
 * also takes what Unicode calls a space and so gives one token many spellings (P7).
 */
export function trimAsciiSpace(text: string): string {
  // Not a pattern: `[…]+$` is quadratic in a long run of spaces.
  let start = 0
  let end = text.length
  while (start < end && isAsciiSpace(text.charCodeAt(start))) start += 1
  while (end > start && isAsciiSpace(text.charCodeAt(end - 1))) end -= 1
  return text.slice(start, end)
}

function isAsciiSpace(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d)
}

/**
 * The known word that `word` was most likely meant to be, or `undefined`. A word in another case or with other
 * separators (`excessScopes`) is a near miss, and so is one within two edits, a swap of neighbours counting once.
 */
export function closestMatch(word: string, known: readonly string[]): string | undefined {
  return createClosestMatch(known)(word)
}

/** The same for many words: a policy may misspell thousands of scopes, each of which is compared with the catalogue. */
export function createClosestMatch(known: readonly string[]): (word: string) => string | undefined {
  // The first of a spelling counts.
  const byBareWord = new Map(known.toReversed().map((candidate) => [withoutSeparators(candidate), candidate]))
  return (word) => {
    const bare = word.length > 2 * wordMax ? word : withoutSeparators(word)
    const same = byBareWord.get(bare)
    if (same !== undefined || word.length > wordMax) return same
    const most = Math.min(editsMax, Math.floor(word.length / 2))
    return known
      .filter((candidate) => Math.abs(candidate.length - word.length) <= most)
      .map((candidate) => ({ candidate, edits: editsBetween(word, candidate) }))
      .filter(({ edits }) => edits <= most)
      .toSorted((one, other) => one.edits - other.edits)[0]?.candidate
  }
}

const wordMax = 64
const editsMax = 2
const band = 2 * editsMax + 1

function withoutSeparators(word: string): string {
  return word.toLowerCase().replaceAll(/[-_ ]/g, '')
}

/**
 * Optimal string alignment distance of words whose lengths differ by `editsMax` at most; `Infinity` where it is above
 * that. Of the table only the cells that close to the diagonal are filled: cell `n` of a row is column `row + n - editsMax`.
 */
function editsBetween(from: string, to: string): number {
  let before: number[] = []
  let above = Array.from({ length: band }, (_, cell) => (cell < editsMax ? Infinity : cell - editsMax))
  for (let row = 1; row <= from.length; row += 1) {
    const line: number[] = []
    let least = Infinity
    for (let cell = 0; cell < band; cell += 1) {
      const column = row + cell - editsMax
      const change = from[row - 1] === to[column - 1] ? 0 : 1
      const isSwap = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      const inside = Math.min(
        at(above, cell + 1) + 1,
        at(line, cell - 1) + 1,
        at(above, cell) + change,
        isSwap ? at(before, cell) + 1 : Infinity,
      )
      const edits = column === 0 ? row : inside
      line.push(column < 0 || column > to.length ? Infinity : edits)
      least = Math.min(least, at(line, cell))
    }
    if (least > editsMax) return Infinity
    before = above
    above = line
  }
  return at(above, to.length - from.length + editsMax)
}

function at(line: readonly number[], index: number): number {
  return line[index] ?? Infinity
}

const wordCharsMax = 4096

/** Why a value is no text as header and form values need it, printable ASCII without spaces; without a word of it. */
export function textFault(value: unknown): string | undefined {
  if (value === undefined) return 'is missing'
  if (typeof value !== 'string') return 'must be a string'
  if (value.trim() === '') return 'is empty'
  if (value.length > wordCharsMax) return `is longer than ${wordCharsMax} characters`
  return /^[\x21-\x7E]+$/.test(value) ? undefined : 'has white space or characters that are not ASCII'
}

/**
 * JSON with everything that a terminal obeys or a reader does not see written as an escape: DEL, C1 controls, and marks
 * that turn the direction of what follows. JSON.stringify escapes C0 controls itself.
 */
export function escapeInvisible(json: string): string {
  return json.replaceAll(invisible, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

const invisible = /[\u007F-\u009F\u061C\u200B-\u200F\u2028-\u202E\u2060-\u2069\uFEFF]/g

/** Whether it has what a terminal obeys or shows otherwise than it copies: control, format and line characters (T25). */
export function hasControls(text: string): boolean {
  return /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text)
}

/** One word of a command line that is shown to be copied, for any POSIX shell. */
export function quoteForShell(word: string): string {
  return /^[\w./-][\w@%+:,./=-]*$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
}

/** A member of a JSON document in a line of text: nothing where it is absent, and elements of a list beside each other. */
export function textOf(value: unknown): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'string') return value
  return Array.isArray(value) ? value.map((one) => textOf(one)).join(' ') : JSON.stringify(value)
}
