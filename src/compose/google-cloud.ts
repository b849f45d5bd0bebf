import { createFederatedSource } from '../adapters/google-identity/federated-identity.ts'
import {
  createCachedToken,
  createOwnIdentity,
  createServiceAccountSource,
  createMetadataSource,
  type IdentitySource,
} from '../adapters/google-identity/own-identity.ts'
import type { AccessToken } from '../google/api-request.ts'
import { createSignAssertion } from '../adapters/google-identity/signing-keys.ts'
import type { FederationSettings, Settings, KeyRingPart } from '../config.ts'
import { BrokerError } from '../domain/broker-error.ts'
import { cloudPlatformScope } from '../domain/google.ts'
import type { Platform } from './platform.ts'
import { createKmsRingKeys } from '../adapters/key-ring/kms-ring-keys.ts'
import { createKeyRing, type RingKeys } from '../adapters/key-ring/key-ring.ts'
import { createLocalRingKeys } from '../adapters/key-ring/local-keys.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import { createFirestoreRestStore } from '../adapters/firestore/rest/firestore-rest-store.ts'
import type { DocumentStore } from '../ports/document-store.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import { createTickets, type Tickets } from '../authentication/tickets.ts'
import { enforceBlocks, refuseWithoutRule, type CurrentBlocks } from '../authorization/enforce-blocks.ts'
import type { CompiledPolicy } from '../policy/compile-policy.ts'
import type { MaybePromise } from '../domain/promises.ts'
import { until } from '../domain/time.ts'
import { brokerTarget } from '../domain/url.ts'
import { createExchange, type Exchange, type ExchangeSteps } from '../exchange.ts'
import type { Mint } from '../domain/token.ts'
import type { Records } from './records.ts'

export interface GooglePlatform extends Pick<Platform, 'http' | 'clock' | 'entropy' | 'sharesWork'> {
  /** Who the broker is, for all that it does at Google; absent where it is nobody. */
  readonly identitySource: IdentitySource | undefined
}

/** A token of the broker itself towards Google, held in memory. Throws `not_supported` when it is nobody there. */
export function createGoogleIdentity(platform: GooglePlatform, scopes: readonly string[]): AccessToken {
  const { identitySource } = platform
  if (identitySource === undefined)
    throw new BrokerError('not_supported', {
      reason:
        'DOWNSCOPE_GOOGLE_CREDENTIALS or DOWNSCOPE_GOOGLE_FEDERATION is required: there is no metadata server here',
    })
  return createCachedToken({ ...platform, fetchToken: () => identitySource.accessToken(scopes) })
}

/** The broker itself as something to mint from; absent when it has no Google identity. Nothing is requested yet. */
export function openOwnIdentity(
  { google: { tokeninfoUrl } }: Settings,
  platform: GooglePlatform,
): Pick<Platform, 'ownIdentity'> {
  const { identitySource: source } = platform
  if (source === undefined) return {}
  const acting = createGoogleIdentity(platform, [cloudPlatformScope])
  return { ownIdentity: createOwnIdentity({ ...platform, source, acting, tokeninfoUrl }) }
}

export interface IdentitySourcePlatform extends Pick<Platform, 'http' | 'clock' | 'entropy'> {
  /** Whether there may be one: not on Workers. */
  readonly hasMetadataServer: boolean
}

/**
 * Who the broker is towards Google, on either runtime: by its key file, else by federation, else by the metadata
 * server. The settings refuse the first two together. A platform opens it once, for it imports its key once.
 */
export function openIdentitySource(
  settings: Settings,
  platform: IdentitySourcePlatform,
): IdentitySource | undefined {
  const { googleCredentials: key, federation, google, metadataHost: host } = settings
  if (key !== undefined)
    return createServiceAccountSource({ ...platform, key, tokenUrl: google.oauthTokenUrl })
  if (federation !== undefined) return createFederated(settings, federation, platform)
  if (!platform.hasMetadataServer) return undefined
  return createMetadataSource({ ...platform, ...omitUndefined({ host }) })
}

