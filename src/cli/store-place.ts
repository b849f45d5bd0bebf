import { existsSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { readSettings } from '../config.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import { isBrokerError } from '../domain/broker-error.ts'
import { createTransferStore, type ImportOptions, type ImportReport } from '../maintenance/transfer-store.ts'
import { importSchema } from '../http/document-schemas.ts'
import { createBlocks } from '../records/blocks.ts'
import { anyAnswer } from './admin-answers.ts'
import { connect } from './admin-client.ts'
import { hasBrokerSettings } from './broker-url.ts'
import type { Call } from './command.ts'
import { createFault } from './fault.ts'
import { serviceAnswer } from './commands/service.ts'

/** A store that an export is of or goes to: one that is opened here, or one behind the admin API of its broker. */
export interface StoreAtPlace {
  /** What it is called on the command line. */
  readonly name: string
  readonly exportSegment: (page: SegmentPage) => Promise<string>
  readonly importSegment: (text: string, how: ImportOptions) => Promise<ImportReport>
  /** Who stopped the service; absent while tokens are served. */
  readonly stoppedBy: () => Promise<string | undefined>
  readonly resume: () => Promise<void>
  readonly close: () => Promise<void>
}

export interface SegmentPage {
  readonly id?: string
  readonly after?: string
  readonly isRewrapped: boolean
}

/** As many as a broker gives at once. */
const limit = 150

/** The store of that URL; without one that of the settings in the environment, else that of the broker at `--url`. */
export async function openStorePlace(
  call: Call,
  { url, isSource }: { readonly url?: string; readonly isSource: boolean },
): Promise<StoreAtPlace> {
  const { env } = call.terminal
  const mayMake = !isSource && !call.has('--dry-run')
  if (url !== undefined)
    return /^https?:/.test(url)
      ? openBroker(call, url)
      : openHere({ ...env, DOWNSCOPE_STORE: url }, { isSource, mayMake })
  return hasBrokerSettings(env) && call.text('--url') === undefined
    ? openHere(env, { isSource, mayMake })
    : openBroker(call)
}

async function openHere(
  env: Call['terminal']['env'],
  { isSource, mayMake }: { readonly isSource: boolean; readonly mayMake: boolean },
): Promise<StoreAtPlace> {
  const settings = readSettings(env)
  const { store } = settings
  if (store.kind === 'memory')
    throw createFault('usage', 'memory: is the store of one process, and no other process can read it')
  // Opening it would make it; of a dry run it is an empty one that nobody else sees.
  const isMissing = store.kind === 'sqlite' && !existsSync(store.path)
  if (isSource && isMissing) throw createFault('usage', `there is no store at ${store.path}`)
  const { createNodePlatform } = await import('../compose/node-platform.ts')
  const platform = createNodePlatform(
    isMissing && !mayMake ? { ...settings, store: { kind: 'memory' } } : settings,
  )
  const transfer = createTransferStore(platform)
  const blocks = createBlocks(platform)
  return {
    name: store.kind === 'sqlite' ? `sqlite:${store.path}` : `firestore://${store.project}/${store.database}`,
    exportSegment: (page) => telling(() => transfer.exportSegment({ ...page, limit })),
    importSegment: (text, how) => telling(() => transfer.importSegment(text, how)),
    stoppedBy: () => telling(async () => (await blocks.read()).stopped?.by),
    resume: () =>
      telling(async () => {
        await blocks.resume()
      }),
    close: platform.close,
  }
}

/** What is at fault with an export is for whoever brought it; what is at fault with the store is for its operator. */
async function telling<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await persistently(work)
  } catch (error) {
    if (!isBrokerError(error)) throw error
    const exit = error.code === 'store_unavailable' ? 'unreachable' : 'refused'
    throw createFault(exit, error.reason, { code: error.code })
  }
}

const triesMax = 5
const pauseMs = 1_000

/** A store that does not answer once in a long run is asked again: everything here may be repeated. */
async function persistently<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work()
    } catch (error) {
      const mayPass = isBrokerError(error) && error.code === 'store_unavailable'
      if (!mayPass || tries === triesMax) throw error
      await wait(pauseMs)
    }
  }
}

async function openBroker(call: Call, url?: string): Promise<StoreAtPlace> {
  const own =
    url === undefined ? call : { ...call, text: (name: string) => (name === '--url' ? url : call.text(name)) }
  const client = await connect(own)
  return {
    name: client.url,
    exportSegment: async ({ id, after, isRewrapped }) => {
      const query = new URLSearchParams({
        ...omitUndefined({ export: id, after }),
        ...(isRewrapped && { rewrap: 'true' }),
      })
      const path = `store${query.size === 0 ? '' : `?${query.toString()}`}`
      return (await client.ask({ method: 'GET', path, answer: anyAnswer })).text
    },
    importSegment: async (lines, { isCheck, isPolicyTaken, isRewrapped }) => {
      const query = new URLSearchParams({
        check: String(isCheck),
        policy: String(isPolicyTaken),
        rewrap: String(isRewrapped),
      })
      const path = `store?${query.toString()}`
      const asked = { method: 'POST', path, lines, isRead: isCheck, answer: importSchema } as const
      const { vouched_for: isVouchedFor, ...report } = (await client.ask(asked)).value
      return { ...report, isVouchedFor }
    },
    stoppedBy: async () => {
      const { value } = await client.ask({ method: 'GET', path: 'service', answer: serviceAnswer })
      return value.stopped?.by
    },
    resume: async () => {
      await client.ask({ method: 'POST', path: 'service:resume', answer: anyAnswer })
    },
    close: () => Promise.resolve(),
  }
}
