import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'

import type { Call, Command } from './command.ts'
import { choosePort, startBroker, type BrokerProcess } from './dev/broker-process.ts'
import { takeFolder } from './dev/take-folder.ts'
import type { Exit } from './exit-code.ts'
import { createFault } from './fault.ts'
import { sealingKey } from './keys.ts'
import { createPerson, issuerEntry } from './person.ts'
import { writeNewFile } from './write-new-file.ts'
import { createPaint } from './paint.ts'
import { withProgress } from './progress.ts'
import { wholeNumber } from './whole-number.ts'

export const devCommands: readonly Command[] = [
  {
    name: 'dev',
    summary: 'run a broker on this machine, with everything in one folder',
    details:
      'SQLite, keys of its own, a policy with you as its administrator: made at the first start, kept for the next. ' +
      'It asks Google itself, unless GOOGLE_OAUTH_TOKEN_URL and its like name another place; `npm run quickstart` has a stand-in for Google.',
    options: [
      {
        name: '--folder',
        value: 'PATH',
        summary: 'where its files are; by default .downscope/dev',
        offer: 'file',
      },
      { name: '--port', value: 'PORT', summary: 'where it listens; by default 8080, or any that is free' },
    ],
    examples: ['downscope dev', 'downscope dev --folder /tmp/second --port 8081'],
    run: runDev,
  },
]

async function runDev(call: Call): Promise<Exit> {
  const folder = resolve(call.text('--folder') ?? '.downscope/dev')
  const wanted = wholeNumber(call, '--port', { min: 1, max: 65_535 })
  const leave = take(folder)
  try {
    const port = await choosePort(wanted ?? 8080)
    if (wanted !== undefined && port !== wanted) throw createFault('refused', `port ${wanted} is taken`)
    const interrupted = nextSignal()
    const broker = await withProgress(call, 'Starting the broker', () =>
      startBroker({
        port,
        env: { ...addressesIn(call.terminal.env), ...settingsIn(folder, port) },
        logFile: join(folder, 'broker.log'),
        door: call.terminal.door,
      }),
    )
    return await stayUp({ call, broker, folder, interrupted })
  } finally {
    leave()
  }
}

interface Running {
  readonly call: Call
  readonly broker: BrokerProcess
  readonly folder: string
  readonly interrupted: Promise<void>
}

async function stayUp({ call, broker, folder, interrupted }: Running): Promise<Exit> {
  const { stdout } = call.terminal
  try {
    writeFileSync(join(folder, 'env'), environmentFile(broker.url, folder), { mode: 0o600 })
    stdout.write(greeting(call, broker.url, folder))
    const end = await Promise.race([interrupted, broker.ended])
    if (end !== undefined)
      throw createFault('refused', `the broker ended by itself (${end})`, {
        hints: [`Its log: ${shown(folder, 'broker.log')}`],
      })
    stdout.write('\nStopping. The files stay, and the next start goes on with them.\n')
    return 'done'
  } finally {
    await broker.stop()
  }
}

function take(folder: string): () => void {
  try {
    return takeFolder(folder, 'downscope dev --folder .downscope/second')
  } catch (error) {
    throw createFault('refused', error instanceof Error ? error.message : 'the folder cannot be used')
  }
}

/** Where it asks instead of Google: the one thing that it takes over from the shell. */
function addressesIn(env: Call['terminal']['env']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      /^GOOGLE_[A-Z_]+_URL$/.test(name) && value !== undefined ? [[name, value]] : [],
    ),
  )
}

/** Makes what is missing of keys and policy; what is there stays. */
function settingsIn(folder: string, port: number): Record<string, string> {
  const file = (name: string) => join(folder, name)
  if (!existsSync(file('keys.txt'))) writeNewFile(file('keys.txt'), `${sealingKey()}\n`)
  if (!existsSync(file('policy.yaml'))) {
    const [admin, caller] = [createPerson('ops'), createPerson('my-service')]
    writeNewFile(file('admin.jwk.json'), `${JSON.stringify(admin.privateJwk)}\n`)
    writeNewFile(file('my-service.jwk.json'), `${JSON.stringify(caller.privateJwk)}\n`)
    writeNewFile(
      file('policy.yaml'),
      firstPolicy(issuerEntry(admin, 'ops'), issuerEntry(caller, 'my-service')),
    )
  }
  return {
    DOWNSCOPE_ISSUER: `http://127.0.0.1:${port}`,
    DOWNSCOPE_STORE: `sqlite:${file('store.db')}`,
    DOWNSCOPE_KEYS: readFileSync(file('keys.txt'), 'utf8').trim(),
    DOWNSCOPE_POLICY: file('policy.yaml'),
    DOWNSCOPE_AUDIT: 'stdout+store',
  }
}

function firstPolicy(admin: string, caller: string): string {
  return `# Who may have which token. The broker sees a change of this file within seconds, and keeps the last good one if a
# change has a fault: downscope policy check says where. Every key is explained in docs/policy.md.
version: 1

issuers:            # whose signatures count
${admin}${caller}
admins:
  - callers: [{ issuer: ops, subject: ops }]
    role: admin

rules:              # the first rule that matches caller and credential decides
  - name: my service reads objects
    callers: [{ issuer: my-service, subject: my-service }]
    credential: reports-sa
    scopes: [https://www.googleapis.com/auth/devstorage.read_only]
`
}

function environmentFile(url: string, folder: string): string {
  const quoted = (text: string) => `'${text.replaceAll("'", String.raw`'\''`)}'`
  return `export DOWNSCOPE_URL=${url}\nexport DOWNSCOPE_ADMIN_KEY=${quoted(join(folder, 'admin.jwk.json'))}\n`
}

function greeting({ terminal }: Call, url: string, folder: string): string {
  const { bold, dim } = createPaint(terminal.stdout, terminal.env)
  const me = terminal.env['npm_command'] === 'exec' ? 'npx downscope' : 'downscope'
  const file = (name: string) => shown(folder, name)
  return `${bold('A broker of your own')}, on this machine only.

  broker   ${url}   ${dim(`log: ${file('broker.log')}`)}
  policy   ${file('policy.yaml')}   ${dim('change it, and the broker sees it within seconds')}
  store    ${file('store.db')}   ${dim(`secrets in it are sealed with ${file('keys.txt')}`)}
  you      its administrator, by ${file('admin.jwk.json')}

${bold('In another terminal')}

  . ${file('env')}                                   ${dim('# says where it is, and who you are')}
  ${me} doctor
  ${me} credentials import KEY.json --name reports-sa      ${dim("# a service account's key file, from Google")}
  ${me} token reports-sa --key ${file('my-service.jwk.json')}
  ${me} --help

${dim('Running until you press Ctrl-C.')}
`
}

function shown(folder: string, name: string): string {
  const path = join(folder, name)
  const short = relative(process.cwd(), path)
  return short.startsWith('..') ? path : short
}

function nextSignal(): Promise<void> {
  return new Promise((done) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => done())
  })
}
