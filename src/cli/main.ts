import { CommanderError, Argument, Command as Commander, Option } from 'commander'
import { isConfigurationFault, startFault } from '../config/setting-faults.ts'
import { complete, completionCommands } from './commands/completion.ts'
import { createFault, exitCodes, isFault, type Exit, type Fault } from './fault.ts'
import { createPaint, json, table } from './output.ts'
import { isShownInstead } from './request-shown.ts'
import type { Terminal } from './terminal.ts'
import { agentCommands } from './commands/agent.ts'
import { auditCommands } from './commands/audit.ts'
import { callerCommands, serviceCommands } from './commands/service.ts'
import type { Command, Family, Call, OptionSpec } from './command.ts'
import { connectCommands } from './commands/connect.ts'
import { credentialCommands } from './commands/credentials.ts'
import { devCommands } from './commands/dev.ts'
import { doctorCommands } from './commands/doctor.ts'
import { eventCommands } from './commands/events.ts'
import { explainCommands } from './commands/explain.ts'
import { importCommands } from './commands/import.ts'
import { jwtCommands } from './commands/jwt.ts'
import { keyCommands } from './commands/keys.ts'
import { loginCommands } from './commands/login.ts'
import { maintenanceCommands, rewrapCommands } from './commands/maintenance.ts'
import { policyCommands } from './commands/policy.ts'
import { revokeCommands, versionCommands } from './commands/versions.ts'
import { rotationCommands } from './commands/rotation.ts'
import { statusCommands } from './commands/status.ts'
import { storeCommands } from './commands/store.ts'
import { suggestCommands } from './commands/suggest.ts'
import { tokenCommands } from './commands/token.ts'
import { softwareVersion } from '../domain/version.ts'

/** Does what the command line says, and resolves with the status of the process. Never rejects. */
export async function main(terminal: Terminal): Promise<number> {
  const [first, ...words] = terminal.args
  if (first === completionWord) return complete({ words, commands, families, terminal })
  let exit: Exit | number = 'done'
  const program = createProgram({ families, commands, terminal, onEnd: (end) => (exit = end) })
  try {
    await program.parseAsync([...terminal.args], { from: 'user' })
  } catch (error) {
    return statusOf(error, terminal)
  }
  return typeof exit === 'number' ? exit : exitCodes[exit].code
}

/** What the completion scripts give in place of a command; it is in no help. */
const completionWord = '__complete'

function statusOf(error: unknown, terminal: Terminal): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return exitCodes.done.code
    if (terminal.args.includes('--json')) tell(usageFault(error), terminal)
    return exitCodes.usage.code
  }
  if (isShownInstead(error)) return exitCodes.done.code
  if (isFault(error)) {
    tell(error, terminal)
    return exitCodes[error.exit].code
  }
  const fault = startFault(error)
  if (fault !== undefined) {
    const exit = isConfigurationFault(error) ? 'usage' : 'refused'
    tell(createFault(exit, fault), terminal)
    return exitCodes[exit].code
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
  terminal.stderr.write(`${paintOf(terminal).bad('a bug in downscope:')} ${stack}\n`)
  return exitCodes.refused.code
}

/** Without `--json` commander has told it already. */
function usageFault({ message }: CommanderError): Fault {
  return createFault('usage', message.replace(/^error: /, ''), { hints: ['downscope --help'] })
}

/** What is wrong, and what to do; with `--json` as one document. */
function tell({ message, hints, code, requestId, exit }: Fault, terminal: Terminal): void {
  if (terminal.args.includes('--json')) {
    const status = exitCodes[exit].code
    terminal.stderr.write(json({ error: message, code, request_id: requestId, hints, exit: status }))
    return
  }
  const { bad, dim } = paintOf(terminal)
  const lines = [
    `${bad('error:')} ${message}`,
    ...hints.map((hint) => `  ${hint}`),
    ...(requestId === undefined || hints.some((hint) => hint.includes(requestId))
      ? []
      : [dim(`  request id ${requestId}: the broker's log says more`)]),
  ]
  terminal.stderr.write(`${lines.join('\n')}\n`)
}

