import { readFileSync, writeFileSync } from 'node:fs'

const begin = '<!-- bench:begin -->\n'
const end = '<!-- bench:end -->'

/** Puts the report into the file between its two markers, as preformatted text below the command that made it. */
export function writeTables(file: string, report: readonly string[], argv: readonly string[]): void {
  const fenced = [`\`npm run bench -- ${argv.join(' ')}\` wrote this:`, '', '```text', ...report, '```']
  writeFileSync(file, betweenMarkers(readFileSync(file, 'utf8'), fenced))
}

/** The text with these lines between the markers; throws when it has no markers. */
export function betweenMarkers(text: string, lines: readonly string[]): string {
  const from = text.indexOf(begin)
  const to = text.indexOf(end, from)
  if (from === -1 || to === -1) throw new Error(`the text has no ${begin.trim()} … ${end}`)
  return `${text.slice(0, from + begin.length)}${lines.join('\n')}\n${text.slice(to)}`
}