function createFederated(
  { issuer, google }: Settings,
  { keys, provider, serviceAccount }: FederationSettings,
  platform: IdentitySourcePlatform,
): IdentitySource {
  return createFederatedSource({
    ...platform,
    signAssertion: createSignAssertion({ ...platform, keys, issuer, provider }),
    provider,
    serviceAccount,
    stsUrl: google.stsTokenUrl,
    iamCredentialsUrl: google.iamCredentialsUrl,
  })
}

const kmsScopes = ['https://www.googleapis.com/auth/cloudkms'] as const

/** The key ring that the settings name, on either runtime. Throws `not_supported` without an identity for Cloud KMS. */
export function openKeyRing(settings: Settings, platform: GooglePlatform): KeyRing {
  const [first, ...others] = settings.keyRing.map((part) => openPart(part, settings, platform))
  if (first === undefined) throw new TypeError('the settings name no key ring')
  return createKeyRing([first, ...others])
}

function openPart(part: KeyRingPart, settings: Settings, platform: GooglePlatform): RingKeys {
  switch (part.kind) {
    case 'local':
      return createLocalRingKeys(part.keys)
    case 'gcp-kms':
      return createKmsRingKeys({
        ...platform,
        cryptoKey: part.cryptoKey,
        kmsUrl: settings.google.kmsUrl,
        accessToken: createGoogleIdentity(platform, kmsScopes),
      })
  }
}

const scopes = ['https://www.googleapis.com/auth/datastore'] as const

/** Firestore over REST, on either runtime. Throws `not_supported` when the broker could not say who it is. */
export function openFirestoreRest(
  place: { readonly project: string; readonly database: string },
  settings: Settings,
  platform: GooglePlatform,
): DocumentStore {
  const { firestoreEmulatorHost: emulatorHost } = settings
  const server =
    emulatorHost === undefined ? { accessToken: createGoogleIdentity(platform, scopes) } : { emulatorHost }
  return createFirestoreRestStore({
    ...platform,
    ...server,
    projectId: place.project,
    databaseId: place.database,
  })
}

interface ExchangesDeps {
  readonly platform: Platform
  readonly records: Records
  readonly issuer: string
  readonly policy: () => MaybePromise<CompiledPolicy>
  readonly blocks: CurrentBlocks
  /** Without a note of what it gave. */
  readonly mint: Mint
}

interface Exchanges {
  readonly exchange: Exchange
  /** The same for the methods of IAM Credentials: a ticket proves its caller too, and signatures are shared with nobody. */
  readonly exchangeForIam: Exchange
  readonly tickets: Tickets
}

/** The pipeline of token requests, and the one that what `/v1/token` gave as a ticket leads to. */
export function createExchanges(steps: ExchangeSteps, deps: ExchangesDeps): Exchanges {
  const { platform, records, issuer, policy, blocks, mint } = deps
  const { clock } = platform
  const tickets = createTickets({ ...platform, ...records, brokerIssuer: issuer })
  const admit = enforceBlocks(blocks, async (caller) => {
    refuseWithoutRule(await policy(), caller)
  })
  const issue: Tickets['issue'] = async (caller, request) => {
    await admit(caller, request)
    return tickets.issue(caller, request)
  }
  const withTickets = { ...steps, tickets: { audience: brokerTarget(issuer), issue } }
  return {
    tickets,
    exchange: createExchange(withTickets, records.audit, clock),
    exchangeForIam: createExchange(
      {
        ...withTickets,
        authenticate: async (proof) => steps.authenticate(await tickets.redeem(proof)),
        resolve: async (grant, mintToken, deadlineMs) => {
          if (grant.tokenType !== 'signature') return steps.resolve(grant, mintToken, deadlineMs)
          const token = await mint(grant, deadlineMs)
          const remaining = until(token.expiresAt, clock.now())
          return { token, digest: token.signed?.digest ?? '', source: 'mint', remaining }
        },
      },
      records.audit,
      clock,
    ),
  }
}
