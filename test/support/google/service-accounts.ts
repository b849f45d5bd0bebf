import { createHash } from 'node:crypto'
import { type AccountKeys, createAccountKeys } from './account-keys.ts'
import type { KeySource, RsaKeyPair } from './key-pool.ts'

/** Google's own key file, member for member. */
export type ServiceAccountFile = {
  readonly type: 'service_account'
  readonly project_id: string
  readonly private_key_id: string
  readonly private_key: string
  readonly client_email: string
  readonly client_id: string
  readonly auth_uri: string
  readonly token_uri: string
  readonly auth_provider_x509_cert_url: string
  readonly client_x509_cert_url: string
  readonly universe_domain: string
}

export type ServiceAccount = {
  readonly email: string
  readonly project: string
  /** 21 digits; Google's `client_id` of the account. */
  readonly uniqueId: string
  /** Domain-wide delegation: the scopes allowed for each user; empty when never granted. */
  readonly delegatedScopes: ReadonlyMap<string, ReadonlySet<string>>
  /** May generateAccessToken ask for up to 12 hours instead of one? */
  readonly lifetimeExtended: boolean
  readonly disabled: boolean
  readonly keys: AccountKeys
}

export type NewServiceAccount = {
  /** Default `sa-N@acme.iam.gserviceaccount.com`. */
  readonly email?: string
  readonly delegatedScopes?: Readonly<Record<string, readonly string[]>>
  readonly lifetimeExtended?: boolean
}

export type ServiceAccounts = {
  readonly add: (account?: NewServiceAccount) => ServiceAccount
  /** By email or unique id. */
  readonly find: (name: string) => ServiceAccount | undefined
  readonly setDisabled: (email: string, disabled: boolean) => void
  readonly remove: (email: string) => void
  /** Is this a user of the domain, for some account at least? */
  readonly knowsUser: (email: string) => boolean
}

export function createServiceAccounts(now: () => number, source: KeySource): ServiceAccounts {
  const accounts = new Map<string, ServiceAccount>()
  return {
    add: (options = {}) => {
      const email = options.email ?? `sa-${accounts.size + 1}@acme.iam.gserviceaccount.com`
      if (accounts.has(email)) throw new Error(`the stand-in has ${email} already`)
      const account: ServiceAccount = {
        email,
        project: projectOf(email),
        uniqueId: numericId(email),
        delegatedScopes: delegation(options.delegatedScopes ?? {}),
        lifetimeExtended: options.lifetimeExtended ?? false,
        disabled: false,
        keys: createAccountKeys(now, source),
      }
      accounts.set(email, account)
      return account
    },
    find: (name) => accounts.get(name) ?? accounts.values().find((one) => one.uniqueId === name),
    setDisabled: (email, disabled) => {
      const account = accounts.get(email)
      if (!account) throw new Error(`the stand-in has no ${email}`)
      accounts.set(email, { ...account, disabled })
    },
    remove: (email) => {
      accounts.delete(email)
    },
    knowsUser: (email) => accounts.values().some((one) => one.delegatedScopes.has(email)),
  }
}

export function keyFile(account: ServiceAccount, id: string, pair: RsaKeyPair): ServiceAccountFile {
  return {
    type: 'service_account',
    project_id: account.project,
    private_key_id: id,
    private_key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    client_email: account.email,
    client_id: account.uniqueId,
    auth_uri: 'https://accounts.google.com/o/oauth2/auth',
    token_uri: 'https://oauth2.googleapis.com/token',
    auth_provider_x509_cert_url: 'https://www.googleapis.com/oauth2/v1/certs',
    client_x509_cert_url: `https://www.googleapis.com/robot/v1/metadata/x509/${encodeURIComponent(account.email)}`,
    universe_domain: 'googleapis.com',
  }
}

/** The stable 21-digit id of an account or a user. */
export function numericId(email: string): string {
  const digits = BigInt(`0x${createHash('sha256').update(email).digest('hex')}`) % 10n ** 20n
  return `1${digits.toString().padStart(20, '0')}`
}

function projectOf(email: string): string {
  return /@([^.]+)\.iam\.gserviceaccount\.com$/.exec(email)?.[1] ?? 'acme'
}

function delegation(
  scopes: Readonly<Record<string, readonly string[]>>,
): ReadonlyMap<string, ReadonlySet<string>> {
  return new Map(Object.entries(scopes).map(([user, allowed]) => [user, new Set(allowed)]))
}
