import { callerCommands } from './callers.ts'
import type { Command, Family } from './command.ts'
import { completionCommands } from './completion.ts'
import { credentialCommands } from './credentials.ts'
import { devCommands } from './dev.ts'
import { doctorCommands } from './doctor.ts'
import { explainCommands } from './explain.ts'
import { keyCommands } from './keys.ts'
import { maintenanceCommands } from './maintenance.ts'
import { policyCommands } from './policy.ts'
import { revokeCommands } from './revoke.ts'
import { rewrapCommands } from './rewrap.ts'
import { rotationCommands } from './rotation.ts'
import { serviceCommands } from './service.ts'
import { suggestCommands } from './suggest.ts'
import { tokenCommands } from './token.ts'
import { versionCommands } from './versions.ts'

/** The words that open a list of commands. */
export const families: readonly Family[] = [
  { name: 'credentials', summary: 'enrol, look at, switch off and rotate what the broker keeps' },
  { name: 'versions', summary: 'look at single versions of a credential, and switch them off' },
  { name: 'policy', summary: 'check, compare and replace who may have what' },
  { name: 'keys', summary: 'make keys, and seal the store anew' },
  { name: 'callers', summary: 'take everything away from one caller, or give it back' },
  { name: 'service', summary: 'how the broker fares, and the switch that stops it' },
  { name: 'maintenance', summary: 'rotate, remove, probe and sweep what is due' },
]

/** Every command, in the order of the help. */
export const commands: readonly Command[] = [
  ...credentialCommands,
  ...rotationCommands,
  ...revokeCommands,
  ...versionCommands,
  ...policyCommands,
  ...suggestCommands,
  ...explainCommands,
  ...tokenCommands,
  ...keyCommands,
  ...rewrapCommands,
  ...callerCommands,
  ...serviceCommands,
  ...maintenanceCommands,
  ...devCommands,
  ...doctorCommands,
  ...completionCommands,
]
