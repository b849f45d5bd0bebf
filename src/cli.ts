import { main } from './cli/main.ts'
import './compose/without-generated-code.ts'

// The entry point of the command line, as source and in the bundle, where the broker has another name.
const broker = import.meta.url.endsWith('.ts') ? 'cloud-run.ts' : 'cloud-run.js'

// Whoever reads may have gone, as `head` does: that is no fault.
process.stdout.on('error', () => process.exit())
const { stdin, stdout, stderr, env } = process
const status = await main({
  args: process.argv.slice(2),
  env,
  stdin,
  stdout,
  stderr,
  brokerModule: new URL(broker, import.meta.url).href,
})
// Nobody waits any longer for what is still under way, as completion asks a broker and gives it up after a moment.
stdout.write('', () => stderr.write('', () => process.exit(status)))
