import { agentCommands } from './commands/agent.ts'
import { auditCommands } from './commands/audit.ts'
import { callerCommands } from './commands/callers.ts'
import type { Command, Family } from './command.ts'
import { completionCommands } from './commands/completion.ts'
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
import { suggestCommands } from './commands/suggest.ts'
import { tokenCommands } from './commands/token.ts'

/** The words that open a list of commands. */
export const families: readonly Family[] = [
  { name: 'credentials', summary: 'enrol, list, disable and rotate credentials' },
  { name: 'versions', summary: 'list and disable single versions of a credential' },
  { name: 'policy', summary: 'check, compare and replace the policy' },
  { name: 'audit', summary: 'list, follow and export audit records' },
  { name: 'keys', summary: 'generate keys and rewrap the store' },
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
  ...callerCommands,
  ...serviceCommands,
  ...maintenanceCommands,
  ...loginCommands,
  ...devCommands,
  ...doctorCommands,
  ...completionCommands,
]
