import type { Command, Family } from './command.ts'
import { completionCommands } from './completion.ts'
import { credentialCommands } from './credentials.ts'
import { devCommands } from './dev.ts'
import { doctorCommands } from './doctor.ts'
import { keyCommands } from './keys.ts'
import { policyCommands } from './policy.ts'
import { tokenCommands } from './token.ts'

/** The words that open a list of commands. */
export const families: readonly Family[] = [
  { name: 'credentials', summary: 'enrol, look at, switch off and rotate what the broker keeps' },
  { name: 'policy', summary: 'check, compare and replace who may have what' },
  { name: 'keys', summary: 'make keys, and seal the store anew' },
]

/** Every command, in the order of the help. */
export const commands: readonly Command[] = [
  ...credentialCommands,
  ...policyCommands,
  ...tokenCommands,
  ...keyCommands,
  ...devCommands,
  ...doctorCommands,
  ...completionCommands,
]
