import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { portIn } from '../../src/cli/dev/broker-process.ts'

export interface QuickstartArguments {
  readonly folder: string
  readonly once: boolean
  /** By `--port` or PORT; absent for 8080, or any that is free. */
  readonly port: number | undefined
}

const root = join(import.meta.dirname, '../..')

/** What stands after `npm run quickstart --`. Throws on anything else than `--once`, `--folder PATH` and `--port PORT`. */
export function parseArguments(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): QuickstartArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      once: { type: 'boolean', default: false },
      folder: { type: 'string' },
      port: { type: 'string' },
    },
  })
  return {
    folder: values.folder ?? join(root, '.downscope/quickstart'),
    once: values.once,
    port: portIn({ PORT: values.port ?? env['PORT'] }),
  }
}
