import { BrokerError } from '../../domain/broker-error.ts'
import { seconds } from '../../domain/time.ts'
import { withDeadline } from '../../domain/promises.ts'
import type { Clock } from '../../ports/clock.ts'
import type { DocumentStore, Stored } from '../../ports/document-store.ts'
import { formatDocument, parseDocument, checkExpiry, checkKey, checkListOptions } from '../documents.ts'
import type { DocumentsRpc, PlainStored, Reply } from './documents-rpc.ts'

export interface DurableObjectStoreDeps {
  /** A way to the object, new for each call: one that another request used may be broken, and must not be shared. */
  readonly connect: () => DocumentsRpc
  readonly clock: Clock
  /** How long one call may take; then its outcome is unknown. */
  readonly deadlineMs?: number
}

const deadlineMsByDefault = 3_000

/**
 * Documents in a Durable Object. What the port calls a bug is refused here, before anything is sent; whatever else
 * goes wrong on the way or over there is `store_unavailable`.
 */
export function createDurableObjectStore(deps: DurableObjectStoreDeps): DocumentStore {
  const { connect, clock, deadlineMs = deadlineMsByDefault } = deps

  const ask = async <T>(call: (documents: DocumentsRpc) => Promise<Reply<T>>): Promise<T> => {
    const late = () => unavailable(`gave no answer within ${deadlineMs} ms`)
    const reply = await withDeadline(reach(connect, call), clock.sleep(deadlineMs), late)
    if (!reply.ok) throw unavailable(`failed: ${reply.fault}`)
    return reply.value
  }

  return {
    get: async (key) => {
      checkKey(key)
      const found = await ask((documents) => documents.get(clock.now(), key))
      return found === null ? undefined : storedOf(found)
    },
    put: async (key, value, options = {}) => {
      checkKey(key)
      checkExpiry(options)
      const { if: condition = null, expiresAt = null } = options
      const write = { key, json: formatDocument(value), condition, expiresAt }
      return (await ask((documents) => documents.put(clock.now(), write))) ?? undefined
    },
    delete: async (key, { version = null } = {}) => {
      checkKey(key)
      return ask((documents) => documents.delete(clock.now(), key, version))
    },
    list: async (options) => {
      checkListOptions(options)
      const found = await ask((documents) => documents.list(clock.now(), options))
      return found.map(storedOf)
    },
  }
}

async function reach<T>(
  connect: () => DocumentsRpc,
  call: (documents: DocumentsRpc) => Promise<Reply<T>>,
): Promise<Reply<T>> {
  try {
    return await call(connect())
  } catch (cause) {
    throw unavailable(isOverloaded(cause) ? 'is overloaded' : 'could not be reached, or broke off', cause)
  }
}

/** https://developers.cloudflare.com/durable-objects/best-practices/error-handling/ */
function isOverloaded(error: unknown): boolean {
  return error instanceof Error && 'overloaded' in error && error.overloaded === true
}

function storedOf({ key, json, version, expiresAt }: PlainStored): Stored {
  return { key, value: parseDocument(json), version, ...(expiresAt === null ? {} : { expiresAt }) }
}

function unavailable(what: string, cause?: unknown): BrokerError {
  return new BrokerError('store_unavailable', {
    reason: `the Durable Object of the store ${what}`,
    retryAfter: seconds(1),
    cause,
  })
}
