import type { SessionKey, SessionKeyKind } from './boundary-tokens.ts'
import { createBuckets, type Buckets } from './buckets.ts'
import type { PendingCode, Person } from './consent-page.ts'
import { createProjects, type Projects } from './projects.ts'
import { createCryptoKeys, type CryptoKeys } from './crypto-keys.ts'
import { createIdTokens, type IdTokens } from './id-tokens.ts'
import { createIssuedTokens, type IssuedTokens } from './issued-tokens.ts'
import { createKeySource } from './key-pool.ts'
import { createPermissions, type Permissions } from './permissions.ts'
import { createRefreshGrants, type RefreshGrants } from './refresh-grants.ts'
import { createServiceAccounts, type ServiceAccounts } from './service-accounts.ts'
import { createWorkloadPools, type WorkloadPools } from './workload-pools.ts'

/** Everything Google remembers between two requests. */
export type World = {
  /** Whole seconds since 1970. */
  readonly now: () => number
  readonly tuning: () => Tuning
  readonly tune: (change: Partial<Tuning>) => void
  readonly accounts: ServiceAccounts
  readonly grants: RefreshGrants
  readonly tokens: IssuedTokens
  readonly idTokens: IdTokens
  /** What the metadata server says; absent where no service account is attached. */
  readonly machine: () => Machine | undefined
  readonly attach: (machine: Machine | undefined) => void
  readonly pools: WorkloadPools
  /** May this principal create tokens for that service account? */
  readonly impersonation: Permissions
  /** May this principal administer the keys of that service account? */
  readonly keyAdministration: Permissions
  readonly cryptoKeys: CryptoKeys
  readonly buckets: Buckets
  readonly projects: Projects
  /** Who sits at the browser. */
  readonly person: () => Person
  readonly sitDown: (person: Person) => void
  /** Authorization codes that nobody has used. */
  readonly codes: Map<string, PendingCode>
  /** By the intermediary token that each was given with. */
  readonly sessionKeys: Map<string, SessionKey>
}

/** What runs the broker, as its metadata server knows it. */
export type Machine = {
  readonly serviceAccount: string
  /** Those that it was made with; of Cloud Run cloud-platform. */
  readonly scopes: readonly string[]
  /** Whether `?scopes=` counts: on Cloud Run and Knative it does, Compute Engine ignores it (docs/google.md §4.5). */
  readonly respectsScopes: boolean
}

export type Tuning = {
  /** Seconds an access token lives; Google says 3599. */
  readonly tokenLifetime: number
  /** Seconds until the token endpoint knows a key made after its account. */
  readonly keyPropagation: number
  /** Seconds until a key that was made is listed: reads of the IAM API lag behind writes. */
  readonly listLag: number
  /** The policies iam.disableServiceAccountKeyCreation and iam.disableServiceAccountKeyUpload. */
  readonly keyCreationDisabled: boolean
  readonly keyUploadDisabled: boolean
  /** Whether the STS bounds only tokens of the scope cloud-platform, which some have seen. */
  readonly refusesNarrowSources: boolean
  /** Whether what is not documented for boundaries may stand in their conditions. */
  readonly takesAnyCondition: boolean
  /** Whether a token with a boundary can get another. */
  readonly boundsTwice: boolean
  /** Whether Cloud Storage opens what a rule names and never looks at its condition. */
  readonly ignoresConditions: boolean
  /** Whether services beside Cloud Storage take a token with a boundary. */
  readonly boundaryReachesBeyond: boolean
  /** Whether an intermediary token is good without a boundary behind it. */
  readonly takesIntermediaryAlone: boolean
  /** Whether a refresh token gives scopes that a consented one implies. */
  readonly impliesScopes: boolean
  /** Whether revoking an access token leaves its grant alone. */
  readonly revokesTokenOnly: boolean
  /** Whether Firestore fails to apply a TTL policy. */
  readonly ttlNeedsRepair: boolean
  /** What kind of key comes with the next intermediary token. */
  readonly sessionKey: SessionKeyKind
}

export type WorldOptions = Partial<Tuning> & {
  /** Seconds since 1970; default the real clock. */
  readonly now?: () => number
}

export function createWorld(options: WorldOptions): World {
  const { now: clock = () => Date.now() / 1000, ...change } = options
  const now = () => Math.floor(clock())
  const keys = createKeySource()
  let machine: Machine | undefined
  let person: Person = { email: 'user@acme.example', consents: true }
  let tuning: Tuning = {
    tokenLifetime: 3599,
    keyPropagation: 0,
    listLag: 0,
    keyCreationDisabled: false,
    keyUploadDisabled: false,
    refusesNarrowSources: false,
    takesAnyCondition: false,
    boundsTwice: false,
    ignoresConditions: false,
    boundaryReachesBeyond: false,
    takesIntermediaryAlone: false,
    impliesScopes: false,
    revokesTokenOnly: false,
    ttlNeedsRepair: false,
    sessionKey: 'AES256_TINK',
    ...change,
  }
  return {
    now,
    tuning: () => tuning,
    tune: (next) => {
      tuning = { ...tuning, ...next }
    },
    accounts: createServiceAccounts(now, keys),
    grants: createRefreshGrants(),
    tokens: createIssuedTokens(now),
    idTokens: createIdTokens(now, keys),
    machine: () => machine,
    attach: (next) => {
      machine = next
    },
    pools: createWorkloadPools(),
    impersonation: createPermissions(),
    keyAdministration: createPermissions(),
    cryptoKeys: createCryptoKeys(),
    buckets: createBuckets(),
    projects: createProjects(),
    person: () => person,
    sitDown: (next) => {
      person = next
    },
    codes: new Map(),
    sessionKeys: new Map(),
  }
}
