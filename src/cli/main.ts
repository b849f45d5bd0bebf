import { CommanderError } from 'commander'
import { startFault } from '../compose/start-fault.ts'
import { isConfigurationFault } from '../config/setting-faults.ts'
import { complete, completionCommands } from './commands/completion.ts'
import { createFault, exitCodes, isFault, type Exit, type Fault } from './fault.ts'
import { createPaint, json } from './output.ts'
import { createProgram } from './program.ts'
import { isShownInstead } from './request-shown.ts'
import type { Terminal } from './terminal.ts'
import { agentCommands } from './commands/agent.ts'
import { auditCommands } from './commands/audit.ts'
import { callerCommands } from './commands/callers.ts'
import type { Command, Family } from './command.ts'
import { connectCommands } from './commands/connect.ts'
import { credentialCommands } from './commands/credentials.ts'
import { devCommands } from './commands/dev.ts'
import { doctorCommands } from './commands/doctor.ts'
import { explainCommands } from './commands/explain.ts'
import { importCommands } from './commands/import.ts'
import { jwtCommands } from './commands/jwt.ts'
import { keyCommands } from './commands/keys.ts'
import { loginCommands } from './commands/login.ts'
import { maintenanceCommands, rewrapCommands } from './commands/maintenance.ts'
import { policyCommands } from './commands/policy.ts'
import { revokeCommands, versionCommands } from './commands/versions.ts'
import { rotationCommands } from './commands/rotation.ts'
import { serviceCommands } from './commands/service.ts'
import { storeCommands } from './commands/store.ts'
import { suggestCommands } from './commands/suggest.ts'
import { tokenCommands } from './commands/token.ts'

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
  ...tokenCommands,
  ...agentCommands,
  ...jwtCommands,
  ...keyCommands,
  ...rewrapCommands,
  ...storeCommands,
  ...callerCommands,
  ...serviceCommands,
  ...maintenanceCommands,
  ...loginCommands,
  ...devCommands,
  ...doctorCommands,
  ...completionCommands,
]
