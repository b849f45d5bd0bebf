import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Setting } from '../../src/config/setting.ts'
import { settingsTable } from '../../src/config/settings-table.ts'

// Writes the table of settings into docs/settings.md, between its two markers. `--check` writes nothing and fails when
// the table there is not the one in src/config/settings-table.ts.

export const settingsBegin = '<!-- settings:begin -->'
export const settingsEnd = '<!-- settings:end -->'

/** The table in Markdown: Name, Default, Means. */
export function renderSettings(): string {
  const rows = Object.values<Setting<unknown>>(settingsTable).map((setting) => {
    const { name, isRequired, default: text, means, without = '', unit } = setting
    const shown = text === undefined ? without : [`\`${text}\``, unit ?? ''].join(' ').trimEnd()
    const defaultsTo = isRequired === true ? 'required' : shown
    return [`\`${name}\``, defaultsTo, means]
  })
  const lines = [['Name', 'Default', 'Means'], ['---', '---', '---'], ...rows]
  return lines
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n')
}

/** `document` with the table between its markers; `undefined` unless each marker is there once, in order. */
export function replaceSettings(document: string): string | undefined {
  const [before, inside, ...extra] = document.split(settingsBegin)
  const [, after, ...more] = inside?.split(settingsEnd) ?? []
  if (before === undefined || after === undefined || extra.length > 0 || more.length > 0) return undefined
  return `${before}${settingsBegin}\n\n${renderSettings()}\n\n${settingsEnd}${after}`
}

function main(): void {
  const path = fileURLToPath(new URL('../../docs/settings.md', import.meta.url))
  const count = Object.keys(settingsTable).length
  const document = readFileSync(path, 'utf8')
  const replaced = replaceSettings(document)
  if (replaced === undefined)
    return fail(`docs/settings.md does not hold ${settingsBegin} and ${settingsEnd} once each`)
  if (process.argv.includes('--check')) {
    if (replaced !== document)
      return fail('the settings in docs/settings.md are out of date: npm run docs:settings')
    process.stdout.write(`docs/settings.md shows all ${count} settings\n`)
    return
  }
  writeFileSync(path, replaced)
  process.stdout.write(`wrote ${count} settings into docs/settings.md\n`)
}

function fail(sentence: string): void {
  process.stderr.write(`${sentence}\n`)
  process.exitCode = 1
}

if (import.meta.main) main()
