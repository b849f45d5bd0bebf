import { createBroker } from './compose.ts'
import './compose/without-generated-code.ts'
import { createNodePlatform } from './compose/node-platform.ts'
import { readSettings } from './config.ts'

/** A broker inside a server of yours, on Node 22.15 or newer. */
export interface EmbeddedBroker {
  /** Answers one request: the OAuth endpoints, the admin API, the console. Paths begin where the issuer ends. */
  readonly fetch: (request: Request) => Promise<Response>
  /** Rotates, probes and deletes what is due, for at most 25 s; to be called every ten minutes. */
  readonly maintain: () => Promise<void>
  /** Waits at most 8 s for work in the background, and lets go of the store. */
  readonly close: () => Promise<void>
}

const drainMs = 8_000

/**
 * Opens a broker with the settings of docs/settings.md, which are usually `process.env`. It opens no port and exports
 * no telemetry. Throws one error that lists every fault of the settings, and `store_unavailable` when a local store
 * cannot be opened.
 */
export function openBroker(env: Readonly<Record<string, string | undefined>>): EmbeddedBroker {
  const settings = readSettings(env)
  const platform = createNodePlatform(settings)
  const { serve, maintain } = createBroker(settings, platform)
  return {
    fetch: async (request) => serve(request),
    maintain: async () => void (await maintain()),
    close: async () => {
      await platform.drain(drainMs)
      await platform.close()
    },
  }
}
