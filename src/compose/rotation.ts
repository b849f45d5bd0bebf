import type { Settings } from '../config.ts'
import type { Upstream } from '../domain/upstream.ts'
import { createMaintenance, type MaintenanceReport, createSweep } from '../maintenance/maintenance.ts'
import { type WithdrawVersion, createRevokeVersion, createWithdraw } from '../enrolment/revoke-credential.ts'
import { createDriveRotation, createPursueRotation, type PursueRotation } from '../rotation/drive-rotation.ts'
import type { Events } from '../events/events.ts'
import { createIamKeys } from '../google/iam-keys.ts'
import { createKeyPairs } from '../rotation/key-pair.ts'
import { createSummarise } from '../maintenance/summarise.ts'
import { createSummaryRecord } from '../records/broker-summary.ts'
import {
  createProveClient,
  createIamToken,
  createVerifyGrant,
  provingWith,
  type MintingRecords,
  type RulesInUse,
  withoutHealth,
} from '../rotation/prove-version.ts'
import { createRemoveVersions } from '../rotation/retire-versions.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import type { Mint } from '../domain/token.ts'
import type { MintDeps } from '../minting/mint.ts'
import { createMaintenanceProgress } from '../records/maintenance-progress.ts'
import type { Platform } from './platform.ts'
import type { Records } from './records.ts'

export interface RotationModuleDeps {
  readonly settings: Settings
  readonly platform: Platform
  readonly records: Pick<Records, 'credentials' | 'rotations' | 'refreshLeases' | 'ruleUses'>
  readonly mint: Mint
  /** Mints from records that do not write health. */
  readonly mintWith: (records: MintingRecords, more?: Pick<MintDeps, 'showConfirmed'>) => Mint
  readonly findUpstream: (name: string) => Promise<Upstream | undefined>
  readonly rulesInUse: RulesInUse
  readonly events: Pick<Events, 'emit' | 'notice' | 'deliver'>
}

export interface RotationModule extends PursueRotation {
  readonly withdraw: WithdrawVersion
  readonly maintain: () => Promise<MaintenanceReport>
  /** Tries a credential that was just enrolled. */
  readonly verifyGrant: (credential: CredentialSummary) => Promise<void>
}

/** A new key usually works within a minute; Workers run for half a minute after an answer. */
const pursuedForMs = { node: 60_000, workers: 20_000 }

/** Gives rotation and maintenance what mints, since modules do not import each other. */
export function createRotationModule(deps: RotationModuleDeps): RotationModule {
  const { settings, platform, records, events, mint, mintWith, rulesInUse } = deps
  const { http, clock, log } = platform
  const iamKeys = createIamKeys({ http, iamUrl: settings.google.iamUrl })
  const iamToken = createIamToken({ ...settings, ...platform, mint })
  const revoke = createRevokeVersion({
    ...platform,
    ...records,
    ...settings,
    findUpstream: deps.findUpstream,
  })
  const proof = {
    find: records.credentials.find,
    rulesInUse,
    proveClient: createProveClient({ ...platform, ...records, ...settings, findUpstream: deps.findUpstream }),
  }
  const shared = { iamKeys, iamToken, clock, log }

  const drive = createDriveRotation({
    ...records,
    ...shared,
    createKeyPair: createKeyPairs(platform),
    notice: events.notice,
    prove: provingWith(mintWith(withoutHealth(records)), proof),
    revoke,
  })
  const summary = createSummaryRecord(platform)
  return {
    verifyGrant: createVerifyGrant({
      ...records,
      ...proof,
      findUpstream: deps.findUpstream,
      mintShowing: (showConfirmed) => mintWith(records, { showConfirmed }),
    }),
    withdraw: createWithdraw({ ...settings, ...platform, iamKeys, revoke }),
    maintain: createMaintenance({
      ...records,
      ...platform,
      progress: createMaintenanceProgress(platform),
      drive,
      removeVersions: createRemoveVersions({ ...shared, credentials: records.credentials }),
      probe: provingWith(mint, proof),
      sweep: createSweep(platform),
      summarise: createSummarise({ ...platform, ...records, summary }),
      lastRunAt: async () => (await summary.read())?.at,
      events,
    }),
    ...createPursueRotation({
      ...platform,
      drive,
      find: records.credentials.find,
      pursuedForMs: platform.sharesWork ? pursuedForMs.node : pursuedForMs.workers,
    }),
  }
}
