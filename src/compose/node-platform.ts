import { createFirestoreSdkStore } from '../adapters/firestore/sdk/firestore-sdk-store.ts'
import { createMemoryStore } from '../adapters/memory/memory-store.ts'
import { createSqliteStore } from '../adapters/sqlite/sqlite-store.ts'
import { createNodeHttpClient } from '../adapters/system/node-http-client.ts'
import { createJsonLog } from '../adapters/system/json-log.ts'
import { createStdoutWriter } from '../adapters/system/stdout.ts'
import { createNodeBackground } from '../adapters/system/background.ts'
import { createNodeServer } from '../adapters/system/node-server.ts'
import { importNodeAesGcmKey, nodeSha256 } from '../adapters/system/node-crypto.ts'
import { createFilePolicySource } from '../adapters/system/policy-file.ts'
import { createTextPolicySource } from '../policy/policy-in-force.ts'
import { createStdoutAuditTrail } from '../adapters/system/audit-trail.ts'
import { createSystemClock, createEntropy } from '../adapters/system/clock-and-entropy.ts'
import type { Settings } from '../config.ts'
import { BrokerError } from '../domain/broker-error.ts'
import type { DocumentStore } from '../ports/document-store.ts'
import type { Log } from '../ports/log.ts'
import type { PolicySource } from '../ports/policy-source.ts'
import { createLimits } from '../adapters/system/rate-limits.ts'
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

export interface NodePlatform extends Platform {
  readonly createServer: typeof createNodeServer
  /** Waits for work in the background, at most that long; how much was abandoned. */
  readonly drain: (deadlineMs: number) => Promise<number>
  /** Lets go of the store, after everything that was logged is written. */
  readonly close: () => Promise<void>
}

/** Node's platform, as the settings want it. Throws `store_unavailable` when a local store cannot be opened. */
export function createNodePlatform(
  settings: Settings,
  { measures = unmeasured, instance = createEntropy().uuid() }: Partial<Telemetry> = {},
): NodePlatform {
  const clock = createSystemClock()
  const stdout = createStdoutWriter()
  const log = measures.log(createJsonLog({ level: settings.logLevel, write: stdout.write, clock }))
  const background = createNodeBackground({ log, runsAfterAnswer: settings.refresh === 'background' })
  const http = measures.http(createNodeHttpClient())
  const entropy = createEntropy()
  const sharesWork = true
  const identitySource = openIdentitySource(settings, { http, clock, entropy, hasMetadataServer: true })
  const outward = { http, clock, entropy, sharesWork, identitySource }
  const { store, close } = openStore(settings, outward)
  const policySource = createPolicySource(settings)

  return {
    clock,
    entropy,
    sha256: nodeSha256,
    importAesGcmKey: importNodeAesGcmKey,
    http,
    background,
    log,
    auditTrail: createStdoutAuditTrail({ write: stdout.write, instance }),
    store: measures.store(store),
    keyRing: measures.keyRing(openKeyRing(settings, outward)),
    ...openOwnIdentity(settings, outward),
    ...omitUndefined({ policySource }),
    limits: createLimits(settings, clock),
    sharesWork,
    instance,
    measures,
    createServer: createNodeServer,
    drain: background.drain,
    close: async () => {
      await stdout.flush()
      await close()
    },
  }
}

function openStore(
  settings: Settings,
  platform: GooglePlatform,
): { readonly store: DocumentStore; readonly close: () => void | Promise<void> } {
  const { store: place, firestoreEmulatorHost } = settings
  const { clock } = platform
  switch (place.kind) {
    case 'memory':
      return { store: createMemoryStore({ clock }), close: () => undefined }
    case 'sqlite':
      return createSqliteStore({ path: place.path, clock })
    case 'firestore':
      if (place.driver === 'rest') {
        const store = openFirestoreRest(place, settings, platform)
        return { store, close: () => undefined }
      }
      // Application Default Credentials are the SDK's own matter, and it has no other.
      if (settings.federation !== undefined && firestoreEmulatorHost === undefined)
        throw new BrokerError('not_supported', {
          reason:
            'DOWNSCOPE_GOOGLE_FEDERATION is for Firestore over REST: DOWNSCOPE_STORE=firestore+rest://…',
        })
      return createFirestoreSdkStore({
        projectId: place.project,
        databaseId: place.database,
        ...omitUndefined({ emulatorHost: firestoreEmulatorHost }),
        clock,
      })
  }
}

function createPolicySource({ policy }: Settings): PolicySource | undefined {
  switch (policy.from) {
    case 'file':
      return createFilePolicySource({ path: policy.path })
    case 'setting':
      return createTextPolicySource(policy.text, `setting ${policy.name}`)
    case 'store':
      return undefined
  }
}

export interface Telemetry {
  readonly instance: string
  readonly measures: Measures
  /** Opens the port for Prometheus, where there is one. Rejects when it is taken. */
  readonly serve: (log: Log) => Promise<void>
  readonly close: () => Promise<void>
}

/** What the settings want to be seen of the broker. Without any, no package of OpenTelemetry is read. */
export async function openTelemetry(settings: Settings): Promise<Telemetry> {
  const { telemetry } = settings
  const instance = createEntropy().uuid()
  if (telemetry === undefined)
    return { instance, measures: unmeasured, serve: () => Promise.resolve(), close: () => Promise.resolve() }
  const { metricsPort: port, metricsHost: host, metricsUrl, tracesUrl, intervalMs } = telemetry
  const { createNodeMeter, createNodeTracer } = await import('../adapters/telemetry/node-export.ts')
  let log: Log = () => undefined
  const sender = { ...telemetry, instance, log: (...line: Parameters<Log>) => log(...line) }
  const meter =
    port === undefined && metricsUrl === undefined
      ? undefined
      : createNodeMeter(sender, metricsUrl === undefined ? undefined : intervalMs)
  const tracer = tracesUrl === undefined ? undefined : createNodeTracer(sender)
  const parts = { meter: meter?.meter, tracer: tracer?.tracer, clock: createSystemClock() }
  return {
    instance,
    measures: measuresFor(settings, { instance, ...parts }),
    serve: async (given) => {
      log = given
      if (port === undefined || meter === undefined) return
      log('info', 'metrics are served', { host, port: await meter.serve(port, host) })
    },
    close: async () => {
      await Promise.all([meter?.close(), tracer?.close()])
    },
  }
}
