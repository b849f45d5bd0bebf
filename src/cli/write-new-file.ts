import { writeFileSync } from 'node:fs'

import { createFault } from './fault.ts'
import { causeOf } from './read-input.ts'

/** Never over another file, and for its owner alone unless `mode` says otherwise. */
export function writeNewFile(
  file: string,
  text: string,
  { mode = 0o600, hint = 'A key is never written over another file.' } = {},
): void {
  try {
    writeFileSync(file, text, { mode, flag: 'wx' })
  } catch (error) {
    throw createFault('usage', `${file} cannot be written: ${causeOf(error)}`, { hints: [hint] })
  }
}
