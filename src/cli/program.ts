import { Argument, Command as Commander, Option } from 'commander'
import { softwareVersion } from '../domain/version.ts'
import type { Call, Command, Family, OptionSpec } from './command.ts'
import { exitCodes, type Exit } from './fault.ts'
import { createPaint, table } from './output.ts'
import type { Terminal } from './terminal.ts'

export interface ProgramParts {
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
${indented(['downscope dev                   a broker on this machine, and how to use it', 'downscope doctor                what is wrong, and how to fix it', 'downscope credentials --help    the commands of one group', 'What changes something has --dry-run and --curl, which show it instead of doing it.'])}
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
