import { auditMembers } from './adapters/system/audit-members.ts'
import { createTokenBuckets } from './adapters/system/token-buckets.ts'
import { withoutTokens } from './adapters/system/without-tokens.ts'
import { createAdminister } from './administer.ts'
import { createAuthenticate, type CallerLimits } from './authenticate/authenticate.ts'
import { claimsFault } from './authenticate/judge-claims.ts'
import { createAuthorizeAdmin } from './authorize/authorize-admin.ts'
import { createAuthorize } from './authorize/authorize.ts'
import { heedingBlockedAdmins, heedingBlocks } from './authorize/heed-blocks.ts'
import { claimsLookedAt } from './authorize/claims-looked-at.ts'
import type { CompiledPolicy } from './authorize/compile-policy.ts'
import { enoughScopes } from './authorize/enough-scopes.ts'
import { createExplain } from './authorize/explain.ts'
import { lockOutFault } from './authorize/lock-out.ts'
import { createMayBlock } from './authorize/may-block.ts'
import { createMayUse } from './authorize/may-use.ts'
import { createMatchText } from './authorize/match-caller.ts'
import { parsePolicy } from './authorize/parse-policy.ts'
import { createPolicyInForce } from './authorize/policy-in-force.ts'
import { outlivingCallers } from './compose/outliving-callers.ts'
import { createCheckDocument, createTellWarnings } from './compose/policy-warnings.ts'
import { createRotationRoom } from './compose/rotation.ts'
import { shownSettings } from './compose/shown-settings.ts'
import type { Settings } from './config.ts'
import { useAtHand } from './domain/at-hand.ts'
import { createExchange, type ExchangeSteps } from './exchange.ts'
import { createApp, type HallDeps } from './http/app.ts'
import { createAdministerCredentials } from './lifecycle/administer-credentials.ts'
import { createAdministerPolicy } from './lifecycle/administer-policy.ts'
import { createExplainRequest } from './lifecycle/explain-request.ts'
import { createNoteRefusal } from './lifecycle/note-refusal.ts'
import { createNoteUse } from './lifecycle/note-use.ts'
import { createRewrapKeys } from './lifecycle/rewrap-keys.ts'
import type { MaintenanceReport } from './lifecycle/maintenance.ts'
import { createAdministerRotation } from './lifecycle/rotation/administer-rotation.ts'
import { createAdministerService } from './lifecycle/administer-service.ts'
import { createReadiness, type Readiness } from './lifecycle/readiness.ts'
import { createRevokeCredential } from './lifecycle/revoke-credential.ts'
import { createServiceStatus } from './lifecycle/service-status.ts'
import { createSuggestPolicy } from './lifecycle/suggest-policy.ts'
import { createMint, type Mint } from './mint/mint.ts'
import { createNotingMint } from './mint/noting-mint.ts'
import type { AuditTrail } from './ports/audit-trail.ts'
import type { Background } from './ports/background.ts'
import type { Clock } from './ports/clock.ts'
import type { DocumentStore } from './ports/document-store.ts'
import type { Entropy, Sha256 } from './ports/entropy.ts'
import type { HttpClient } from './ports/http-client.ts'
import type { KeyRing } from './ports/key-ring.ts'
import type { Log } from './ports/log.ts'
import type { OwnIdentity } from './ports/own-identity.ts'
import type { PolicySource } from './ports/policy-source.ts'
import { createAuditTrails, createStoredAuditTrail } from './records/audit-log.ts'
import { createBlocks } from './records/blocks.ts'
import { createBlocksView } from './records/blocks-view.ts'
import { createCredentialView } from './records/credential-view.ts'
import { createCredentials } from './records/credentials.ts'
import { createIssuedTokens } from './records/issued-tokens.ts'
import { createPolicies } from './records/policies.ts'
import { createRefreshTurns } from './records/refresh-turns.ts'
import { createRefusals } from './records/refusals.ts'
import { createReplays } from './records/replays.ts'
import { createRotations } from './records/rotations.ts'
import { createRuleUses } from './records/rule-uses.ts'
import { createRewraps } from './records/rewraps.ts'
import { createTokens } from './records/tokens.ts'
import { createRevokeToken } from './revoke-token.ts'
import { createIntrospect } from './resolve/introspect.ts'
import { createRevokeIssued } from './resolve/revoke-issued.ts'
import { createResolve } from './resolve/resolve.ts'

