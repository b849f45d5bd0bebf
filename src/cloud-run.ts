import type { Server } from 'node:http'
import { createBroker } from './compose.ts'
import './compose/without-generated-code.ts'
import {
  createNodePlatform,
  openTelemetry,
  type NodePlatform,
  type Telemetry,
} from './compose/node-platform.ts'
import type { Serve } from './compose/platform.ts'
import { startFault } from './config/setting-faults.ts'
import { readSettings, type Settings } from './config.ts'

/** Cloud Run kills ten seconds after SIGTERM; a rotation in flight is finished well before. */
const drainMs = 8_000
/** How often the end looks whether what was busy when it began is done. */
const sweepMs = 25

// The entry point on Node: reads the settings, opens the platform, serves until SIGTERM.
// No await here: the bundle is a script.
start().catch(refuseToStart)

async function start(): Promise<void> {
  const settings = readSettings(process.env)
  const telemetry = await openTelemetry(settings)
  const platform = createNodePlatform(settings, telemetry)
  const broker = createBroker(settings, platform)
  const { serve, underWay } = countingUnderWay(broker.serve)
  const server = platform.createServer(serve)

  endOnBug(platform)
  endOnSignal({ server, platform, underWay, telemetry })
  // At the same time: whoever comes before the first look has ended waits for the rest of it, and no longer.
  await Promise.all([broker.readiness(), listen(server, settings), telemetry.serve(platform.log)])
  platform.log('info', 'downscope is listening', { port: settings.port, issuer: settings.issuer })
}

/**
 * Knows how many requests are being served, those too whose caller has hung up and left no connection to wait for: a
 * refresh that is cut off loses a rotated refresh token (P16).
 */
function countingUnderWay(serve: Serve): { readonly serve: Serve; readonly underWay: () => number } {
  let count = 0
  return {
    serve: async (request, message) => {
      count += 1
      try {
        return await serve(request, message)
      } finally {
        count -= 1
      }
    },
    underWay: () => count,
  }
}

function listen(server: Server, { port, host }: Settings): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

interface Ending {
  readonly server: Server
  readonly platform: NodePlatform
  readonly underWay: () => number
  readonly telemetry: Pick<Telemetry, 'close'>
}

function endOnSignal({ server, platform, underWay, telemetry }: Ending): void {
  const { clock, log } = platform
  const end = async (signal: string): Promise<void> => {
    const endMs = clock.steadyMs() + drainMs
    log('info', 'draining', { signal })
    let isClosed = false
    server.close(() => {
      isClosed = true
    })
    while ((!isClosed || underWay() > 0) && clock.steadyMs() < endMs) {
      // Node closes idle connections at `close` only: one that was busy then would stay open after its answer.
      server.closeIdleConnections()
      await clock.sleep(sweepMs)
    }
    const abandoned = underWay() + (await platform.drain(endMs - clock.steadyMs()))
    log(abandoned === 0 ? 'info' : 'error', 'stopped', { abandoned })
    await telemetry.close()
    await platform.close()
    process.exit(0)
  }
  process.once('SIGTERM', (signal) => void end(signal))
  process.once('SIGINT', (signal) => void end(signal))
}

/** A bug that nobody caught leaves the process in an unknown state: it says so, without the error's text, and ends. */
function endOnBug(platform: NodePlatform): void {
  const end = (error: unknown): void => {
    platform.log('error', 'a bug ended the process', { error })
    process.exit(1)
  }
  process.on('uncaughtException', end)
  process.on('unhandledRejection', end)
}

/** A planned failure is printed as a sentence; anything else is a bug and shows its stack. */
function refuseToStart(error: unknown): void {
  const fault = startFault(error)
  if (fault === undefined) throw error
  process.stderr.write(`downscope does not start: ${fault}\n`)
  process.exitCode = 1
}
