import { writeConsoleLine, createJsonLog } from '../adapters/system/json-log.ts'
import { createSystemClock, createEntropy } from '../adapters/system/clock-and-entropy.ts'
import { createBroker } from '../compose.ts'
import { isConfigurationFault, startFault } from '../config/setting-faults.ts'
import { createOutOfService } from '../http/refuse.ts'
import type { Serve } from './platform.ts'
import { createWorkersPlatform, type WorkersBindings } from './workers-platform.ts'
import { readWorkersSettings } from '../config.ts'

/** The broker as the entry point on Workers sees it. */
export interface WorkerBroker {
  readonly serve: Serve
  /** What a schedule runs; what it could not do is in the log. */
  readonly maintain: () => Promise<void>
}

/** Composes the broker for one isolate. Never throws: with faults it logs them all, once, and serves 503. */
export function createWorkerBroker(bindings: WorkersBindings): WorkerBroker {
  try {
    const settings = readWorkersSettings(bindings)
    const platform = createWorkersPlatform(settings, bindings)
    const { serve, maintain } = createBroker(settings, platform)
    return {
      serve,
      maintain: async () => {
        await maintain()
      },
    }
  } catch (error) {
    logFault(error)
    return { serve: createOutOfService(createEntropy()), maintain: () => Promise.resolve() }
  }
}

function logFault(error: unknown): void {
  const log = createJsonLog({ level: 'error', write: writeConsoleLine, clock: createSystemClock() })
  const fault = startFault(error)
  if (isConfigurationFault(error)) log('error', 'out of service: faulty settings', { faults: error.faults })
  else if (fault === undefined) log('error', 'out of service: a bug', { error })
  else log('error', 'out of service', { fault })
}
