import { claimsOf, type Members, parseJsonObject } from '../domain/json.ts'
import { Secret } from '../domain/secret.ts'
import type { Call, OptionSpec } from './command.ts'
import { createFault } from './fault.ts'
import { readInput, causeOf, readTextFile } from './files.ts'
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { signProof, type ProofClaims } from '../client/broker-connection.ts'
import { stat } from 'node:fs/promises'
import type { SigningAlgorithm } from '../domain/jwk.ts'
import { plain, warn, commandLine } from './output.ts'
import type { Terminal } from './terminal.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

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

/** A caller or administrator who signs their own JWTs with the key in a file. */
export interface KeyFile {
  /** As the file says; a PEM file says nothing. */
  readonly issuer: string | undefined
  readonly subject: string | undefined
  readonly sign: (claims: ProofClaims) => Promise<Secret>
}

/**
 * A private key in a file: a JWK, which may say in `iss` and `sub` whose it is, or PKCS#8 in PEM. Warns when others
 * may read it. No fault repeats what is in the file.
 */
export async function readKeyFile(path: string, terminal: Terminal): Promise<KeyFile> {
  const text = await readTextFile(path)
  await warnWhenOpen(path, terminal)
  const members = parseJsonObject(text) ?? {}
  const key = importKey(path, text, members)
  const alg = algorithmOf(path, key)
  const kid = textMember(members, 'kid')
  return {
    issuer: textMember(members, 'iss'),
    subject: textMember(members, 'sub'),
    sign: async (claims) => new Secret(await signProof(key, { alg, ...omitUndefined({ kid }) }, claims)),
  }
}

async function warnWhenOpen(path: string, terminal: Terminal): Promise<void> {
  try {
    const { mode } = await stat(path)
    if ((mode & 0o077) !== 0)
      warn(terminal, `others may read ${plain(path)}: ${commandLine(['chmod', '600', path])}`)
  } catch (error) {
    throw createFault('usage', `${path} cannot be read: ${causeOf(error)}`)
  }
}

function importKey(path: string, text: string, members: Members): KeyObject {
  if ('keys' in members)
    throw createFault('usage', `${path} is a set of keys`, { hints: ['Give a file with one private JWK.'] })
  try {
    // Only the members of a JWK: Node refuses none that it does not know, but takes them for strings.
    return 'kty' in members ? createPrivateKey({ key: members, format: 'jwk' }) : createPrivateKey(text)
  } catch {
    throw createFault('usage', `${path} holds no private key that can be used`, {
      hints: [
        'It must be a private JWK (P-256, Ed25519 or RSA) or PKCS#8 in PEM without a password.',
        'downscope keys generate admin FILE makes one.',
      ],
    })
  }
}

function algorithmOf(path: string, key: KeyObject): SigningAlgorithm {
  switch (key.asymmetricKeyType) {
    case 'ec': {
      const curve = key.asymmetricKeyDetails?.namedCurve
      if (curve === 'prime256v1') return 'ES256'
      if (curve === 'secp384r1') return 'ES384'
      if (curve === 'secp521r1') return 'ES512'
      break
    }
    case 'ed25519':
      return 'EdDSA'
    case 'rsa':
      return 'RS256'
    default:
  }
  throw createFault('usage', `${path} holds a key of a type that the broker does not take`, {
    hints: ['P-256, P-384, P-521, Ed25519 and RSA are taken.'],
  })
}

function textMember(members: Members, name: string): string | undefined {
  const value = members[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}
