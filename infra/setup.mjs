// Makes the repository ready to run: `npm ci` when node_modules is missing or older than the lockfile, else
// nothing. Every script that needs it runs it first (prequickstart, pretest, …), because `npm run` must work
// from a clean clone. No dependencies, and nothing newer than Node 20: it runs before Node 24 is installed.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const modules = join(root, 'node_modules')
const lockFolder = join(root, '.downscope')
const lock = join(lockFolder, 'setup.lock')
const oldestNode = 20
const lockExpiryMs = 15 * 60_000
const lockPollMs = 200

if (Number(process.versions.node.split('.')[0]) < oldestNode) {
  fail(`Node ${oldestNode} or newer is needed to set up; this is ${process.version}. See https://nodejs.org`)
}
if (!isReady()) {
  takeLock()
  // Another set-up may have done it while we waited.
  if (!isReady()) install()
}
linkCommand()

/** Ready when npm finished here with every version the lockfile names, and the scripts' own Node is in place. */
function isReady() {
  // npm writes node_modules/.package-lock.json last, after the install scripts.
  const installed = readPackages(join(modules, '.package-lock.json'))
  if (installed === undefined || !existsSync(join(modules, '.bin', 'node'))) return false
  const wanted = readPackages(join(root, 'package-lock.json')) ?? {}
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue
    const found = installed[path]
    // A package for another platform is absent and optional.
    if (found === undefined ? !entry.optional : found.version !== entry.version) return false
  }
  return true
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages
  } catch {
    return undefined
  }
}

function install() {
  process.stdout.write('downscope: installing dependencies (npm ci), once\n')
  const result = runNpm(['ci', '--include=dev', '--ignore-scripts=false', '--no-audit', '--no-fund'])
  if (result.error !== undefined) fail(`npm could not be started: ${result.error.message}`)
  if (result.status !== 0) {
    fail(
      'npm ci failed (its reason is above). The first run needs the npm registry: check the network, ' +
        '`npm config get proxy` and `npm config get registry`, then give the same command again.',
    )
  }
  if (!isReady()) {
    fail('npm ci ended well, yet node_modules is not what package-lock.json says; see `npm config ls`.')
  }
}

/** The npm that runs us, so that its version and its settings are the user's own. */
function runNpm(args) {
  const quiet = ['--loglevel=error', '--no-update-notifier']
  const options = { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] }
  const npm = process.env.npm_execpath
  return npm !== undefined && /npm-cli\.c?js$/.test(npm)
    ? spawnSync(process.execPath, [npm, ...args, ...quiet], options)
    : spawnSync('npm', [...args, ...quiet], { ...options, shell: process.platform === 'win32' })
}

/** Of several set-ups at once one installs; the others wait for it. The lock of a dead one is taken over. */
function takeLock() {
  mkdirSync(lockFolder, { recursive: true })
  for (let tries = 0; ; tries += 1) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' })
      process.once('exit', () => rmSync(lock, { force: true }))
      return
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    if (isAbandoned()) {
      rmSync(lock, { force: true })
      continue
    }
    if (tries === 0) process.stdout.write('downscope: another set-up is installing, waiting for it\n')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, lockPollMs)
  }
}

function isAbandoned() {
  const held = statSync(lock, { throwIfNoEntry: false })
  if (held === undefined) return false
  if (Date.now() - held.mtimeMs > lockExpiryMs) return true
  try {
    const holder = Number(readFileSync(lock, 'utf8'))
    // Empty for the moment between its creation and its writing.
    if (holder > 0) process.kill(holder, 0)
    return false
  } catch (error) {
    return error.code === 'ESRCH'
  }
}

/** `npx downscope` then finds it at once: npm links the commands of dependencies, and not the package's own. */
function linkCommand() {
  try {
    symlinkSync(join('..', '..', 'infra', 'downscope.mjs'), join(modules, '.bin', 'downscope'))
  } catch {
    // It is there already, or the platform has no links: npm finds the command, only later.
  }
}

function fail(sentence) {
  process.stderr.write(`downscope: ${sentence}\n`)
  process.exit(1)
}
