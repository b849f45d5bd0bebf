import { existsSync, writeFileSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { type Call, type Command, wholeNumber } from '../command.ts'
import { choosePort, portIn, startBroker, type BrokerProcess } from '../dev/broker-process.ts'
import { makeFirstFiles, takeFolder } from '../dev/first-files.ts'
import { keepPolicyFile } from '../dev/policy-file.ts'
import {
  type DevelopmentIssuer,
  developmentClients,
  startDevelopmentIssuer,
} from '../dev/development-issuer.ts'
import { type Exit, createFault } from '../fault.ts'
import { createPaint, plain, withProgress, shellWord } from '../output.ts'
import { causeOf } from '../files.ts'
import { readKeyFile } from '../key-file.ts'
import { send } from '../send.ts'
import { nextSignal, type Terminal } from '../terminal.ts'

export const devCommands: readonly Command[] = [
  {
    name: 'dev',
    summary: 'run a broker on this machine, with its files in one folder',
    details:
      'SQLite, keys of its own, a policy with you as its administrator: made at the first start, kept for the next. ' +
      'The policy lies in the store, and policy.yaml of the folder is kept the same: change either. ' +
      'It asks Google itself, unless GOOGLE_OAUTH_TOKEN_URL and its like name another place; `npm run quickstart` has a stand-in for Google.',
    options: [
      {
        name: '--folder',
        value: 'PATH',
        summary: 'where its files are; by default .downscope/dev',
        offer: 'file',
      },
      {
        name: '--port',
        value: 'PORT',
        summary: 'where it listens (PORT); by default 8080, or any that is free',
      },
      {
        name: '--policy',
        value: 'FILE',
        summary: 'your own policy file (DOWNSCOPE_POLICY), instead of the policy in the folder and its store',
        offer: 'file',
      },
    ],
    examples: ['downscope dev', 'downscope dev --folder /tmp/second --port 8081'],
    run: runDev,
  },
]

async function runDev(call: Call): Promise<Exit> {
  const folder = resolve(call.text('--folder') ?? '.downscope/dev')
  const wanted = wholeNumber(call, '--port', { min: 1, max: 65_535 }) ?? portIn(call.terminal.env)
  const policy = ownPolicy(call)
  const leave = take(folder)
  try {
    const port = await choosePort(wanted ?? 8080)
    if (wanted !== undefined && port !== wanted) throw createFault('refused', `port ${wanted} is taken`)
    const interrupted = nextSignal()
    const issuer = await openDevelopmentIssuer(folder, port)
    try {
      const people = issuer === undefined ? {} : signInSettings(issuer)
      const settings = settingsIn(folder, port, { issuer: issuer?.url, policy })
      const endPolicyFile = policy === undefined ? await keepOwnPolicy(call, folder, settings) : undefined
      try {
        const broker = await withProgress(call, 'Starting the broker', () =>
          startBroker({
            port,
            env: { ...addressesIn(call.terminal.env), ...settings, ...people },
            logFile: join(folder, 'broker.log'),
            module: call.terminal.brokerModule,
          }),
        )
        return await stayUp({ call, broker, folder, policy, interrupted, issuer })
      } finally {
        await endPolicyFile?.()
      }
    } finally {
      await issuer?.close()
    }
  } finally {
    leave()
  }
}

interface Running {
  readonly call: Call
  readonly broker: BrokerProcess
  readonly folder: string
  readonly policy: string | undefined
  readonly interrupted: Promise<NodeJS.Signals>
  readonly issuer: DevelopmentIssuer | undefined
}

async function stayUp({ call, broker, folder, policy, interrupted, issuer }: Running): Promise<Exit> {
  const { stdout } = call.terminal
  try {
    writeFileSync(join(folder, 'env'), environmentFile(broker.url, folder), { mode: 0o600 })
    if (issuer !== undefined) await enrolDevelopmentClient(broker.url, folder, call.terminal)
    stdout.write(greeting(call, broker.url, { folder, policy, issuer: issuer?.url }))
    const end = await Promise.race([interrupted.then(() => undefined), broker.ended])
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
  const elsewhere = 'downscope dev --folder .downscope/second'
  try {
    return takeFolder(folder, elsewhere)
  } catch (error) {
    if (!(error instanceof Error)) throw error
    if (!('code' in error)) throw createFault('refused', error.message)
    throw createFault('refused', `nothing can be written to ${folder}: ${causeOf(error)}`, {
      hints: [elsewhere],
    })
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

/** The policy that is named, as a whole path; `undefined` for the one in the folder. */
function ownPolicy(call: Call): string | undefined {
  const named = call.text('--policy') ?? call.terminal.env['DOWNSCOPE_POLICY']?.trim()
  if (named === undefined || named === '') return undefined
  if (existsSync(named)) return resolve(named)
  const where = call.text('--policy') === undefined ? 'DOWNSCOPE_POLICY' : '--policy'
  throw createFault('usage', `${where} names ${plain(named)}, and there is no such file`)
}

function settingsIn(
  folder: string,
  port: number,
  { issuer, policy }: Pick<Places, 'issuer' | 'policy'>,
): Record<string, string> {
  const { sealingKeys } = makeFirstFiles(folder, issuer)
  return {
    DOWNSCOPE_ISSUER: `http://127.0.0.1:${port}`,
    DOWNSCOPE_STORE: `sqlite:${join(folder, 'store.db')}`,
    DOWNSCOPE_KEYS: sealingKeys,
    ...(policy !== undefined && { DOWNSCOPE_POLICY: policy }),
    DOWNSCOPE_AUDIT: 'stdout+store',
  }
}

/** The policy in the store, and the folder's file the same. */
function keepOwnPolicy(
  { terminal }: Call,
  folder: string,
  { DOWNSCOPE_ISSUER: broker = '' }: Readonly<Record<string, string>>,
): Promise<() => Promise<void>> {
  return keepPolicyFile({
    file: join(folder, 'policy.yaml'),
    store: join(folder, 'store.db'),
    broker,
    say: (lines) => void terminal.stdout.write(`${lines.map((line) => plain(line)).join('\n')}\n`),
  })
}

function environmentFile(url: string, folder: string): string {
  return `export DOWNSCOPE_URL=${url}\nexport DOWNSCOPE_ADMIN_KEY=${shellWord(join(folder, 'admin.jwk.json'))}\n`
}

interface Places {
  readonly folder: string
  readonly policy: string | undefined
  readonly issuer: string | undefined
}

function greeting({ terminal }: Call, url: string, { folder, policy, issuer }: Places): string {
  const { bold, dim } = createPaint(terminal.stdout, terminal.env)
  const me = terminal.env['npm_command'] === 'exec' ? 'npx downscope' : 'downscope'
  const file = (name: string) => shown(folder, name)
  const people =
    issuer === undefined
      ? ''
      : `  people   sign in at ${url}/console, without a password   ${dim(`the development issuer is ${issuer}`)}\n`
  const more =
    issuer === undefined
      ? ''
      : `  ${me} connect notes --upstream dev --client dev-client --scopes notes.read   ${dim('# somebody consents in a browser')}\n`
  return `${bold('A broker of your own')}, on this machine only.

  broker   ${url}   ${dim(`log: ${file('broker.log')}`)}
  policy   ${policy ?? file('policy.yaml')}   ${dim(policy === undefined ? 'change it, or change it in the console: both stay the same' : 'change it, and the broker sees it within seconds')}
  store    ${file('store.db')}   ${dim(`secrets in it are sealed with ${file('keys.txt')}`)}
  you      its administrator, by ${file('admin.jwk.json')}
${people}
${bold('In another terminal')}

  . ${shellWord(file('env'))}                                   ${dim('# says where it is, and who you are')}
  ${me} doctor
  ${me} credentials import KEY.json --name reports-sa      ${dim("# a service account's key file, from Google")}
  ${me} token reports-sa --key ${shellWord(file('my-service.jwk.json'))}
${more}  ${me} --help

${dim('Running until you press Ctrl-C.')}
`
}

function shown(folder: string, name: string): string {
  const path = join(folder, name)
  const short = relative(process.cwd(), path)
  return short.startsWith('..') ? path : short
}

/**
 * The development issuer of a folder, on the port that its policy names. `undefined` for a folder whose policy was made
 * without one, and where oidc-provider is not installed: the broker runs without it.
 */
async function openDevelopmentIssuer(
  folder: string,
  brokerPort: number,
): Promise<DevelopmentIssuer | undefined> {
  const file = join(folder, 'issuer-port')
  const isNew = !existsSync(join(folder, 'policy.yaml'))
  if (!isNew && !existsSync(file)) return undefined
  const port = isNew ? await choosePort(brokerPort + 1) : Number(readFileSync(file, 'utf8'))
  try {
    const issuer = await startDevelopmentIssuer({ port, broker: `http://127.0.0.1:${brokerPort}` })
    if (isNew) writeFileSync(file, String(port), { mode: 0o600 })
    return issuer
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ERR_MODULE_NOT_FOUND' || code === 'EADDRINUSE') return undefined
    throw error
  }
}

export function signInSettings({ url }: DevelopmentIssuer): Record<string, string> {
  return {
    DOWNSCOPE_SIGN_IN_ISSUER: url,
    DOWNSCOPE_SIGN_IN_CLIENT_ID: developmentClients.console,
    DOWNSCOPE_SIGN_IN_CLI_CLIENT_ID: developmentClients.cli,
    DOWNSCOPE_SIGN_IN_DEVICE_CLIENT_ID: developmentClients.device,
    DOWNSCOPE_SIGN_IN_SCOPES: 'openid email profile groups',
  }
}

/** Enrols the client of the development issuer, so that something can be connected at once; again, it changes nothing. */
export async function enrolDevelopmentClient(url: string, folder: string, terminal: Terminal): Promise<void> {
  const key = await readKeyFile(join(folder, 'admin.jwk.json'), terminal)
  const { id, secret } = developmentClients.connect
  const jwt = await key.sign({ issuer: 'ops', subject: 'ops', audience: url })
  await send(`${url}/v1/admin/credentials`, {
    method: 'POST',
    headers: { authorization: `Bearer ${jwt.reveal()}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      name: 'dev-client',
      upstream: 'dev',
      secret: { type: 'oauth_client', client_id: id, client_secret: secret },
    }),
  })
}
