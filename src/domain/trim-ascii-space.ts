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
