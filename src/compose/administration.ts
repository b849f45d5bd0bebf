import { createAdminister, type AdministerDeps, type Administer } from '../administer.ts'
import { type CountRequest, personEntry } from '../authentication/authenticate.ts'
import { claimsFault, sharedAudienceFault } from '../authentication/judge-claims.ts'
import { signInClients } from './people.ts'
import {
  createAuthorizeAdmin,
  createRolesOf,
  lockOutFault,
  createMayBlock,
} from '../authorization/authorize-admin.ts'
import type { AuthorizeDeps } from '../authorization/authorize.ts'
import { enoughScopes } from '../policy/scope-catalogue.ts'
import { createExplain } from '../authorization/explain.ts'
import { enforceAdminBlocks } from '../authorization/enforce-blocks.ts'
import { createMatchText } from '../policy/match-caller.ts'
import type { PolicyInForce } from '../policy/policy-in-force.ts'
import type { Settings } from '../config.ts'
import type { Upstream } from '../domain/upstream.ts'
import type { AppDeps } from '../http/app.ts'
import { createAdministerCredentials } from '../enrolment/administer-credentials.ts'
import { createAdministerPolicy, type AdministerPolicy } from '../policy/administer-policy.ts'
import {
  createAdministerService,
  createServiceStatus,
  type ServiceStatusDeps,
} from '../service/administer-service.ts'
import { createExplainRequest } from '../advice/record-use.ts'
import type { Events } from '../events/events.ts'
import { createRevokeCredential } from '../enrolment/revoke-credential.ts'
import { createRewrapKeys } from '../maintenance/rewrap-keys.ts'
import { createTransferStore } from '../maintenance/transfer-store.ts'
import { createAdministerRotation } from '../rotation/administer-rotation.ts'
import { createSuggestPolicy } from '../advice/suggest-policy.ts'
import type { Intermediaries } from '../token-cache/intermediaries.ts'
import { createReadSummary } from '../maintenance/read-summary.ts'
import { createSummaryRecord } from '../records/broker-summary.ts'
import { createReadAudit } from '../records/read-audit.ts'
import { createRewraps } from '../records/rewraps.ts'
import type { Platform } from './platform.ts'
import type { CheckDocument } from '../policy/policy-warnings.ts'
import type { Records } from './records.ts'
import type { RotationModule } from './rotation.ts'
import { settled } from '../domain/promises.ts'
import type { Background } from '../ports/background.ts'

export interface AdministrationDeps {
  readonly settings: Settings
  readonly platform: Platform
  readonly records: Records
  readonly policyInForce: PolicyInForce
  readonly check: CheckDocument
  readonly findUpstream: (name: string) => Promise<Upstream | undefined>
  readonly rotation: RotationModule
  readonly events: Pick<Events, 'list' | 'test'>
  readonly intermediaries: Pick<Intermediaries, 'removeDead' | 'whyUnusable'>
  readonly authenticate: AdministerDeps['authenticate']
  readonly countRequest: CountRequest
  readonly authorizeDeps: AuthorizeDeps
  readonly noteRefusal: NonNullable<AdministerDeps['noteRefusal']>
  readonly upstreams: ServiceStatusDeps['upstreams']
}

/** What the HTTP layer needs for the admin API. */
export type Administration = Pick<
  AppDeps,
  | 'administer'
  | 'credentials'
  | 'revokeCredential'
  | 'policy'
  | 'service'
  | 'serviceStatus'
  | 'rolesOf'
  | 'rotation'
  | 'maintain'
  | 'explain'
  | 'suggest'
  | 'rewrapKeys'
  | 'transferStore'
  | 'readAudit'
  | 'events'
  | 'keepsAudit'
  | 'readSummary'
  | 'authorizeAdmin'
>

