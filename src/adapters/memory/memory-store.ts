import type { EpochSeconds } from '../../domain/time.ts'
import type { Clock } from '../../ports/clock.ts'
import type { DocumentKey, DocumentStore, PutOptions, Stored, Version } from '../../ports/document-store.ts'
import {
  formatDocument,
  parseDocument,
  checkExpiry,
  checkKey,
  checkListOptions,
  documentVersion,
} from '../documents.ts'
import { omitUndefined } from '../../domain/omit-undefined.ts'

interface Entry {
  readonly key: DocumentKey
  readonly json: string
  /** A number: many entries are never read, and a text for each would lie about for as long. */
  readonly version: number
  readonly expiresAt: EpochSeconds | undefined
}

/** Entries that each put looks at: with two, at most about as many dead entries lie about as living ones. */
const sweptPerPut = 2
/** A wall clock that jumps ahead by less than this and comes back has lost nothing. */
const sweepGraceSeconds = 60

/** Documents of this process, gone with it: for tests, benchmarks and trying things out. */
export function createMemoryStore({ clock }: { readonly clock: Clock }): DocumentStore {
  const entries = new Map<DocumentKey, Entry>()
  const sweep = createSweep(entries)
  let writes = 0

  return {
    get: async (key) => {
      checkKey(key)
      const entry = entries.get(key)
      return entry === undefined || isExpired(entry, clock.now()) ? undefined : storedOf(entry)
    },
    put: async (key, value, options = {}) => {
      checkKey(key)
      checkExpiry(options)
      const json = formatDocument(value)
      const now = clock.now()
      sweep(now)
      if (!mayWrite(entries.get(key), options, now)) return undefined
      writes += 1
      entries.set(key, { key, json, version: writes, expiresAt: options.expiresAt })
      return versionOf(writes)
    },
    delete: async (key, { version } = {}) => {
      checkKey(key)
      if (version !== undefined && !isAt(entries.get(key), version)) return false
      return entries.delete(key)
    },
    list: async (options) => {
      checkListOptions(options)
      const { prefix, after = '', expiresBefore, limit } = options
      const now = clock.now()
      const isWanted = ({ expiresAt }: Entry) =>
        expiresBefore === undefined
          ? expiresAt === undefined || expiresAt > now
          : expiresAt !== undefined && expiresAt < expiresBefore
      return [...entries.values()]
        .filter((entry) => entry.key.startsWith(prefix) && entry.key > after && isWanted(entry))
        .toSorted((a, b) => (a.key < b.key ? -1 : 1))
        .slice(0, limit)
        .map(storedOf)
    },
  }
}

function mayWrite(entry: Entry | undefined, { if: condition }: PutOptions, now: EpochSeconds): boolean {
  if (condition === undefined) return true
  if (condition === 'absent') return entry === undefined || isExpired(entry, now)
  return isAt(entry, condition.version)
}

function isAt(entry: Entry | undefined, version: Version): boolean {
  return entry !== undefined && versionOf(entry.version) === version
}

function versionOf(write: number): Version {
  return documentVersion(String(write))
}

function isExpired({ expiresAt }: Entry, now: EpochSeconds): boolean {
  return expiresAt !== undefined && expiresAt <= now
}

/** JSON is parsed anew for each reader: nobody holds what another one reads. */
function storedOf({ key, json, version, expiresAt }: Entry): Stored {
  return {
    key,
    value: parseDocument(json),
    version: versionOf(version),
    ...omitUndefined({ expiresAt }),
  }
}

/** A hand that goes round the entries, a few steps with each write: the work per write is bounded. */
function createSweep(entries: Map<DocumentKey, Entry>): (now: EpochSeconds) => void {
  // A Map's iterator is live: what is added or deleted while it rests does not disturb it.
  let hand = entries.values()
  return (now) => {
    for (let step = 0; step < sweptPerPut; step += 1) {
      const next = hand.next()
      if (next.done === true) {
        hand = entries.values()
        return
      }
      const { key, expiresAt } = next.value
      if (expiresAt !== undefined && expiresAt + sweepGraceSeconds <= now) entries.delete(key)
    }
  }
}
