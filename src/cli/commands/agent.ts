import { isLoopback } from '../../domain/url.ts'
import type { AgentOptions, RunningAgent } from '../../agent/agent.ts'
import type { Account } from '../../agent/metadata.ts'
import { brokerGiven, brokerOptions, proofGiven, proofOptions } from '../identity.ts'
import { type Call, type Command, type OptionSpec, wholeNumber } from '../command.ts'
import { type Exit, createFault } from '../fault.ts'
import { nextSignal } from '../terminal.ts'

const accountOptions: readonly OptionSpec[] = [
  {
    name: '--account',
    value: 'ALIAS=CREDENTIAL',
    summary: 'an account to offer; clients ask for the alias default; may be repeated',
    isRepeatable: true,
  },
  {
    name: '--email',
    value: 'ALIAS=EMAIL',
    summary: 'how an account is called; by default CREDENTIAL@HOST of the broker; may be repeated',
    isRepeatable: true,
  },
  { name: '--project-id', value: 'ID', summary: 'the project that clients find' },
  { name: '--project-number', value: 'NUMBER', summary: 'its number; gcloud asks for it first' },
]

const servingOptions: readonly OptionSpec[] = [
  {
    name: '--recheck',
    value: 'SECONDS',
    summary: 'how long a token is served before the broker is asked whether it still holds; by default 60',
  },
  { name: '--any-user', summary: 'serve every user of this machine, and not only the own' },
]

const options: readonly OptionSpec[] = [
  ...brokerOptions,
  ...accountOptions,
  ...proofOptions,
  ...servingOptions,
]

export const agentCommands: readonly Command[] = [
  {
    name: 'agent',
    summary: 'act as the metadata server beside a workload',
    details:
      "Google's client libraries ask it as on a machine of Google, and get tokens of the broker. Tokens stay in memory.",
    options: [
      ...options,
      { name: '--port', value: 'PORT', summary: 'where it listens; by default 8970, 0 is any that is free' },
      { name: '--host', value: 'HOST', summary: 'by default 127.0.0.1; beyond loopback with --allow-remote' },
      { name: '--allow-remote', summary: 'listen beyond loopback: whoever reaches it gets tokens' },
      {
        name: '--allow-host',
        value: 'HOST',
        summary: 'a name that requests may call it by; may be repeated',
        isRepeatable: true,
      },
      { name: '--socket', value: 'PATH', summary: 'a Unix socket instead of a port', offer: 'file' },
    ],
    examples: [
      'downscope agent --broker https://tokens.acme.example --account default=reports-sa --jwt-file /var/run/secrets/tokens/downscope',
      'downscope agent --broker https://tokens.acme.example --account default=reports-sa --account etl=warehouse-sa --platform gce',
    ],
    run: runAgent,
  },
  {
    name: 'agent exec',
    summary: 'run a command whose Google clients ask an agent of its own',
    details:
      'The agent listens on a free port for as long as the command runs, and ends with its status. The command does not ' +
      'see DOWNSCOPE_* nor what proves who it is.',
    arguments: [{ name: 'COMMAND', summary: 'what is run, after --', isRepeatable: true }],
    options,
    examples: [
      'downscope agent exec --broker https://tokens.acme.example --account default=reports-sa --key billing.jwk.json -- node report.js',
      'downscope agent exec --broker https://tokens.acme.example --account default=reports-sa --platform github -- terraform plan',
    ],
    run: runExec,
  },
]

async function runAgent(call: Call): Promise<Exit> {
  const interrupted = nextSignal()
  const agent = await start(call, placeOf(call))
  call.terminal.stdout.write(`listening on ${agent.places.join(' and ')}\n`)
  const signal = await interrupted
  agent.close()
  return signal === 'SIGINT' ? 'interrupted' : 'done'
}

async function runExec(call: Call): Promise<number> {
  const agent = await start(call, { port: 0, host: '127.0.0.1', allowedHosts: [] })
  try {
    const { childEnvironment, runCommand } = await import('../../agent/agent.ts')
    const env = childEnvironment(call.terminal.env, {
      authority: agent.authority ?? '',
      projectId: call.text('--project-id'),
    })
    return await runCommand(call.texts('COMMAND'), env, (text) => void call.terminal.stderr.write(text))
  } finally {
    agent.close()
  }
}

