import type { Members } from '../domain/json-object.ts'
import { Secret } from '../domain/secret.ts'
import type { Call, OptionSpec } from './command.ts'
import { createFault } from './fault.ts'
import { claimsOf } from './key-file.ts'
import { readInput } from './read-input.ts'

export const jwtOption: OptionSpec = {
  name: '--jwt',
  value: 'FILE',
  summary: 'a file with a JWT of the caller, - is standard input',
  offer: 'file',
}

/** What `--jwt` names, its signature not looked at; `undefined` without the option. */
export async function readCallerJwt(
  call: Call,
): Promise<{ readonly jwt: Secret; readonly claims: Members } | undefined> {
  const file = call.text('--jwt')
  if (file === undefined) return undefined
  const jwt = (await readInput(file, call.terminal)).trim()
  const claims = claimsOf(jwt)
  if (claims !== undefined) return { jwt: new Secret(jwt), claims }
  throw createFault('usage', `${file === '-' ? 'standard input' : file} holds no JWT`)
}
