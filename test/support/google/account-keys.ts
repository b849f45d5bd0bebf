import { randomBytes, type KeyObject } from 'node:crypto'
import type { KeySource, RsaKeyPair } from './key-pool.ts'

/** One key of a service account. The private part stays only where Google keeps it too. */
export type AccountKey = {
  readonly id: string
  readonly origin: 'GOOGLE_PROVIDED' | 'USER_PROVIDED'
  readonly type: 'USER_MANAGED' | 'SYSTEM_MANAGED'
  readonly publicKey: KeyObject
  /** PEM; of uploaded keys. */
  readonly certificate: string | undefined
  readonly validAfter: number
  readonly validBefore: number
  readonly madeAt: number
  /** The token endpoint does not know the key earlier than this. */
  readonly usableFrom: number
  readonly disabled: boolean
}

export type AccountKeys = {
  readonly create: (usableFrom: number) => Promise<{ readonly key: AccountKey; readonly pair: RsaKeyPair }>
  readonly upload: (publicKey: KeyObject, certificate: string, more: UploadTimes) => AccountKey
  readonly find: (id: string) => AccountKey | undefined
  readonly setDisabled: (id: string, disabled: boolean) => boolean
  readonly remove: (id: string) => boolean
  readonly userManaged: () => readonly AccountKey[]
  /** The key Google keeps to itself for signJwt and signBlob; made when first needed. */
  readonly system: () => Promise<{ readonly key: AccountKey; readonly pair: RsaKeyPair }>
  /** Keys whose signatures the token endpoint accepts now. */
  readonly verifiers: () => readonly AccountKey[]
}

type UploadTimes = {
  readonly validAfter: number
  readonly validBefore: number
  readonly usableFrom: number
}

/** 9999-12-31T23:59:59Z, Google's way to write "never". */
const NEVER = 253_402_300_799

export function createAccountKeys(now: () => number, source: KeySource): AccountKeys {
  const keys = new Map<string, AccountKey>()
  let system: ReturnType<AccountKeys['system']> | undefined

  async function generate(type: AccountKey['type'], usableFrom: number) {
    const pair = await source()
    const key: AccountKey = {
      id: newKeyId(),
      origin: 'GOOGLE_PROVIDED',
      type,
      publicKey: pair.publicKey,
      certificate: undefined,
      validAfter: now(),
      validBefore: NEVER,
      madeAt: now(),
      usableFrom,
      disabled: false,
    }
    keys.set(key.id, key)
    return { key, pair }
  }

  return {
    create: (usableFrom) => generate('USER_MANAGED', usableFrom),
    upload: (publicKey, certificate, times) => {
      const key: AccountKey = {
        id: newKeyId(),
        origin: 'USER_PROVIDED',
        type: 'USER_MANAGED',
        publicKey,
        certificate,
        ...times,
        madeAt: now(),
        disabled: false,
      }
      keys.set(key.id, key)
      return key
    },
    find: (id) => keys.get(id),
    setDisabled: (id, disabled) => {
      const key = keys.get(id)
      if (key) keys.set(id, { ...key, disabled })
      return key !== undefined
    },
    remove: (id) => keys.delete(id),
    userManaged: () => [...keys.values()].filter((key) => key.type === 'USER_MANAGED'),
    system: () => {
      system ??= generate('SYSTEM_MANAGED', 0)
      return system
    },
    verifiers: () =>
      [...keys.values()].filter((key) => !key.disabled && key.usableFrom <= now() && key.validBefore > now()),
  }
}

function newKeyId(): string {
  return randomBytes(20).toString('hex')
}
