// The broker's own signing keys, for the secret DOWNSCOPE_SIGNING_KEYS; prints a private JWK set to standard output:
//   node infra/keys/generate-signing-key.ts [ES256|RS256]            a set of one new key
//   node infra/keys/generate-signing-key.ts [ES256|RS256] add FILE   the set in FILE and a new key after it, which is
//                                                                    published and does not sign yet
import { readFileSync } from 'node:fs'

import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose'

import { parseSigningKeys } from '../../src/adapters/google-identity/parse-signing-keys.ts'

const usage = 'usage: generate-signing-key.ts [ES256|RS256] [add FILE]'

/** What is printed: a set that the setting accepts. Throws when the arguments, or the set in the file, are not right. */
export async function generateSigningKey(args: readonly string[]): Promise<string> {
  const [first = 'ES256'] = args
  const hasAlg = first === 'ES256' || first === 'RS256'
  const [command, file, ...rest] = hasAlg ? args.slice(1) : args
  if (rest.length > 0 || (command !== undefined && (command !== 'add' || file === undefined)))
    throw new Error(usage)
  const before = file === undefined ? [] : readKeys(file)
  const text = `${JSON.stringify({ keys: [...before, await makeKey(hasAlg ? first : 'ES256')] })}\n`
  const reading = parseSigningKeys(text)
  if (!reading.ok) throw new Error(`the set ${reading.faults.join('; ')}`)
  return text
}

async function makeKey(alg: string): Promise<object> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = await exportJWK(privateKey)
  // RFC 7638: a name that says nothing and is never given twice.
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), alg, use: 'sig' }
}

function readKeys(file: string): readonly unknown[] {
  const reading = parseSigningKeys(readFileSync(file, 'utf8'))
  if (!reading.ok) throw new Error(`${file} ${reading.faults.join('; ')}`)
  return reading.keys.map(({ privateJwk }): unknown => JSON.parse(privateJwk.reveal()))
}

if (import.meta.main) {
  try {
    process.stdout.write(await generateSigningKey(process.argv.slice(2)))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
}
