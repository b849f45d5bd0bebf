import { join } from 'node:path'
import { parseArgs } from 'node:util'

export interface QuickstartArguments {
  readonly folder: string
  readonly once: boolean
}

const root = join(import.meta.dirname, '../..')

/** What stands after `npm run quickstart --`. Throws on anything else than `--once` and `--folder PATH`. */
export function parseArguments(args: readonly string[]): QuickstartArguments {
  const { values } = parseArgs({
    args: [...args],
    options: { once: { type: 'boolean', default: false }, folder: { type: 'string' } },
  })
  return { folder: values.folder ?? join(root, '.downscope/quickstart'), once: values.once }
}
