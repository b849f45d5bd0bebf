import { CommanderError } from 'commander'
import { startFault } from '../compose/start-fault.ts'
import { isConfigurationFault } from '../config/setting-faults.ts'
import { complete } from './commands/completion.ts'
import { commands, families } from './commands.ts'
import { exitCodes, type Exit, createFault, isFault, type Fault } from './fault.ts'
import { createPaint, json } from './output.ts'
import { createProgram } from './program.ts'
import { isShownInstead } from './request-shown.ts'
import type { Terminal } from './terminal.ts'

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
