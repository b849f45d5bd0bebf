import { importWebAesGcmKey } from '../../src/adapters/system/clock-and-entropy.ts'
import { inspect } from 'node:util'
import { createMemoryStore } from '../../src/adapters/memory/memory-store.ts'
import { createHttpClient } from '../../src/adapters/system/fetch-http-client.ts'
import { createVerifyIssued } from '../../src/authentication/verify-signature.ts'
import { openIdentitySource, openOwnIdentity } from '../../src/compose/google-cloud.ts'
import { readSettings } from '../../src/config.ts'
import type { Environment } from '../../src/config/setting.ts'
import { grantedCredential, type Grant } from '../../src/domain/grant.ts'
import { scopeSet } from '../../src/domain/scopes.ts'
import type { EpochSeconds } from '../../src/domain/time.ts'
import type { Mint, MintedToken } from '../../src/domain/token.ts'
import { createAdministerCredentials } from '../../src/enrolment/administer-credentials.ts'
import type { ShareToken } from '../../src/minting/impersonator-token.ts'
import { createMint, type MintDeps } from '../../src/minting/mint.ts'
import type { HttpClient } from '../../src/ports/http-client.ts'
import { createCredentials } from '../../src/records/credentials.ts'
import { createRefreshLeases } from '../../src/records/refresh-leases.ts'
import { createRotations } from '../../src/records/rotations.ts'
import { createFaultyStore } from './faulty-store.ts'
import { startGoogleStandIn } from './google/stand-in.ts'
import { createPlainKeyRing } from './plain-key-ring.ts'
import { createAwaitableBackground, createLogBook } from './quiet.ts'
import { createSequence, webSha256 } from './sequence.ts'
import { createSkippingClock } from './skipping-clock.ts'
import { finderOf } from './upstreams.ts'

export const DRIVE = 'https://www.googleapis.com/auth/drive'
export const DRIVE_READ = 'https://www.googleapis.com/auth/drive.readonly'
export const STORAGE_READ = 'https://www.googleapis.com/auth/devstorage.read_only'
export const CLOUD_PLATFORM = 'https://www.googleapis.com/auth/cloud-platform'
export const PUBSUB = 'https://www.googleapis.com/auth/pubsub'

export type MintWorld = Awaited<ReturnType<typeof startMintWorld>>

interface MintWorldOptions {
  /** Entries of the policy's `upstreams`. */
  readonly upstreams?: readonly object[]
  readonly startAt?: EpochSeconds
}

/** What real timeouts are: so long that no busy machine makes one, for a second attempt would be counted. */
const patienceMs = 30_000

