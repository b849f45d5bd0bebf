import { waitUntil } from 'cloudflare:workers'
import { createDurableObjectStore } from '../adapters/durable-object/durable-object-store.ts'
import type { DocumentsObject } from '../adapters/durable-object/documents-object.ts'
import { createMemoryStore } from '../adapters/memory/memory-store.ts'
import { writeConsoleLine, createJsonLog } from '../adapters/system/json-log.ts'
import { createHttpClient } from '../adapters/system/fetch-http-client.ts'
import { createTextPolicySource } from '../policy/policy-in-force.ts'
import { createStdoutAuditTrail } from '../adapters/system/audit-trail.ts'
import {
  createLimits,
  createRateLimitBinding,
  type RateLimitBinding,
} from '../adapters/system/rate-limits.ts'
import {
  createSystemClock,
  createEntropy,
  importWebAesGcmKey,
  webSha256,
} from '../adapters/system/clock-and-entropy.ts'
import { createWorkersBackground } from '../adapters/system/background.ts'
import type { CallerLimits } from '../authentication/authenticate.ts'
import type { Settings } from '../config.ts'
import { BrokerError } from '../domain/broker-error.ts'
import type { DocumentStore } from '../ports/document-store.ts'
import type { PolicySource } from '../ports/policy-source.ts'
import { createFetchExport } from '../adapters/telemetry/fetch-export.ts'
import { unmeasured, type Measures } from './measure.ts'
import { measuresFor } from './trace.ts'
import {
  openFirestoreRest,
  openIdentitySource,
  openOwnIdentity,
  type GooglePlatform,
  openKeyRing,
} from './google-cloud.ts'
import type { Platform } from './platform.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** What `wrangler.toml` binds, besides settings. */
export interface WorkersBindings {
  readonly DOCUMENTS: DurableObjectNamespace<DocumentsObject>
  /** Rate limits are as `wrangler.toml` says; without a binding the settings count, in each isolate. */
  readonly CALLER_LIMIT?: RateLimitBinding
  readonly TOTAL_LIMIT?: RateLimitBinding
}

/**
 * The platform of a Worker, as the settings want it. Nothing in it belongs to one request, so that one isolate makes
 * it once. Throws `not_supported` for what Workers do not have.
 */
export function createWorkersPlatform(settings: Settings, bindings: WorkersBindings): Platform {
  const clock = createSystemClock()
  const plainLog = createJsonLog({ level: settings.logLevel, write: writeConsoleLine, clock })
  const background = createWorkersBackground({
    log: plainLog,
    waitUntil,
    runsAfterAnswer: settings.refresh === 'background',
  })
  const entropy = createEntropy()
  const plainHttp = createHttpClient()
  const instance = entropy.uuid()
  const measures = openTelemetry(settings, { clock, instance, background, log: plainLog, http: plainHttp })
  const log = measures.log(plainLog)
  const policySource = createPolicySource(settings)
  const platform = { clock, entropy, http: measures.http(plainHttp), sharesWork: false }
  const identitySource = openIdentitySource(settings, { ...platform, hasMetadataServer: false })
  const outward = { ...platform, identitySource }

  return {
    ...platform,
    sha256: webSha256,
    importAesGcmKey: importWebAesGcmKey,
    background,
    log,
    instance,
    measures,
    auditTrail: createStdoutAuditTrail({ write: writeConsoleLine, instance }),
    store: measures.store(openStore(settings, bindings, outward)),
    keyRing: measures.keyRing(openKeyRing(settings, outward)),
    ...openOwnIdentity(settings, outward),
    ...omitUndefined({ policySource }),
    limits: { ...createLimits(settings, clock), ...boundLimits(bindings) },
  }
}

/** What is sent to the collector that the settings name, if they name one. */
function openTelemetry(
  settings: Settings,
  platform: Pick<Platform, 'clock' | 'background' | 'log' | 'http'> & { readonly instance: string },
): Measures {
  const { telemetry } = settings
  if (telemetry === undefined) return unmeasured
  return measuresFor(settings, { ...platform, ...createFetchExport({ ...platform, ...telemetry }) })
}

function openStore(settings: Settings, bindings: WorkersBindings, platform: GooglePlatform): DocumentStore {
  const { store: place } = settings
  const { clock } = platform
  switch (place.kind) {
    case 'memory':
      return createMemoryStore({ clock })
    case 'sqlite':
      return createDurableObjectStore({ connect: () => bindings.DOCUMENTS.getByName(place.path), clock })
    case 'firestore':
      return openFirestoreRest(place, settings, platform)
  }
}

function boundLimits({ CALLER_LIMIT: caller, TOTAL_LIMIT: total }: WorkersBindings): CallerLimits {
  return {
    ...(caller !== undefined && { perCaller: createRateLimitBinding(caller) }),
    ...(total !== undefined && { total: createRateLimitBinding(total) }),
  }
}

function createPolicySource({ policy }: Settings): PolicySource | undefined {
  switch (policy.from) {
    case 'setting':
      return createTextPolicySource(policy.text, `setting ${policy.name}`)
    case 'store':
      return undefined
    case 'file':
      throw new BrokerError('not_supported', { reason: 'there are no files on Workers' })
  }
}
