import { parseArguments } from './arguments.ts'
import { createPaint } from '../../src/cli/output.ts'
import { createShow } from './show.ts'
import { startWorld, type World } from './world.ts'

// `npm run quickstart`: the whole path on this machine, with a local stand-in for Google. `-- --once` ends after the
// show; `-- --folder PATH` puts the files elsewhere than .downscope/quickstart.

const paint = createPaint(process.stdout)
const print = (text: string): void => void process.stdout.write(`${text}\n`)

let world: World | undefined
try {
  const interrupted = nextSignal()
  await Promise.race([run(), interrupted])
} catch (error) {
  process.stderr.write(`\nThe quickstart failed: ${error instanceof Error ? error.message : String(error)}\n`)
  if (world !== undefined) process.stderr.write(`The broker's log: ${world.place.shown('broker.log')}\n`)
  process.exitCode = 1
} finally {
  await world?.stop()
}
// Nothing that is still open may hold the terminal. A broker not yet in `world` ends by itself when we do.
process.exit()

async function run(): Promise<void> {
  const { folder, once, port } = parseArguments(process.argv.slice(2), process.env)
  if ((process.env['DOWNSCOPE_POLICY'] ?? '') !== '')
    print(
      'DOWNSCOPE_POLICY is not used here: the quickstart has its own policy. downscope dev --policy FILE takes yours.',
    )
  world = await startWorld(folder, port)
  const show = createShow({ world, paint, print })
  await show.places()
  await show.exchanges()
  if (once) {
    print('\nDone: all of it worked. Without --once it stays up for you to try.')
    return
  }
  await show.nextSteps()
  throw new Error(`the broker ended by itself (${await world.broker.ended})`)
}

function nextSignal(): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      print(
        `\nStopping. The files stay${world === undefined ? '' : ` in ${world.place.shown('')}`} until the next run.`,
      )
      resolve()
    }
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, stop)
  })
}
