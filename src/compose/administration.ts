import { createAdminister, type AdministerDeps } from '../administer.ts'
import type { CountRequest } from '../authenticate/authenticate.ts'
import { claimsFault, sharedAudienceFault } from '../authenticate/judge-claims.ts'
import { personEntry } from '../authenticate/person-entry.ts'
import { signInClients } from './sign-in.ts'
import { createAuthorizeAdmin } from '../authorize/authorize-admin.ts'
import type { AuthorizeDeps } from '../authorize/authorize.ts'
import { enoughScopes } from '../authorize/enough-scopes.ts'
import { createExplain } from '../authorize/explain.ts'
import { heedingBlockedAdmins } from '../authorize/heed-blocks.ts'
import { lockOutFault } from '../authorize/lock-out.ts'
import { createMatchText } from '../authorize/match-caller.ts'
import { createMayBlock } from '../authorize/may-block.ts'
import { parsePolicy } from '../authorize/parse-policy.ts'
import type { PolicyInForce } from '../authorize/policy-in-force.ts'
import type { Settings } from '../config.ts'
import type { Upstream } from '../domain/upstream.ts'
import type { HallDeps } from '../http/app.ts'
import { createAdministerCredentials } from '../lifecycle/administer-credentials.ts'
import { createAdministerPolicy, type AdministerPolicy } from '../lifecycle/administer-policy.ts'
import { createAdministerService } from '../lifecycle/administer-service.ts'
import { createExplainRequest } from '../lifecycle/explain-request.ts'
import { createRevokeCredential } from '../lifecycle/revoke-credential.ts'
import { createRewrapKeys } from '../lifecycle/rewrap-keys.ts'
import { createAdministerRotation } from '../lifecycle/rotation/administer-rotation.ts'
import { createServiceStatus } from '../lifecycle/service-status.ts'
import { createSuggestPolicy } from '../lifecycle/suggest-policy.ts'
import { createRewraps } from '../records/rewraps.ts'
import { outlivingCallers } from './outliving-callers.ts'
import type { Platform } from './platform.ts'
import type { CheckDocument } from './policy-warnings.ts'
import type { Records } from './records.ts'
import type { RotationRoom } from './rotation.ts'
import { shownSettings } from './shown-settings.ts'

export interface AdministrationDeps {
  readonly settings: Settings
  readonly platform: Platform
  readonly records: Records
  readonly policyInForce: PolicyInForce
  readonly check: CheckDocument
  readonly findUpstream: (name: string) => Promise<Upstream | undefined>
  readonly rotation: RotationRoom
  readonly authenticate: AdministerDeps['authenticate']
  readonly countRequest: CountRequest
  readonly authorizeDeps: AuthorizeDeps
}

/** What the hall takes for the admin API. */
export type Administration = Pick<
  HallDeps,
  | 'administer'
  | 'credentials'
  | 'revokeCredential'
  | 'policy'
  | 'service'
  | 'serviceStatus'
  | 'rotation'
  | 'maintain'
  | 'explain'
  | 'suggest'
  | 'rewrapKeys'
>

/** Joins the corridor of the admin API with what can be asked of it. */
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
    authorizeAdmin: heedingBlockedAdmins(blocks, authorizeAdmin),
    audit: records.audit,
    clock,
  })
  const administerPolicy = createPolicyAdministration(deps)

  return {
    administer: outlivingCallers(administer, platform.background),
    credentials: createAdministerCredentials({ credentials: records.credentials, findUpstream, log }),
    revokeCredential: createRevokeCredential({ ...records, withdraw: rotation.withdraw }),
    policy: administerPolicy,
    service: createAdministerService({
      ...records,
      issuers: async () => (await policy()).policy.issuers,
      mayBlock: createMayBlock({ policy, authorizeAdmin }),
    }),
    serviceStatus: createServiceStatus({
      ...platform,
      ...records,
      issuer: settings.issuer,
      policy: administerPolicy,
      settings: shownSettings(settings),
    }),
    rotation: createAdministerRotation({ ...records, findUpstream, pursue: rotation.pursue, log }),
    maintain: rotation.maintain,
    explain: createExplainRequest({
      ...records,
      explain: createExplain({ ...deps.authorizeDeps, blocks, sharedAudienceFault }),
    }),
    suggest: createSuggestPolicy({ ...records, policy, matchText: createMatchText, enoughScopes, clock }),
    rewrapKeys: createRewrapKeys({ ...platform, rewraps: createRewraps(platform) }),
  }
}

function createPolicyAdministration(deps: AdministrationDeps): AdministerPolicy {
  const { settings, platform, records, policyInForce, check } = deps
  return createAdministerPolicy({
    inForce: policyInForce.status,
    check,
    lockOut: (document, caller) =>
      lockOutFault({
        proposed: parsePolicy(document, { brokerIssuer: settings.issuer }),
        caller,
        inForce: policyInForce.status().inForce?.compiled,
        claimsFault: (claims, trusted) =>
          claimsFault(claims, personEntry(claims, trusted, signInClients(settings)), platform.clock.now()),
      }),
    ...(platform.policySource === undefined ? { policies: records.policies } : {}),
  })
}