function paintOf({ stderr, env }: Terminal) {
  return createPaint(stderr, env)
}

/** The words that open a list of commands. */
export const families: readonly Family[] = [
  { name: 'credentials', summary: 'enrol, list, disable and rotate credentials' },
  { name: 'versions', summary: 'list and disable single versions of a credential' },
  { name: 'policy', summary: 'check, compare and replace the policy' },
  { name: 'audit', summary: 'list, follow and export audit records' },
  { name: 'events', summary: 'list events, and send a test event to the webhook' },
  { name: 'keys', summary: 'generate keys and rewrap the store' },
  { name: 'store', summary: 'export, import and copy the store' },
  { name: 'callers', summary: 'block or unblock one caller' },
  { name: 'context', summary: 'choose between the brokers that you signed in at' },
  { name: 'service', summary: 'show the broker status, stop and resume it' },
  { name: 'maintenance', summary: 'rotate, remove, probe and delete what is due' },
]

/** Every command, in the order of the help. */
export const commands: readonly Command[] = [
  ...importCommands,
  ...credentialCommands,
  ...connectCommands,
  ...rotationCommands,
  ...revokeCommands,
  ...versionCommands,
  ...policyCommands,
  ...suggestCommands,
  ...explainCommands,
  ...auditCommands,
  ...eventCommands,
  ...tokenCommands,
  ...agentCommands,
  ...jwtCommands,
  ...keyCommands,
  ...rewrapCommands,
  ...storeCommands,
  ...callerCommands,
  ...statusCommands,
  ...serviceCommands,
  ...maintenanceCommands,
  ...loginCommands,
  ...devCommands,
  ...doctorCommands,
  ...completionCommands,
]

interface ProgramParts {
  readonly families: readonly Family[]
  readonly commands: readonly Command[]
  readonly terminal: Terminal
  /** Told how the command ended. */
  readonly onEnd: (exit: Exit | number) => void
}

/** The command line as commander parses it: one of its commands for each of ours, in the order given. */
export function createProgram({ families, commands, terminal, onEnd }: ProgramParts): Commander {
  const paint = createPaint(terminal.stdout, terminal.env)
  const isJson = terminal.args.includes('--json')
  const program = new Commander('downscope')
    .description('Manages a Downscope token broker, and runs one on this machine.')
    .version(softwareVersion, '--version', 'print the version')
    .helpOption('-h, --help', 'show what a command does, with examples')
    .helpCommand('help [command]', 'the same as --help')
    .usage('<command> [options]')
    // `agent` is a command and has commands: an option belongs to the one it stands behind.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void terminal.stdout.write(text),
      writeErr: (text) => void terminal.stderr.write(text),
      // With --json the fault is told as a document, where all are.
      outputError: (text, write) =>
        isJson ? undefined : write(text.replace(/^error: /, `${paintedError(terminal)} `)),
      getOutHelpWidth: () => terminal.stdout.columns ?? 100,
      getErrHelpWidth: () => terminal.stderr.columns ?? 100,
      getOutHasColors: () => terminal.stdout.isTTY === true,
      getErrHasColors: () => terminal.stderr.isTTY === true,
    })
    .configureHelp({ styleTitle: paint.bold, showGlobalOptions: false })
    .showSuggestionAfterError()
    .addHelpText('after', () => afterword(paint.bold))
  if (!isJson) program.showHelpAfterError('Try: downscope --help')
  const groups = new Map<string, Commander>()
  for (const command of commands) {
    const [first = '', second] = command.name.split(' ')
    const family = families.find(({ name }) => name === first)
    const group = groups.get(first) ?? (family === undefined ? undefined : openGroup(family))
    if (second === undefined || group === undefined) groups.set(first, add(program, first, command))
    else add(group, second, command)
  }
  return program

  function openGroup({ name, summary }: Family): Commander {
    const sentence = `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`
    const group = program
      .command(name)
      .summary(summary)
      .description(sentence)
      .usage('<command> [options]')
      .helpCommand(false)
    if (!isJson) group.showHelpAfterError(`Try: downscope ${name} --help`)
    groups.set(name, group)
    return group
  }

  function add(parent: Commander, name: string, command: Command): Commander {
    const own = parent.command(name).summary(command.summary).description(describe(command))
    own.enablePositionalOptions().helpCommand(false)
    const alias = parent === program ? undefined : aliases.get(name)
    if (alias !== undefined) own.alias(alias)
    for (const { name: argument, summary, isOptional, isRepeatable, offer } of command.arguments ?? []) {
      const words = isRepeatable === true ? `${argument}...` : argument
      const made = new Argument(isOptional === true ? `[${words}]` : `<${words}>`, summary)
      own.addArgument(typeof offer === 'object' ? made.choices([...offer]) : made)
    }
    for (const option of command.options ?? []) own.addOption(createOption(option))
    own.addHelpText('after', () => `\n${paint.bold('Examples:')}\n${indented(command.examples)}`)
    if (!isJson) own.showHelpAfterError(`Try: downscope ${command.name} --help`)
    own.action(async () => {
      onEnd(await command.run(createCall(own, command, terminal)))
    })
    return own
  }
}