/** The world as it is on one runtime: what differs between Cloud Run and Workers, and nothing else. */
export interface Platform {
  readonly clock: Clock
  readonly entropy: Entropy
  readonly sha256: Sha256
  readonly http: HttpClient
  readonly background: Background
  readonly log: Log
  /** Where decisions are written, besides the store. */
  readonly auditTrail: AuditTrail
  readonly store: DocumentStore
  readonly keyRing: KeyRing
  /** Absent where the broker is nobody to Google. */
  readonly ownIdentity?: OwnIdentity
  /** Absent: the policy lies in the store. */
  readonly policySource?: PolicySource
  /** Who counts requests; absent: nobody. */
  readonly limits?: CallerLimits
  /**
   * Whether a request may await what another one began. On Workers it must not: there a promise dies with the request
   * that made it.
   */
  readonly sharesWork: boolean
}

/** The broker as a door sees it. */
export interface Broker {
  readonly serve: Serve
  /** A first look at policy, store and key ring, so that no caller waits for it. */
  readonly readiness: () => Promise<Readiness>
  /** What a schedule runs: everything that has to be done now and then. */
  readonly maintain: () => Promise<MaintenanceReport>
}

/** A Request in, a Response out. */
export type Serve = (request: Request) => Response | Promise<Response>

/** Joins rooms, records and hall into one broker. Nothing is read, sent or written before the first request. */
export function createBroker(settings: Settings, platform: Platform): Broker {
  const { issuer } = settings
  const { store, keyRing, clock, log, entropy, sharesWork } = platform
  const records = createRecords(settings, platform)

  const check = createCheckDocument(records.credentials, { brokerIssuer: issuer })
  const policyInForce = createPolicyInForce({
    source: platform.policySource ?? records.policies,
    parse: (document) => parsePolicy(document, { brokerIssuer: issuer }),
    // A Worker has many instances and short ones: there `policy:validate` says it, and applying.
    ...(sharesWork ? { onLoaded: createTellWarnings({ ...platform, check }) } : {}),
    clock,
    log,
    sharesWork,
    isWrittenInPlace: settings.policy.from === 'file',
  })
  const policy = async () => policyInForce.current()
  const scopesInUse = async (credential: string) => {
    const { rules } = (await policy()).policy
    return rules.find((rule) => rule.credential === credential && rule.scopes.length > 0)?.scopes ?? []
  }
  const findUpstream = async (name: string) => (await policy()).findUpstream(name)

  const authenticate = createAuthenticate({
    ...platform,
    findIssuer: (iss) => useAtHand(policyInForce.current(), ({ findIssuer }) => findIssuer(iss)),
    rememberOnce: records.replays.rememberOnce,
  })
  const resolve = createResolve({
    ...platform,
    ...records,
    blocks: records.blocksView,
    memoryEntriesMax: settings.memoryTokensMax,
  })
  const noting = (mint: Mint) => createNotingMint({ ...platform, ...records, mint })
  const mintWith = (used: Pick<typeof records, 'credentials' | 'refreshTurns'>) =>
    createMint({
      ...platform,
      ...used,
      findUpstream,
      endpoints: mintEndpoints(settings),
      // What a credential's source gives is kept like a token that is issued, and may be issued itself.
      shareToken: async (grant, mint) => (await resolve(grant, () => noting(mint)(grant))).token,
    })
  const mint = mintWith(records)
  const rotation = createRotationRoom({
    settings,
    platform,
    records,
    mint,
    mintWith,
    findUpstream,
    scopesInUse,
  })
  const findCredential = (name: string) =>
    useAtHand(records.credentialView(name), (found) => {
      if (found?.rotation !== undefined) rotation.notice(found)
      return found
    })
  const authorizeDeps = { policy: policyInForce.current, findCredential, brokerIssuer: issuer }
  const exchange = createExchange(
    {
      authenticate,
      authorize: heedingBlocks(records.blocksView, createAuthorize(authorizeDeps)),
      resolve,
      ...createNotes(platform, records, policy),
      mint: noting(mint),
    },
    records.audit,
    clock,
  )

  const administerPolicy = createAdministerPolicy({
    inForce: policyInForce.status,
    check,
    lockOut: (document, caller) =>
      lockOutFault({
        proposed: parsePolicy(document, { brokerIssuer: issuer }),
        caller,
        inForce: policyInForce.status().inForce?.compiled,
        claimsFault: (claims, trusted) => claimsFault(claims, trusted, clock.now()),
      }),
    ...(platform.policySource === undefined ? { policies: records.policies } : {}),
  })

  const authorizeAdmin = createAuthorizeAdmin({ policy })
  const readiness = createReadiness({ store, keyRing, policy, blocks: records.blocksView, clock, log })
  const app = createApp({
    issuer,
    exchange,
    administer: outlivingCallers(
      createAdminister({
        authenticate,
        authorizeAdmin: heedingBlockedAdmins(records.blocksView, authorizeAdmin),
        audit: records.audit,
        clock,
      }),
      platform.background,
    ),
    revokeToken: createRevokeToken(
      {
        authenticate,
        revoke: createRevokeIssued({
          ...platform,
          ...records,
          mayUse: createMayUse({ policy, blocks: records.blocksView }),
        }),
      },
      records.audit,
      clock,
    ),
    introspect: createIntrospect({
      ...platform,
      ...records,
      blocks: records.blocksView,
      findCredential: records.credentialView,
      ...(platform.limits?.total === undefined ? {} : { limit: platform.limits.total }),
    }),
    credentials: createAdministerCredentials({ credentials: records.credentials, findUpstream, log }),
    policy: administerPolicy,
    revokeCredential: createRevokeCredential({ ...records, withdraw: rotation.withdraw }),
    service: createAdministerService({
      ...records,
      issuers: async () => (await policy()).policy.issuers,
      mayBlock: createMayBlock({ policy, authorizeAdmin }),
    }),
    serviceStatus: createServiceStatus({
      ...platform,
      ...records,
      issuer,
      policy: administerPolicy,
      settings: shownSettings(settings),
    }),
    rotation: createAdministerRotation({ ...records, findUpstream, pursue: rotation.pursue, log }),
    maintain: rotation.maintain,
    explain: createExplainRequest({
      ...records,
      explain: createExplain({ ...authorizeDeps, blocks: records.blocksView }),
    }),
    suggest: createSuggestPolicy({ ...records, policy, matchText: createMatchText, enoughScopes, clock }),
    rewrapKeys: createRewrapKeys({ keyRing, rewraps: createRewraps(platform) }),
    readiness,
    ...publishedKeys(settings),
    entropy,
    log,
  })
  return { serve: app.fetch, readiness, maintain: rotation.maintain }
}

