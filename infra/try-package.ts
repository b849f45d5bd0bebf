import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { startGoogleStandIn } from '../test/support/google/stand-in.ts'

// Installs the package from its tarball into an empty folder, without network, and does there what a new user does. A test
// runs it with this Node; `node infra/try-package.ts NODE…` with others, and fails where the first token takes a minute.

const root = join(import.meta.dirname, '..')
const readyMsMax = 60_000
const firstTokenSecondsMax = 60
export const residentMibMax = 150

/** An empty folder with the package in it. */
export interface Installed {
  readonly folder: string
  /** Runs a shell command there with nothing of our environment; throws unless it ends with status 0. Standard output. */
  readonly shell: (command: string) => Promise<string>
  readonly env: Readonly<Record<string, string>>
  readonly remove: () => void
}

export interface Tried {
  /** From the installation to the first token. */
  readonly seconds: number
  readonly commands: readonly string[]
  /** The largest resident memory of each process, where /proc says it. */
  readonly mib: Readonly<Record<string, number>>
  /** What each command printed. */
  readonly printed: Readonly<Record<string, string>>
}

/** `npm pack`: builds, and resolves to the tarball's path in `folder`. */
export async function pack(folder: string): Promise<string> {
  const printed = await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: root })
  return join(folder, printed.trim().split('\n').at(-1) ?? '')
}

/** `node`: the program that is first on PATH as `node`. */
export async function install(tarball: string, node: string = process.execPath): Promise<Installed> {
  const folder = mkdtempSync(join(tmpdir(), 'downscope-package-'))
  const env = {
    PATH: [dirname(node), process.env['PATH'] ?? ''].join(delimiter),
    HOME: join(folder, 'home'),
    npm_config_update_notifier: 'false',
  }
  mkdirSync(env.HOME)
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
  const shell = (command: string) => run('bash', ['-ec', command], { cwd: folder, env })
  await shell(`npm install --offline --no-save --no-audit --no-fund --silent ${tarball}`)
  return { folder, shell, env, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

/** The way to a first token and to an agent's. Throws where a step fails. */
export async function tryPackage(
  { folder, shell, env }: Installed,
  sinceMs: number,
  port: number,
): Promise<Tried> {
  const google = await startGoogleStandIn()
  const started: ChildProcess[] = []
  const start = (command: string) => {
    const child = spawn('bash', ['-c', command], {
      cwd: folder,
      env: { ...env, ...google.endpoints },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    started.push(child)
    return child
  }
  const mib: Record<string, number> = {}
  const printed: Record<string, string> = {}
  try {
    const key = await google.createServiceAccount({ email: 'reports@acme.iam.gserviceaccount.com' })
    writeFileSync(join(folder, 'reports-key.json'), JSON.stringify(key))
    const commands = [
      'npx downscope dev',
      '. .downscope/dev/env',
      'npx downscope credentials import reports-key.json --name reports-sa',
      'npx downscope token reports-sa --key .downscope/dev/my-service.jwk.json',
    ]
    const [dev = '', settings = '', enrol = '', token = ''] = commands
    const broker = start(`exec ${dev.replace('npx downscope', 'node_modules/.bin/downscope')} --port ${port}`)
    printed['dev'] = await untilPrinted(broker, /Running until/)
    printed['import'] = await shell(`${settings}\n${enrol}`)
    printed['token'] = (await shell(`${settings}\n${token}`)).trim()
    const seconds = (performance.now() - sinceMs) / 1000
    printed['policy check'] = await shell('npx downscope policy check .downscope/dev/policy.yaml')

    const agent = start(
      `exec node_modules/.bin/downscope agent --broker http://127.0.0.1:${port} --account default=reports-sa ` +
        '--key .downscope/dev/my-service.jwk.json --caller my-service --port 0',
    )
    const url = /http:\S+/.exec(await untilPrinted(agent, /listening on/))?.[0] ?? ''
    const answer = await fetch(`${url}/computeMetadata/v1/instance/service-accounts/default/token`, {
      headers: { 'Metadata-Flavor': 'Google' },
    })
    printed['agent'] = await answer.text()
    if (!answer.ok) throw new Error(`the agent answers ${answer.status}: ${printed['agent']}`)

    const pids = { dev: broker.pid, broker: await childOf(broker.pid), agent: agent.pid }
    for (const [name, pid] of Object.entries(pids)) mib[name] = peakMib(pid)
    return { seconds, commands: ['npm install downscope', ...commands], mib, printed }
  } finally {
    for (const child of started) await end(child)
    await google.close()
  }
}

async function untilPrinted(child: ChildProcess, wanted: RegExp): Promise<string> {
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (more: string) => (text += more))
  const deadlineMs = performance.now() + readyMsMax
  while (!wanted.test(text)) {
    if (child.exitCode !== null || performance.now() > deadlineMs)
      throw new Error(`it did not start: ${text}`)
    await wait(20)
  }
  return text
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('close', resolve))
  child.kill('SIGTERM')
  await ended
}

async function childOf(pid = 0): Promise<number> {
  return Number((await run('ps', ['-o', 'pid=', '--ppid', String(pid)])).trim().split(/\s+/)[0])
}

/** Linux: the most that it had resident so far. */
function peakMib(pid = 0): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}

async function run(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const status = await new Promise((resolve) => child.once('close', resolve))
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stdout}${stderr}`)
  return stdout
}

if (import.meta.main) {
  const folder = mkdtempSync(join(tmpdir(), 'downscope-tarball-'))
  try {
    const tarball = await pack(folder)
    for (const path of process.argv.slice(2)) {
      // It is called in another folder.
      const node = resolve(path)
      const sinceMs = performance.now()
      const installed = await install(tarball, node)
      const { seconds, mib } = await tryPackage(installed, sinceMs, 8650).finally(installed.remove)
      const version = (await run(node, ['--version'])).trim()
      const sizes = Object.entries(mib).map(([name, size]) => `${name} ${size.toFixed(0)} MiB`)
      process.stdout.write(`${version}: first token after ${seconds.toFixed(1)} s; ${sizes.join(', ')}\n`)
      if (seconds > firstTokenSecondsMax)
        throw new Error(`the first token took longer than ${firstTokenSecondsMax} s`)
      if (Object.values(mib).some((size) => !(size < residentMibMax)))
        throw new Error(`a process had more than ${residentMibMax} MiB`)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
