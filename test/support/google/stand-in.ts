import { judgePostPolicy, judgeSignedUrl, type SignedRequest } from './signed-requests.ts'
import { type Calls, createCallRecorder } from './calls.ts'
import { isAllowed, openToken, type OpenedToken, type StorageRequest } from './cloud-storage.ts'
import { type Google, listen } from './http-server.ts'
import type { IssuedToken } from './issued-tokens.ts'
import type { AuthorizedUserFile, GrantState, NewRefreshToken, RefreshGrant } from './refresh-grants.ts'
import { revokeGrant } from './refresh-token-grant.ts'
import type { Bucket } from './buckets.ts'
import type { Person } from './consent-page.ts'
import type { VersionState } from './crypto-keys.ts'
import type { EndpointName } from './routes.ts'
import { createScript, type Script } from './script.ts'
import { CLOUD_PLATFORM } from './scopes.ts'
import { keyFile, type NewServiceAccount, type ServiceAccountFile } from './service-accounts.ts'
import type { PoolProvider } from './workload-pools.ts'
import { createWorld, type Machine, type Tuning, type WorldOptions } from './world.ts'

export type GoogleStandInOptions = WorldOptions & {
  /** Default 0: any free port. */
  readonly port?: number
}

/** The settings that point a broker at the stand-in, by their names in README.md. */
export type GoogleEndpoints = {
  readonly GOOGLE_OAUTH_AUTHORIZATION_URL: string
  readonly GOOGLE_OAUTH_TOKEN_URL: string
  readonly GOOGLE_STS_TOKEN_URL: string
  readonly GOOGLE_IAM_CREDENTIALS_URL: string
  readonly GOOGLE_IAM_URL: string
  readonly GOOGLE_KMS_URL: string
  readonly GOOGLE_REVOKE_URL: string
  readonly GOOGLE_TOKENINFO_URL: string
}

export type GoogleStandIn = {
  /** `http://127.0.0.1:PORT` */
  readonly origin: string
  readonly endpoints: GoogleEndpoints
  readonly tokeninfoUrl: string
  /** For `GCE_METADATA_HOST`. */
  readonly metadataHost: string
  /** The JWK set of the ID tokens; their issuer is https://accounts.google.com. */
  readonly certsUrl: string
  /** Breaks every connection and stops; for good. */
  readonly close: () => Promise<void>
  /** Refuses connections until `comeBack`, on the same port and with everything remembered. */
  readonly goDown: () => Promise<void>
  readonly comeBack: () => Promise<void>

  /** Everything received so far. */
  readonly calls: Calls
  readonly script: Readonly<Record<EndpointName, Script>>
  /** Clears the scripts of all endpoints. */
  readonly clearScripts: () => void
  readonly tune: (change: Partial<Tuning>) => void

  /** What a token really carries; undefined when the stand-in never issued it. */
  readonly token: (value: string) => IssuedToken | undefined
  /** A token as Cloud Storage sees it, its sealed boundary opened; `undefined` for one that is not good there. */
  readonly openToken: (value: string) => Promise<OpenedToken | undefined>
  /** Whether Cloud Storage would let the token do that. */
  readonly mayDo: (value: string, request: StorageRequest) => Promise<boolean>
  /** Whom Cloud Storage takes a signed URL for; `undefined` for one that it refuses. */
  readonly judgeSignedUrl: (method: string, url: string) => SignedRequest | undefined
  /** Likewise, the fields of a form with a POST policy. */
  readonly judgePostPolicy: (fields: Readonly<Record<string, string>>) => SignedRequest | undefined
  /** The session keys that were given away, in Base64. */
  readonly sessionKeys: () => readonly string[]
  /** Every token ever issued, oldest first. */
  readonly tokens: () => readonly IssuedToken[]

  /** A new account and its key file, whose key works at once. */
  readonly createServiceAccount: (account?: NewServiceAccount) => Promise<ServiceAccountFile>
  /** One more key; it works after `keyPropagation` seconds. */
  readonly addKey: (email: string) => Promise<ServiceAccountFile>
  /** The ids of an account's user-managed keys, and whether they are disabled. */
  readonly keysOf: (email: string) => readonly { readonly id: string; readonly disabled: boolean }[]
  readonly disableKey: (email: string, keyId: string) => void
  readonly enableKey: (email: string, keyId: string) => void
  readonly deleteKey: (email: string, keyId: string) => void
  readonly disableServiceAccount: (email: string) => void
  readonly enableServiceAccount: (email: string) => void
  readonly deleteServiceAccount: (email: string) => void

  readonly createRefreshToken: (options: NewRefreshToken) => AuthorizedUserFile
  /** The grant behind any refresh token it ever had: state, current token, rotations. */
  readonly grant: (refreshToken: string) => RefreshGrant | undefined
  /** `revoked` kills its access tokens too; the other states only the refresh token. */
  readonly setGrantState: (refreshToken: string, state: GrantState) => void
  readonly deleteClient: (clientId: string) => void
  readonly addClientSecret: (clientId: string, secret: string) => void
  readonly removeClientSecret: (clientId: string, secret: string) => void

  /** Lets a principal (email, or federated principal) create tokens for a service account. */
  readonly allowImpersonation: (from: string, to: string) => void
  readonly denyImpersonation: (from: string, to: string) => void
  readonly allowKeyAdministration: (from: string, to: string) => void
  readonly denyKeyAdministration: (from: string, to: string) => void
  /** A key of Cloud KMS with its first version: `projects/P/locations/L/keyRings/R/cryptoKeys/K`. */
  readonly createCryptoKey: (name: string) => void
  /** A new version of it, primary from now on; its name. */
  readonly rotateCryptoKey: (name: string) => string
  readonly setCryptoKeyVersionState: (version: string, state: VersionState) => void
  /** Lets a principal encrypt and decrypt with a key. */
  readonly allowCryptoKey: (from: string, name: string) => void
  readonly denyCryptoKey: (from: string, name: string, only?: 'encrypt' | 'decrypt') => void
  /** Adds a workload identity provider, or replaces the one of the same audience. */
  /** The service account that the metadata server speaks for; without one it knows of none, as at the start. */
  readonly runAs: (serviceAccount?: string, machine?: Partial<Machine>) => void
  readonly putPoolProvider: (provider: PoolProvider) => void
  /** A project of theirs, and a bucket that keeps what is put into it. */
  readonly createProject: (id: string, number: string, owner: string) => void
  readonly createBucket: (name: string, owner: string) => Bucket
  readonly allowKeyVersions: (from: string, cryptoKey: string) => void
  /** Who sits at the browser from now on. */
  readonly sitDown: (person: Person) => void
  /** What is there of what can be made in projects: nothing that was deleted. */
  readonly made: () => readonly string[]
}