type Place = Pick<AgentOptions, 'port' | 'host' | 'socket' | 'allowedHosts'>

function placeOf(call: Call): Place {
  const host = call.text('--host') ?? '127.0.0.1'
  const socket = call.text('--socket')
  const port = wholeNumber(call, '--port', { min: 0, max: 65_535 })
  const allowedHosts = call.texts('--allow-host')
  if (!isLoopback(host.includes(':') ? `[${host}]` : host)) {
    if (!call.has('--allow-remote'))
      throw createFault('usage', `${host} is reached from elsewhere: whoever asks there gets tokens`, {
        hints: ['If that is meant: --allow-remote, and --allow-host NAME for each name it is called by.'],
      })
    if (allowedHosts.length === 0)
      throw createFault('usage', '--allow-remote needs --allow-host NAME, the host name that clients use')
  }
  return { host, socket, allowedHosts, port: port ?? (socket === undefined ? 8970 : undefined) }
}

async function start(call: Call, place: Place): Promise<RunningAgent> {
  const broker = brokerGiven(call)
  const accounts = accountsOf(call, new URL(broker.issuer ?? broker.url).hostname)
  const projectNumber = call.text('--project-number')
  if (projectNumber !== undefined && !/^\d{1,20}$/.test(projectNumber))
    throw createFault('usage', '--project-number has digits only')
  const recheckSeconds = wholeNumber(call, '--recheck', { min: 1, max: 86_400 }) ?? 60
  const { proof, isFixed } = await proofGiven(call)
  const { startAgent } = await import('../../agent/agent.ts')
  try {
    return await startAgent({
      ...place,
      broker: broker.url,
      brokerIssuer: broker.issuer ?? (isFixed ? broker.url : undefined),
      proof,
      accounts,
      projectId: call.text('--project-id'),
      projectNumber,
      // Peers of other machines are in no table of this one.
      anyUser: call.has('--any-user') || call.has('--allow-remote'),
      recheckSeconds,
      write: (text) => void call.terminal.stderr.write(text),
    })
  } catch (error) {
    throw createFault('refused', error instanceof Error ? error.message : 'the agent cannot start')
  }
}

/** Each `--account`, under the e-mail that is given or made for it. */
function accountsOf(call: Call, host: string): readonly Account[] {
  const pairs = call.texts('--account').map((text) => pairIn(text, '--account', 'default'))
  if (pairs.length === 0)
    throw createFault('usage', 'credential required: pass --account default=CREDENTIAL', {
      hints: ['Clients ask for the account default, unless they are told another.'],
    })
  const emails = new Map(call.texts('--email').map((text) => pairIn(text, '--email', 'default')))
  const accounts = pairs.map(([alias, credential]) => {
    const email = emails.get(alias) ?? `${credential}@${host}`
    if (!/^[\w.-]+$/.test(alias) || alias === 'token')
      throw createFault('usage', `--account ${alias}: an alias has letters, digits, ".", "_" and "-"`)
    if (!/^[\w.-]+$/.test(credential))
      throw createFault('usage', `--account ${alias}: ${credential} is no credential`)
    if (!/^[\w.-]+@[\w.[\]:-]+$/.test(email))
      throw createFault('usage', `--email ${alias}: ${email} is no e-mail`)
    return { alias, credential, email }
  })
  const names = accounts.flatMap(({ alias, email }) => [alias, email])
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined)
    throw createFault('usage', `two accounts share the name ${twice}: pass another --email for one of them`)
  const stray = [...emails.keys()].find((alias) => accounts.every((account) => account.alias !== alias))
  if (stray !== undefined) throw createFault('usage', `--email ${stray}: there is no account of that alias`)
  return accounts
}

/** `ALIAS=VALUE`; a value alone is that of `otherwise`. */
function pairIn(text: string, option: string, otherwise: string): readonly [string, string] {
  const at = text.indexOf('=')
  const [alias, value] = at < 0 ? [otherwise, text] : [text.slice(0, at), text.slice(at + 1)]
  if (alias === '' || value === '') throw createFault('usage', `${option} is ALIAS=VALUE`)
  return [alias, value]
}
