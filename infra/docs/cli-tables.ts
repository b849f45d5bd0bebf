import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Command } from '../../src/cli/command.ts'
import { commands } from '../../src/cli/main.ts'
import { exitCodes } from '../../src/cli/fault.ts'
import { clientSettings } from '../../src/cli/broker-url.ts'

// Writes the tables of docs/cli.md, between their markers, from the command line itself: `npm run docs:cli`.

const tables: Readonly<Record<string, () => string>> = {
  commands: () => {
    const rows = commands.map((command) => [`\`downscope ${usageOf(command)}\``, command.summary])
    return tableOf(['Command', 'Does'], rows)
  },
  'exit-codes': () =>
    tableOf(
      ['Status', 'Means'],
      Object.values(exitCodes).map(({ code, means }) => [String(code), means]),
    ),
  environment: () =>
    tableOf(
      ['Name', 'Default', 'Means'],
      Object.values(clientSettings).map(({ name, defaultsTo, means }) => [`\`${name}\``, defaultsTo, means]),
    ),
}

/** The document with every table as the code has it. Throws unless each has its two markers, once. */
export function replaceCliTables(document: string): string {
  return Object.entries(tables).reduce((text, [name, render]) => {
    const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`]
    const parts = text.split(begin)
    const [, after] = parts[1]?.split(end) ?? []
    if (parts.length !== 2 || after === undefined)
      throw new Error(`docs/cli.md must have ${begin} and ${end} once`)
    return `${parts[0]}${begin}\n\n${render()}\n\n${end}${after}`
  }, document)
}

function usageOf({ name, arguments: words = [] }: Command): string {
  return [name, ...words.map((word) => (word.isOptional === true ? `[${word.name}]` : word.name))].join(' ')
}

function tableOf(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  return [heading, heading.map(() => '---'), ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n')
}

if (import.meta.main) {
  const path = fileURLToPath(new URL('../../docs/cli.md', import.meta.url))
  writeFileSync(path, replaceCliTables(readFileSync(path, 'utf8')))
}