/**
 * Starts a Google that refuses what Google refuses, in Google's words (docs/google.md §1 to §3), on
 * 127.0.0.1. It prints nothing and answers 501 to whatever it does not implement.
 */
export async function startGoogleStandIn(options: GoogleStandInOptions = {}): Promise<GoogleStandIn> {
  const { port = 0, ...worldOptions } = options
  const google: Google = {
    world: createWorld(worldOptions),
    calls: createCallRecorder(),
    scripts: {
      token: createScript(),
      sts: createScript(),
      iamCredentials: createScript(),
      iam: createScript(),
      kms: createScript(),
      revoke: createScript(),
      tokeninfo: createScript(),
      certs: createScript(),
      metadata: createScript(),
      storage: createScript(),
      authorize: createScript(),
      elsewhere: createScript(),
    },
  }
  let server = await listen(google, port)
  const origin = `http://127.0.0.1:${server.port}`
  return {
    ...addresses(origin),
    close: () => server.close(),
    goDown: () => server.close(),
    comeBack: async () => {
      server = await listen(google, server.port)
    },
    calls: google.calls,
    script: google.scripts,
    clearScripts: () => {
      for (const script of Object.values(google.scripts)) script.clear()
    },
    ...controls(google),
  }
}

function addresses(origin: string) {
  return {
    origin,
    endpoints: {
      GOOGLE_OAUTH_AUTHORIZATION_URL: `${origin}/authorize`,
      GOOGLE_OAUTH_TOKEN_URL: `${origin}/token`,
      GOOGLE_STS_TOKEN_URL: `${origin}/sts/v1/token`,
      GOOGLE_IAM_CREDENTIALS_URL: `${origin}/iamcredentials`,
      GOOGLE_IAM_URL: `${origin}/iam`,
      GOOGLE_KMS_URL: `${origin}/kms`,
      GOOGLE_REVOKE_URL: `${origin}/revoke`,
      GOOGLE_TOKENINFO_URL: `${origin}/tokeninfo`,
    },
    tokeninfoUrl: `${origin}/tokeninfo`,
    metadataHost: new URL(origin).host,
    certsUrl: `${origin}/oauth2/v3/certs`,
  }
}