function describe({ summary, details }: Command): string {
  const sentence = `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`
  return details === undefined ? sentence : `${sentence} ${details}`
}

function createOption({ name, value, summary, offer, isRepeatable, group }: OptionSpec): Option {
  const option = new Option(value === undefined ? name : `${name} <${value}>`, summary)
  if (typeof offer === 'object') option.choices([...offer])
  if (isRepeatable === true) option.argParser<readonly string[]>((text, before) => [...(before ?? []), text])
  if (group !== undefined) option.helpGroup(group)
  return option
}

function createCall(own: Commander, command: Command, terminal: Terminal): Call {
  const options: Readonly<Record<string, unknown>> = own.opts()
  const values = new Map<string, unknown>()
  for (const [index, { name, isRepeatable }] of (command.arguments ?? []).entries())
    values.set(name, isRepeatable === true ? own.args.slice(index) : own.args[index])
  for (const option of own.options) {
    const value = options[option.attributeName()]
    // `--no-verify` is the same member as `--verify`.
    values.set(option.long ?? '', option.negate ? value === false : value)
  }
  const text = (name: string): string | undefined => {
    const value = values.get(name)
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  return {
    terminal,
    text,
    argument: (name) => text(name) ?? own.error(`error: ${name} is empty`),
    texts: (name) => {
      const value = values.get(name)
      return Array.isArray(value) ? value.map(String) : []
    },
    has: (name) => values.get(name) === true,
  }
}

/** What other command lines call the same. */
const aliases: ReadonlyMap<string, string> = new Map([
  ['list', 'ls'],
  ['show', 'get'],
  ['destroy', 'delete'],
])

/** What is the same for all commands. */
function afterword(bold: (text: string) => string): string {
  const codes = Object.values(exitCodes).map(({ code, means }) => [`  ${code}`, means])
  return `
${bold('To begin:')}
${indented(['downscope dev                   a broker on this machine, and how to use it', 'downscope doctor                what is wrong, and how to fix it', 'downscope credentials --help    the commands of one group', 'Commands that change something take --dry-run and --curl, which show the request and send nothing.'])}
${bold('Environment:')}
${indented(['DOWNSCOPE_URL, and DOWNSCOPE_ADMIN_KEY or DOWNSCOPE_ADMIN_TOKEN_FILE; NO_COLOR is honoured.'])}
${bold('Exit status:')}
${table(codes)}`
}

function indented(lines: readonly string[]): string {
  return lines.map((line) => `  ${line}\n`).join('')
}

function paintedError({ stderr, env }: Terminal): string {
  return createPaint(stderr, env).bad('error:')
}