function publishedKeys({ federation }: Settings): Pick<HallDeps, 'publishedKeys'> {
  if (federation === undefined) return {}
  return { publishedKeys: federation.keys.map(({ published }) => published) }
}

/** What the corridor leaves behind for `suggest` and `explain`. */
function createNotes(
  platform: Platform,
  { ruleUses, refusals }: ReturnType<typeof createRecords>,
  policy: () => Promise<CompiledPolicy>,
): Pick<ExchangeSteps, 'noteUse' | 'noteRefusal'> {
  return {
    noteUse: createNoteUse({ ...platform, ruleUses }),
    noteRefusal: createNoteRefusal({
      ...platform,
      refusals,
      claimsLookedAt: async () => claimsLookedAt((await policy()).policy),
      redact: withoutTokens,
      limit: createTokenBuckets({ perMinute: keptRefusalsPerMinute, clock: platform.clock }),
    }),
  }
}

/** Of one instance: what is refused more often is not of interest each time. */
const keptRefusalsPerMinute = 300

function createRecords(settings: Settings, platform: Platform) {
  const { store, clock, entropy, log, auditTrail } = platform
  const holder = entropy.uuid()
  const credentials = createCredentials({
    ...platform,
    onMalformed: (error) => log('error', 'a credential cannot be listed', { error }),
  })
  const trails =
    settings.audit === 'stdout'
      ? [auditTrail]
      : [auditTrail, createStoredAuditTrail({ store, keepDays: settings.auditDays, membersOf: auditMembers })]
  const blocks = createBlocks(platform)
  return {
    blocks,
    blocksView: createBlocksView({ ...platform, blocks }),
    credentials,
    credentialView: createCredentialView({ ...platform, credentials }),
    refreshTurns: createRefreshTurns({ ...platform, holder }),
    rotations: createRotations({ ...platform, holder }),
    tokens: createTokens({ ...platform, holder }),
    issuedTokens: createIssuedTokens(platform),
    replays: createReplays(platform),
    ruleUses: createRuleUses(platform),
    refusals: createRefusals(platform),
    policies: createPolicies({ store, clock, newId: entropy.uuid }),
    audit: createAuditTrails(trails),
  }
}

function mintEndpoints({ google }: Settings) {
  return {
    tokenUrl: google.oauthTokenUrl,
    stsUrl: google.stsTokenUrl,
    iamCredentialsUrl: google.iamCredentialsUrl,
  }
}