function controls({ world }: Google) {
  const { cryptoKeys } = world
  const account = (email: string) => {
    const found = world.accounts.find(email)
    if (!found) throw new Error(`the stand-in has no ${email}`)
    return found
  }
  const makeKey = async (email: string, usableFrom: number) => {
    const { key, pair } = await account(email).keys.create(usableFrom)
    return keyFile(account(email), key.id, pair)
  }
  const switchKey = (email: string, keyId: string, disabled: boolean) => {
    if (!account(email).keys.setDisabled(keyId, disabled)) throw new Error(`no key ${keyId}`)
  }
  return {
    tune: world.tune,
    token: world.tokens.find,
    tokens: world.tokens.all,
    openToken: (value: string) => openToken(world, value),
    mayDo: async (value: string, request: StorageRequest) => {
      const opened = await openToken(world, value)
      return opened !== undefined && isAllowed(opened, request)
    },
    judgeSignedUrl: (method: string, url: string) => judgeSignedUrl(world, method, url),
    judgePostPolicy: (fields: Readonly<Record<string, string>>) => judgePostPolicy(world, fields),
    sessionKeys: () =>
      [...world.sessionKeys.values()].map(({ octets }) => Buffer.from(octets).toString('base64')),
    createServiceAccount: (options?: NewServiceAccount) => makeKey(world.accounts.add(options).email, 0),
    addKey: (email: string) => makeKey(email, world.now() + world.tuning().keyPropagation),
    keysOf: (email: string) =>
      account(email)
        .keys.userManaged()
        .map(({ id, disabled }) => ({ id, disabled })),
    disableKey: (email: string, keyId: string) => switchKey(email, keyId, true),
    enableKey: (email: string, keyId: string) => switchKey(email, keyId, false),
    deleteKey: (email: string, keyId: string) => {
      if (!account(email).keys.remove(keyId)) throw new Error(`no key ${keyId}`)
    },
    disableServiceAccount: (email: string) => world.accounts.setDisabled(email, true),
    enableServiceAccount: (email: string) => world.accounts.setDisabled(email, false),
    deleteServiceAccount: (email: string) => world.accounts.remove(email),
    createRefreshToken: world.grants.create,
    grant: world.grants.find,
    setGrantState: (refreshToken: string, state: GrantState) => {
      const grant = world.grants.find(refreshToken)
      if (grant && state === 'revoked') revokeGrant(world, grant)
      world.grants.setState(refreshToken, state)
    },
    deleteClient: world.grants.deleteClient,
    addClientSecret: world.grants.addClientSecret,
    removeClientSecret: world.grants.removeClientSecret,
    allowImpersonation: world.impersonation.allow,
    denyImpersonation: world.impersonation.withdraw,
    allowKeyAdministration: world.keyAdministration.allow,
    denyKeyAdministration: world.keyAdministration.withdraw,
    createCryptoKey: cryptoKeys.create,
    rotateCryptoKey: cryptoKeys.rotate,
    setCryptoKeyVersionState: cryptoKeys.setState,
    allowCryptoKey: (from: string, name: string) => {
      cryptoKeys.encrypters.allow(from, name)
      cryptoKeys.decrypters.allow(from, name)
    },
    denyCryptoKey: (from: string, name: string, only?: 'encrypt' | 'decrypt') => {
      if (only !== 'decrypt') cryptoKeys.encrypters.withdraw(from, name)
      if (only !== 'encrypt') cryptoKeys.decrypters.withdraw(from, name)
    },
    runAs: (serviceAccount?: string, machine: Partial<Machine> = {}) => {
      const made = { scopes: [CLOUD_PLATFORM], respectsScopes: true, ...machine }
      world.attach(serviceAccount === undefined ? undefined : { ...made, serviceAccount })
    },
    putPoolProvider: world.pools.put,
    createProject: world.projects.create,
    createBucket: world.buckets.create,
    allowKeyVersions: world.cryptoKeys.administrators.allow,
    sitDown: world.sitDown,
    made: () => [
      ...[...world.projects.descriptions.keys()].filter((email) => world.accounts.find(email) !== undefined),
      ...world.projects.ttlFields,
      ...[...world.projects.pools.values()]
        .filter(({ state }) => state === 'ACTIVE')
        .map(({ name }) => String(name)),
    ],
  }
}
