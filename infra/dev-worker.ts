import { startWrangler } from './wrangler.ts'

// Serves the Worker on this machine, without an account: `npm run dev:worker -- --port N --var NAME:VALUE …`. Settings
// may also stand in .dev.vars (NAME=VALUE, ignored by git). What it stores lies under .wrangler/.

const wrangler = startWrangler(['dev', '--show-interactive-dev-session=false', ...process.argv.slice(2)])

// npm ends its shell and not what runs in it.
const parent = process.ppid
setInterval(() => {
  if (process.ppid !== parent) wrangler.kill('SIGTERM')
}, 250)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => void wrangler.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal))
wrangler.once('error', (error) => {
  throw error
})
wrangler.once('exit', (code) => process.exit(code ?? 0))
