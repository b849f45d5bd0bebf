import { main } from './cli/main.ts'
import './compose/without-generated-code.ts'

// The entry point of the command line, as source and in the bundle, where everything has another name.
const isSource = import.meta.url.endsWith('.ts')
const beside = (name: string): string => new URL(`./${name}.${isSource ? 'ts' : 'js'}`, import.meta.url).href

// Whoever reads may have gone, as `head` does: that is no fault.
process.stdout.on('error', () => process.exit())
const { stdin, stdout, stderr, env } = process
const status = await main({
  args: process.argv.slice(2),
  env,
  stdin,
  stdout,
  stderr,
  brokerModules: { broker: beside('cloud-run'), endWithParent: beside('cli/dev/end-with-parent') },
})
// Nobody waits any longer for what is still under way, as completion asks a broker and gives it up after a moment.
stdout.write('', () => stderr.write('', () => process.exit(status)))
