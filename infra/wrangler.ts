import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const program = join(root, 'node_modules/wrangler/bin/wrangler.js')

/** Wrangler asks nobody beyond this machine: no metrics, no crash reports, no sample request data, no newer version. */
const environment = {
  ...process.env,
  WRANGLER_SEND_METRICS: 'false',
  WRANGLER_SEND_ERROR_REPORTS: 'false',
  CLOUDFLARE_CF_FETCH_ENABLED: 'false',
  // Its banner is what looks for a newer version.
  WRANGLER_HIDE_BANNER: 'true',
}

/** Wrangler's output; throws with all of it when it fails. */
export function runWrangler(args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(process.execPath, [program, ...args], {
    cwd: root,
    encoding: 'utf8',
    env: environment,
  })
  if (status !== 0) throw new Error(`wrangler ${args.join(' ')}\n${error?.message ?? ''}${stdout}${stderr}`)
  return stdout
}

/** Wrangler at our own terminal, or silent. */
export function startWrangler(
  args: readonly string[],
  stdio: 'inherit' | 'ignore' = 'inherit',
): ChildProcess {
  return spawn(process.execPath, [program, ...args], { cwd: root, env: environment, stdio })
}
