import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import { startGoogleStandIn, type GoogleStandIn } from './google/stand-in.ts'
import { runCli, type CliOutcome } from './run-cli.ts'
import { runAtTerminal, type Shown, type TerminalOptions } from './run-in-terminal.ts'
import { createBrokerYard, type BrokerProcess, type BrokerSettings } from './spawn-broker.ts'

/** One person with a folder and the command line, a broker to talk to, and Google's stand-in behind it. */
export interface CliWorld {
  readonly google: GoogleStandIn
  /** Where the broker will be, or is. */
  readonly url: string
  readonly folder: string
  readonly path: (name: string) => string
  readonly write: (name: string, text: string) => void
  readonly read: (name: string) => string
  /** What the person has in the environment; changed as the story goes on. */
  readonly env: Record<string, string>
  /** Settings of the broker, whose sealing keys lie in the file `keys.txt`. */
  readonly settings: () => BrokerSettings
  readonly startBroker: () => Promise<BrokerProcess>
  /** At a terminal. */
  readonly type: (args: readonly string[], options?: Partial<TerminalOptions>) => Promise<Shown>
  /** Every command line that was typed so far. */
  readonly typed: readonly string[]
  /** As a script would, without a terminal and in this process: paths must be whole. */
  readonly run: (args: readonly string[], env?: Readonly<Record<string, string>>) => Promise<CliOutcome>
  readonly close: () => Promise<void>
}

export async function createCliWorld(): Promise<CliWorld> {
  const google = await startGoogleStandIn()
  const folder = mkdtempSync(join(tmpdir(), 'downscope-cli-'))
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const yard = createBrokerYard()
  const env: Record<string, string> = {}
  const typed: string[] = []
  const path = (name: string) => join(folder, name)
  const read = (name: string) => readFileSync(path(name), 'utf8')
  const settings = () => ({
    DOWNSCOPE_ISSUER: url,
    DOWNSCOPE_STORE: `sqlite:${path('store.db')}`,
    DOWNSCOPE_KEYS: read('keys.txt').trim(),
    DOWNSCOPE_AUDIT: 'stdout+store',
    ...google.endpoints,
  })
  return {
    google,
    url,
    folder,
    path,
    read,
    write: (name, text) => writeFileSync(path(name), text, { mode: 0o600 }),
    env,
    settings,
    startBroker: () => yard.start({ ...settings(), PORT: String(port) }),
    type: (args, options = {}) => {
      typed.push(args.join(' '))
      return runAtTerminal(args, { cwd: folder, ...options, env: { ...env, ...options.env } })
    },
    typed,
    run: (args, more = {}) => runCli(args, { env: { ...env, ...more } }),
    close: async () => {
      try {
        await yard.close()
      } finally {
        await google.close()
        rmSync(folder, { recursive: true, force: true })
      }
    },
  }
}
