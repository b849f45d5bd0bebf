import { requireBearer } from './bearer.ts'
import { crc32c } from './crc32c.ts'
import {
  type CryptoKey,
  type CryptoKeyVersion,
  decryptUnder,
  encryptUnder,
  versionOf,
} from './crypto-keys.ts'
import { errorInfo, failWith } from './google-errors.ts'
import { invalidValue, optionalText, readJsonBody, requiredText } from './json-body.ts'
import { type JsonObject, jsonReply, type Received, type Reply } from './reply.ts'
import { CLOUD_KMS } from './scopes.ts'
import type { World } from './world.ts'

const OCTETS_MAX = 64 * 1024
const AAD = 'additionalAuthenticatedData'

/** `…/cryptoKeys/K:encrypt`, under the primary version (docs/google.md §3.3). */
export function answerEncrypt(world: World, received: Received): Reply {
  const key = requireKey(world, received, 'Encrypt')
  const body = readJsonBody(received, ['plaintext', 'plaintextCrc32c', AAD, `${AAD}Crc32c`])
  const plaintext = requireOctets(body, 'plaintext')
  const aad = octetsOf(body, AAD)
  const hasPlaintextSum = checkSum(body, 'plaintext', plaintext)
  const hasAadSum = checkSum(body, AAD, aad)
  // A version may be named in place of the key, whose primary it is otherwise.
  const named = key.versions.find(({ name }) => received.path.endsWith(`${name}:encrypt`))
  const version = requireEnabled(named ?? key.primary)
  const ciphertext = encryptUnder(key, version, plaintext, aad)
  return jsonReply({
    name: version.name,
    ciphertext: ciphertext.toString('base64'),
    ciphertextCrc32c: String(crc32c(ciphertext)),
    // Proto3 leaves out what is false.
    ...(hasPlaintextSum ? { verifiedPlaintextCrc32c: true } : {}),
    ...(hasAadSum ? { verifiedAdditionalAuthenticatedDataCrc32c: true } : {}),
    protectionLevel: 'SOFTWARE',
  })
}

/** `…/cryptoKeys/K:decrypt`; the ciphertext says by which version. */
export function answerDecrypt(world: World, received: Received): Reply {
  const key = requireKey(world, received, 'Decrypt')
  const body = readJsonBody(received, ['ciphertext', 'ciphertextCrc32c', AAD, `${AAD}Crc32c`])
  const ciphertext = requireOctets(body, 'ciphertext')
  const aad = octetsOf(body, AAD)
  checkSum(body, 'ciphertext', ciphertext)
  checkSum(body, AAD, aad)
  const version = versionOf(key, ciphertext)
  if (version === undefined)
    return failWith(
      'INVALID_ARGUMENT',
      "Decryption failed: verify that 'name' refers to the correct CryptoKey.",
    )
  const plaintext = decryptUnder(requireEnabled(version), ciphertext, aad)
  if (plaintext === undefined)
    return failWith('INVALID_ARGUMENT', 'Decryption failed: the ciphertext is invalid.')
  return jsonReply({
    plaintext: plaintext.toString('base64'),
    plaintextCrc32c: String(crc32c(plaintext)),
    ...(version === key.primary ? { usedPrimary: true } : {}),
    protectionLevel: 'SOFTWARE',
  })
}

/** The same 403 whether the key exists or not. */
function requireKey(world: World, received: Received, what: 'Encrypt' | 'Decrypt'): CryptoKey {
  const { subject } = requireBearer(world, received, CLOUD_KMS)
  const name = received.path
    .replace(/^\/kms\/v1\//, '')
    .replace(/(?:\/cryptoKeyVersions\/\d+)?:(?:encrypt|decrypt)$/, '')
  const { encrypters, decrypters, find } = world.cryptoKeys
  const key = find(name)
  const isAllowed = (what === 'Encrypt' ? encrypters : decrypters).has(subject, name)
  if (key !== undefined && isAllowed) return key
  const permission = `cloudkms.cryptoKeyVersions.useTo${what}`
  return failWith(
    'PERMISSION_DENIED',
    `Permission '${permission}' denied on resource '${name}' (or it may not exist).`,
    [errorInfo('IAM_PERMISSION_DENIED', 'cloudkms.googleapis.com', { permission, resource: name })],
  )
}

function requireEnabled(version: CryptoKeyVersion | undefined): CryptoKeyVersion {
  if (version === undefined) return failWith('FAILED_PRECONDITION', 'The key has no primary version.')
  if (version.state === 'ENABLED') return version
  return failWith(
    'FAILED_PRECONDITION',
    `${version.name} is not enabled, current state is: ${version.state}.`,
    [
      {
        '@type': 'type.googleapis.com/google.rpc.PreconditionFailure',
        violations: [{ type: `KEY_${version.state}`, subject: version.name }],
      },
    ],
  )
}

function requireOctets(body: JsonObject, name: string): Buffer {
  requiredText(body, name)
  return octetsOf(body, name)
}

/** Strict base64: Google takes the URL alphabet too, and we send the other one. */
function octetsOf(body: JsonObject, name: string): Buffer {
  const text = optionalText(body, name) ?? ''
  const octets = Buffer.from(text, 'base64')
  if (octets.toString('base64') !== text || octets.length > OCTETS_MAX) return invalidValue(name)
  return octets
}

/** Whether one came; an int64 is a string in JSON. */
function checkSum(body: JsonObject, name: string, octets: Uint8Array): boolean {
  const sum = optionalText(body, `${name}Crc32c`)
  if (sum === undefined) return false
  if (!/^\d{1,10}$/.test(sum)) return invalidValue(`${name}Crc32c`)
  if (Number(sum) === crc32c(octets)) return true
  const field = name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  return failWith(
    'INVALID_ARGUMENT',
    `The checksum in field ${field}_crc32c did not match the data in field ${field}.`,
  )
}
