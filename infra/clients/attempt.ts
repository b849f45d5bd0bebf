import { bucket, object } from '../../test/support/clients/storage-api.ts'
import { runProgram } from '../../test/support/run-node.ts'
import type { ClientsWorld } from './world.ts'

/** One line of the matrix: a client asks by its own library, and prints the token that it got. */
export interface Attempt {
  readonly client: string
  readonly version: string
  readonly way: string
  /** What the stand-in must have recorded. */
  readonly expected: string
  /** The token. Rejects with what the client said. */
  readonly run: () => Promise<string>
}

export type Words = readonly [program: string, ...args: string[]]

/** Where Google's library has a fixed address for ID tokens, which docs/signing.md has the reasons for. */
export const onlyAgent = 'metadata, ID token (no other way)'
/** A request that a program sends itself, with what the library got as Bearer. */
export const ownRequest = 'own request, signed URL'

export const urlWanted = { method: 'GET', bucket, object: object.name, expiry: '600s' } as const

/** The account at the broker's IAM Credentials API. */
export function addressOf({ url, account }: ClientsWorld): string {
  return `${url}/v1/projects/-/serviceAccounts/${account}`
}

/** The last line that the program prints. */
export async function say(
  world: ClientsWorld,
  words: Words,
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const [program, ...args] = words
  const { status, stdout, stderr } = await runProgram(program, args, { cwd: world.folder, env })
  if (status === 0) return stdout.trim().split('\n').at(-1) ?? ''
  throw new Error((stderr.trim() || stdout.trim()).split('\n').slice(-3).join(' '))
}