/** Joins the pipeline of the admin API with what it can perform. */
export function createAdministration(deps: AdministrationDeps): Administration {
  const { settings, platform, records, policyInForce, findUpstream, rotation, authenticate, countRequest } =
    deps
  const { clock, log } = platform
  const blocks = records.blocksView
  const policy = async () => policyInForce.current()
  const authorizeAdmin = createAuthorizeAdmin({ policy, deviceClientId: settings.signIn?.deviceClientId })
  const administer = createAdminister({
    countRequest: () => countRequest('administrators'),
    authenticate,
    authorizeAdmin: enforceAdminBlocks(blocks, authorizeAdmin),
    noteRefusal: deps.noteRefusal,
    audit: records.audit,
    clock,
  })
  const administerPolicy = createPolicyAdministration(deps)
  const credentials = createAdministerCredentials({
    ...records,
    findUpstream,
    verify: rotation.verifyGrant,
    log,
    clock,
  })
  const versions = createAdministerRotation({ ...records, findUpstream, pursue: rotation.pursue, log })
  const service = createAdministerService({
    ...records,
    issuers: async () => (await policy()).policy.issuers,
    mayBlock: createMayBlock({ policy, authorizeAdmin }),
  })
  const transferStore = createTransferStore(platform)
  /** This instance sees what is switched before the answer leaves (P36): a credential by its name, else the blocks. */
  const thenSeen =
    <Args extends readonly unknown[], Done>(
      act: (...args: Args) => Promise<Done>,
      nameOf?: (...args: NoInfer<Args>) => string,
    ) =>
    async (...args: Args): Promise<Done> => {
      try {
        return await act(...args)
      } finally {
        await records.readAgain(nameOf?.(...args))
      }
    }
  const named = (...[name]: readonly [string, ...unknown[]]): string => name
  /** What may no longer be drawn from takes what boundaries are sealed behind along, before the answer. */
  const thenRemoved =
    <Args extends readonly unknown[], Done>(act: (...args: Args) => Promise<Done>, which?: 'all') =>
    async (...args: Args): Promise<Done> => {
      const done = await act(...args)
      await deps.intermediaries.removeDead(which)
      return done
    }

  return {
    administer: completeAfterDisconnect(administer, platform.background),
    credentials: {
      ...credentials,
      change: thenSeen(thenRemoved(credentials.change), named),
      disable: thenSeen(thenRemoved(credentials.disable), named),
      enable: thenSeen(credentials.enable, named),
      destroy: thenSeen(thenRemoved(credentials.destroy), named),
    },
    revokeCredential: thenSeen(
      thenRemoved(createRevokeCredential({ ...records, withdraw: rotation.withdraw })),
      named,
    ),
    policy: administerPolicy,
    service: {
      ...service,
      stop: thenSeen(thenRemoved(service.stop, 'all')),
      resume: thenSeen(service.resume),
      blockCaller: thenSeen(service.blockCaller),
      unblockCaller: thenSeen(service.unblockCaller),
    },
    rolesOf: createRolesOf({ policy, deviceClientId: settings.signIn?.deviceClientId }),
    serviceStatus: createServiceStatus({
      ...platform,
      ...records,
      issuer: settings.issuer,
      policy: administerPolicy,
      upstreams: deps.upstreams,
      settings: shownSettings(settings),
    }),
    rotation: {
      ...versions,
      disableVersion: thenSeen(thenRemoved(versions.disableVersion), named),
      destroyVersion: thenSeen(thenRemoved(versions.destroyVersion), named),
    },
    maintain: rotation.maintain,
    explain: createExplainRequest({
      ...records,
      explain: createExplain({
        ...deps.authorizeDeps,
        blocks,
        sharedAudienceFault,
        whyUnsealed: deps.intermediaries.whyUnusable,
      }),
    }),
    suggest: createSuggestPolicy({ ...records, policy, matchText: createMatchText, enoughScopes, clock }),
    rewrapKeys: createRewrapKeys({ ...platform, rewraps: createRewraps(platform) }),
    transferStore: { ...transferStore, importSegment: thenSeen(transferStore.importSegment) },
    readAudit: createReadAudit(platform),
    events: deps.events,
    readSummary: createReadSummary({
      ...platform,
      ...records,
      summary: createSummaryRecord(platform),
      policy,
    }),
    keepsAudit: settings.audit !== 'stdout',
    authorizeAdmin,
  }
}

function createPolicyAdministration(deps: AdministrationDeps): AdministerPolicy {
  const { settings, platform, records, policyInForce, check } = deps
  return createAdministerPolicy({
    inForce: policyInForce.status,
    check,
    lockOut: (proposed, caller) =>
      lockOutFault({
        proposed,
        caller,
        inForce: policyInForce.status().inForce?.compiled,
        claimsFault: (claims, trusted) =>
          claimsFault(claims, personEntry(claims, trusted, signInClients(settings)), platform.clock.now()),
      }),
    ...(platform.policySource === undefined && { policies: records.policies }),
  })
}

/** Settings as they are in force, by their names, for administrators. Picked one by one: none of them is a secret (P23). */
function shownSettings(settings: Settings): Readonly<Record<string, string>> {
  const { federation, google, webhook } = settings
  return {
    DOWNSCOPE_STORE: storeText(settings.store),
    DOWNSCOPE_KEY_RING: settings.keyRing.map(keyRingText).join(','),
    DOWNSCOPE_POLICY: policyText(settings.policy),
    DOWNSCOPE_REFRESH: settings.refresh,
    DOWNSCOPE_MEMORY_TOKENS: String(settings.memoryTokensMax),
    DOWNSCOPE_CALLER_RATE: String(settings.callerRate),
    DOWNSCOPE_TOTAL_RATE: String(settings.totalRate),
    DOWNSCOPE_STORE_OUTAGE_SECONDS: String(settings.storeOutageSeconds),
    DOWNSCOPE_AUDIT: settings.audit,
    DOWNSCOPE_AUDIT_DAYS: String(settings.auditDays),
    DOWNSCOPE_LOG_LEVEL: settings.logLevel,
    ...(webhook !== undefined && { DOWNSCOPE_WEBHOOK_URL: new URL(webhook.url).host }),
    ...(federation !== undefined && { DOWNSCOPE_GOOGLE_FEDERATION: federation.provider }),
    GOOGLE_OAUTH_TOKEN_URL: google.oauthTokenUrl,
  }
}

function storeText(store: Settings['store']): string {
  switch (store.kind) {
    case 'memory':
      return 'memory:'
    case 'sqlite':
      return `sqlite:${store.path}`
    case 'firestore':
      return `firestore${store.driver === 'rest' ? '+rest' : ''}://${store.project}/${store.database}`
  }
}

/** Of local keys the names, first the one that seals. */
function keyRingText(part: Settings['keyRing'][number]): string {
  switch (part.kind) {
    case 'local':
      return `local: (keys ${part.keys.map(({ kid }) => kid).join(', ')})`
    case 'gcp-kms':
      return `gcp-kms://${part.cryptoKey}`
  }
}

function policyText(policy: Settings['policy']): string {
  switch (policy.from) {
    case 'file':
      return policy.path
    case 'setting':
      return `(${policy.name})`
    case 'store':
      return '(in the store)'
  }
}

/**
 * An act of administration is finished, and leaves its record, also when its caller has hung up and nobody waits for
 * it. Whoever asks for a token does not pass here: to register each request in a Worker costs as much as a fifth of
 * it, and what must not be cut off there, `resolve` keeps in the background itself.
 */
export function completeAfterDisconnect(
  administer: Administer,
  background: Pick<Background, 'run'>,
): Administer {
  return (context) => {
    const act = administer(context)
    background.run(() => settled(act))
    return act
  }
}
