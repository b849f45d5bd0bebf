import { auditMembers, redactTokens } from '../adapters/system/audit-trail.ts'
import type { Settings } from '../config.ts'
import type { MaybePromise } from '../domain/promises.ts'
import type { BlocksInForce } from '../domain/blocks.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import type { AuditTrail } from '../ports/log.ts'
import { createAuditTrails, createStoredAuditTrail } from '../records/audit-log.ts'
import { createBlocks, type BlocksRecord, createBlocksView } from '../records/blocks.ts'
import { createCredentialView } from '../records/credential-view.ts'
import { createCredentials, type Credentials } from '../records/credentials.ts'
import { createIssuedTokens, type IssuedTokens, createTokens, type Tokens } from '../records/tokens.ts'
import { createPolicies, type Policies } from '../records/policies.ts'
import type { NoticeHealth } from '../records/read-modify-write.ts'
import { createRefreshLeases, type RefreshLeases } from '../records/refresh-leases.ts'
import { createRefusals, type Refusals } from '../records/refusals.ts'
import { createReplays, type Replays } from '../records/replays.ts'
import { createRotations, type Rotations } from '../records/rotations.ts'
import { createRuleUses, type RuleUses } from '../records/rule-uses.ts'
import { unmeasured } from './measure.ts'
import type { Platform } from './platform.ts'
import { createTokenBuckets } from '../adapters/system/rate-limits.ts'
import { claimsLookedAt, type CompiledPolicy } from '../policy/compile-policy.ts'
import type { ExchangeSteps } from '../exchange.ts'
import { createRecordRefusal, createRecordUse, createUsageRecorder } from '../advice/record-use.ts'

/** What the broker keeps in its store, and the views that this instance has of it. */
export interface Records {
  readonly blocks: BlocksRecord
  readonly blocksView: () => BlocksInForce | Promise<BlocksInForce>
  readonly credentials: Credentials
  readonly credentialView: (name: string) => MaybePromise<CredentialSummary | undefined>
  /** Reads as often as `credentialView`, and nothing: being refused takes the same time for any name (P12). */
  readonly emptyView: (name: string) => MaybePromise<unknown>
  /** Lets this instance see what it has just switched: the credential of that name, or else the blocks (P36). */
  readonly readAgain: (name?: string) => Promise<void>
  readonly refreshLeases: RefreshLeases
  readonly rotations: Rotations
  readonly tokens: Tokens
  readonly issuedTokens: IssuedTokens
  readonly replays: Replays
  readonly ruleUses: RuleUses
  readonly refusals: Refusals
  readonly policies: Policies
  /** Where every decision is recorded. */
  readonly audit: AuditTrail
}

/** The records of one instance: it holds every lease under one name. */
export function createRecords(settings: Settings, platform: Platform, noticeHealth: NoticeHealth): Records {
  const { store, clock, entropy, log, auditTrail, measures = unmeasured } = platform
  const { instance: holder = entropy.uuid() } = platform
  const outageMs = settings.storeOutageSeconds * 1000
  const credentials = createCredentials({
    ...platform,
    noticeHealth,
    onMalformed: (error) => log('error', 'a credential cannot be listed', { error }),
  })
  const trails =
    settings.audit === 'stdout'
      ? [auditTrail]
      : [
          auditTrail,
          createStoredAuditTrail({
            ...platform,
            newId: entropy.uuid,
            keepDays: settings.auditDays,
            membersOf: (record) => auditMembers(record, holder),
          }),
        ]
  const blocks = createBlocks(platform)
  const blocksView = createBlocksView({ ...platform, blocks, outageMs })
  const credentialView = createCredentialView({ ...platform, credentials, outageMs })
  return {
    blocks,
    blocksView: blocksView.current,
    credentials,
    // No credential has a name in capitals. A view of its own: strangers' names push no credential out.
    emptyView: createCredentialView({
      ...platform,
      credentials: { find: (name) => credentials.find(`NONE.${name}`) },
      outageMs: 0,
    }).current,
    credentialView: credentialView.current,
    readAgain: (name) => (name === undefined ? blocksView.readAgain() : credentialView.readAgain(name)),
    refreshLeases: measures.refreshLeases(createRefreshLeases({ ...platform, holder, noticeHealth })),
    rotations: createRotations({ ...platform, holder, noticeHealth }),
    tokens: measures.tokens(createTokens({ ...platform, holder })),
    issuedTokens: createIssuedTokens(platform),
    replays: createReplays(platform),
    ruleUses: createRuleUses(platform),
    refusals: createRefusals(platform),
    policies: createPolicies({ store, clock, newId: entropy.uuid }),
    audit: measures.audit(createAuditTrails(trails)),
  }
}

/** Of one instance: what is refused more often is not of interest each time. */
const keptRefusalsPerMinute = 300

/** What the pipeline records for `suggest` and `explain`. */
export function createRecording(
  platform: Platform,
  { ruleUses, refusals }: Pick<Records, 'ruleUses' | 'refusals'>,
  policy: () => Promise<CompiledPolicy>,
): Pick<ExchangeSteps, 'noteUse' | 'noteRefusal'> {
  const { clock } = platform
  const noting = createUsageRecorder(platform)
  const names = new WeakMap<CompiledPolicy, ReadonlySet<string>>()
  const namesFor = (compiled: CompiledPolicy) => {
    const known = names.get(compiled) ?? claimsLookedAt(compiled.policy)
    names.set(compiled, known)
    return known
  }
  return {
    noteUse: createRecordUse({ ruleUses, noting, clock }),
    noteRefusal: createRecordRefusal({
      noting,
      clock,
      refusals,
      claimsLookedAt: async () => namesFor(await policy()),
      redact: redactTokens,
      limit: createTokenBuckets({ perMinute: keptRefusalsPerMinute, clock }),
    }),
  }
}
