import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { createPermissions, type Permissions } from './permissions.ts'

export type VersionState = 'ENABLED' | 'DISABLED' | 'DESTROY_SCHEDULED' | 'DESTROYED'

export type CryptoKeyVersion = {
  readonly name: string
  state: VersionState
  readonly key: Uint8Array
}

/** A symmetric key of Cloud KMS with its versions. */
export type CryptoKey = {
  readonly name: string
  readonly versions: CryptoKeyVersion[]
  primary: CryptoKeyVersion | undefined
}

export type CryptoKeys = {
  /** `projects/P/locations/L/keyRings/R/cryptoKeys/K`, with a first version. */
  readonly create: (name: string) => void
  /** A new version beside the primary. */
  readonly addVersion: (name: string) => string
  readonly administrators: Permissions
  /** A new version, primary from now on. */
  readonly rotate: (name: string) => string
  readonly setState: (version: string, state: VersionState) => void
  readonly find: (name: string) => CryptoKey | undefined
  /** May this principal encrypt, may it decrypt, with that key? */
  readonly encrypters: Permissions
  readonly decrypters: Permissions
}

const TAG_BYTES = 16
const IV_BYTES = 12

export function createCryptoKeys(): CryptoKeys {
  const keys = new Map<string, CryptoKey>()
  const find = (name: string): CryptoKey => {
    const key = keys.get(name)
    if (key === undefined) throw new Error(`the stand-in has no ${name}`)
    return key
  }
  const addVersion = ({ name, versions }: CryptoKey): CryptoKeyVersion => {
    const version: CryptoKeyVersion = {
      name: `${name}/cryptoKeyVersions/${versions.length + 1}`,
      state: 'ENABLED',
      key: randomBytes(32),
    }
    versions.push(version)
    return version
  }
  const rotate = (key: CryptoKey): string => {
    key.primary = addVersion(key)
    return key.primary.name
  }
  return {
    create: (name) => {
      const key: CryptoKey = { name, versions: [], primary: undefined }
      keys.set(name, key)
      rotate(key)
    },
    addVersion: (name) => addVersion(find(name)).name,
    administrators: createPermissions(),
    rotate: (name) => rotate(find(name)),
    setState: (name, state) => {
      const key = find(name.replace(/\/cryptoKeyVersions\/\d+$/, ''))
      const version = key.versions.find((one) => one.name === name)
      if (version === undefined) throw new Error(`the stand-in has no ${name}`)
      version.state = state
    },
    find: (name) => keys.get(name),
    encrypters: createPermissions(),
    decrypters: createPermissions(),
  }
}

/** Opaque, and says which version made it, as Google's does. */
export function encryptUnder(
  key: CryptoKey,
  version: CryptoKeyVersion,
  plaintext: Uint8Array,
  aad: Uint8Array,
): Buffer {
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv('aes-256-gcm', version.key, iv).setAAD(aad)
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()])
  const number = Buffer.from([key.versions.indexOf(version)])
  // Google's is some 80 octets longer than what it holds.
  return Buffer.concat([number, Buffer.alloc(51, 7), iv, ciphertext, cipher.getAuthTag()])
}

/** The version that made it, or `undefined` when none of this key did. */
export function versionOf(key: CryptoKey, ciphertext: Uint8Array): CryptoKeyVersion | undefined {
  return key.versions[ciphertext[0] ?? -1]
}

/** `undefined` when it was made by another key, for other additional data, or was changed. */
export function decryptUnder(
  version: CryptoKeyVersion,
  ciphertext: Uint8Array,
  aad: Uint8Array,
): Buffer | undefined {
  const body = ciphertext.subarray(52)
  if (body.length < IV_BYTES + TAG_BYTES) return undefined
  const decipher = createDecipheriv('aes-256-gcm', version.key, body.subarray(0, IV_BYTES), {
    authTagLength: TAG_BYTES,
  })
  decipher.setAAD(aad).setAuthTag(body.subarray(-TAG_BYTES))
  try {
    return Buffer.concat([decipher.update(body.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()])
  } catch {
    return undefined
  }
}