/** The mint over a real socket to the Google stand-in, with a store that can fail and a clock that needs no waiting. */
export async function startMintWorld({ upstreams = [], startAt }: MintWorldOptions = {}) {
  const findUpstream = finderOf(...upstreams)
  const clock = createSkippingClock(startAt)
  const google = await startGoogleStandIn({ now: () => clock.now() })
  const store = createFaultyStore(createMemoryStore({ clock }))
  const keyRing = createPlainKeyRing()
  const entropy = createSequence(0.5)
  const book = createLogBook()
  const deps = { store, clock, keyRing, entropy }
  const credentials = createCredentials({
    ...deps,
    onMalformed: ({ reason }) => book.log('error', reason),
  })
  const administration = createAdministerCredentials({ credentials, findUpstream, log: book.log, clock })
  const timeouts = { ms: patienceMs }
  const errors: unknown[] = []
  const files: unknown[] = []

  /** The broker as these settings say who it is; without any the metadata server says it. */
  const identityOf = (env: Environment = {}) => {
    const settings = readSettings({
      DOWNSCOPE_ISSUER: 'https://tokens.acme.example',
      DOWNSCOPE_KEYS: `k1:${'A'.repeat(43)}=`,
      GCE_METADATA_HOST: google.metadataHost,
      ...google.endpoints,
      ...env,
    })
    const http = impatient(createHttpClient(), timeouts, clock.skip)
    const identitySource = openIdentitySource(settings, { http, clock, entropy, hasMetadataServer: true })
    return openOwnIdentity(settings, { http, clock, entropy, sharesWork: true, identitySource })
  }

  const createInstance = (
    holder: string,
    more: Partial<Pick<MintDeps, 'ownIdentity' | 'background' | 'showConfirmed'>> = {},
  ) => {
    const background = createAwaitableBackground()
    const refreshLeases = createRefreshLeases({ ...deps, holder })
    const verifyIssued = createVerifyIssued({
      http: createHttpClient(),
      clock,
      log: book.log,
      sharesWork: true,
    })
    const mint = createMint({
      http: impatient(createHttpClient(), timeouts, clock.skip),
      clock,
      entropy,
      importAesGcmKey: importWebAesGcmKey,
      sha256: webSha256,
      log: book.log,
      background,
      credentials,
      refreshLeases,
      verifyAccessToken: (token, from) => verifyIssued(token.reveal(), from),
      findUpstream,
      sharesWork: true,
      endpoints: {
        tokenUrl: google.endpoints.GOOGLE_OAUTH_TOKEN_URL,
        stsUrl: google.endpoints.GOOGLE_STS_TOKEN_URL,
        iamCredentialsUrl: google.endpoints.GOOGLE_IAM_CREDENTIALS_URL,
      },
      shareToken: createSharing(),
      intermediaries: { share: createSharing(), noteUnusable: () => {}, whyUnusable: () => undefined },
      ...more,
    })
    return { mint: remembering(mint, errors), background, refreshLeases }
  }
  const first = createInstance('instance-1')

  return {
    clock,
    findUpstream,
    google,
    deps,
    store,
    keyRing,
    entropy,
    book,
    credentials,
    rotations: createRotations({ ...deps, holder: 'instance-1' }),
    administration,
    createInstance,
    identityOf,
    ...first,
    /** For an upstream that never answers. */
    cutTimeouts: (ms = patienceMs) => {
      timeouts.ms = ms
    },
    enrol: async (name: string, secret: unknown, scopes?: readonly string[]) => {
      files.push(secret)
      return administration.enrol({ name, secret, ...(scopes === undefined ? {} : { scopes }) })
    },
    grantFor: async (name: string, scopes: readonly string[], more: Partial<Grant> = {}): Promise<Grant> => {
      const summary = await administration.read(name)
      const source = summary.source === undefined ? undefined : await administration.read(summary.source)
      const caller = { issuer: 'https://issuer.example', issuerName: 'i', subject: 's', claims: {} }
      return {
        caller,
        rule: 'r',
        credential: grantedCredential(summary, source === undefined ? undefined : grantedCredential(source)),
        scopes: scopeSet(scopes),
        tokenType: 'access_token',
        ...more,
      }
    },
    /** Every secret of this world that stands in a log line, an error, or the given text. */
    leaks: (...more: readonly unknown[]) => {
      const said = inspect([book.lines, errors, ...more], {
        depth: 20,
        maxStringLength: null,
        maxArrayLength: null,
      })
      return secretsOf(google, files).filter((secret) => said.includes(secret))
    },
    errors,
  }
}

export { failureOf } from './failure-of.ts'

/** One token for each source and its scopes, for ever: what `resolve` does with more care. */
function createSharing(): ShareToken {
  const shared = new Map<string, MintedToken>()
  return async ({ credential, scopes }, mint) => {
    const place = JSON.stringify([credential.name, credential.version, scopes])
    const token = shared.get(place) ?? (await mint())
    shared.set(place, token)
    return token
  }
}

/** Timeouts by the real clock are the test's, and the world's clock is moved by what they should have been. */
function impatient(
  http: HttpClient,
  timeouts: { readonly ms: number },
  skip: (ms: number) => void,
): HttpClient {
  return async (request) => {
    const result = await http({ ...request, timeoutMs: timeouts.ms })
    if (result.kind === 'failure' && result.cause === 'timeout') skip(request.timeoutMs)
    return result
  }
}

function remembering(mint: Mint, errors: unknown[]): (grant: Grant) => Promise<MintedToken> {
  return async (grant) => {
    try {
      return await mint(grant)
    } catch (error) {
      errors.push(error)
      throw error
    }
  }
}

/** Tokens, refresh tokens, assertions and client secrets as the stand-in saw them, and the lines of every key. */
function secretsOf(google: Awaited<ReturnType<typeof startGoogleStandIn>>, files: readonly unknown[]) {
  const sent = google.calls
    .all()
    .flatMap(({ params }) =>
      ['assertion', 'refresh_token', 'client_secret', 'subject_token'].map((name) => params[name]),
    )
  const rotated = google.calls.all().map(({ credential }) => google.grant(credential)?.current)
  const texts = [
    ...sent,
    ...rotated,
    ...google.tokens().map(({ value }) => value),
    ...files.flatMap(keyLines),
    ...files.map(apiKeyOf),
  ]
  return [...new Set(texts)].filter((text) => typeof text === 'string').filter((text) => text.length > 10)
}

function apiKeyOf(file: unknown): unknown {
  return typeof file === 'object' && file !== null && 'key' in file ? file.key : undefined
}

function keyLines(file: unknown): readonly string[] {
  if (typeof file !== 'object' || file === null || !('private_key' in file)) return []
  return String(file.private_key)
    .split('\n')
    .filter((line) => line.length > 40)
}
