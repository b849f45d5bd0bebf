import { isBrokerError, requestMalformed } from '../domain/broker-error.ts'
import { inBatches } from '../domain/promises.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import { epochSeconds, type EpochSeconds } from '../domain/time.ts'
import type { Document, DocumentKey, DocumentStore, Stored } from '../ports/document-store.ts'
import type { Entropy, Sha256 } from '../ports/entropy.ts'
import type { Clock } from '../ports/clock.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import { blocksCodec, blocksKey, parseBlocks, uniteBlocks } from '../records/blocks.ts'
import {
  carriedPrefixes,
  carriedValue,
  collectionOf,
  comparableText,
  type CarriedDocument,
} from '../records/collections.ts'
import { activeVersion } from '../records/credential-record.ts'
import { credentialDocumentOf, parseCredentialRecord } from '../records/credential-codec.ts'
import {
  destroyedCredential,
  destroyedVersions,
  parseDestroyed,
  uniteDestroyed,
} from '../records/destroyed-credentials.ts'
import { policyPointer, policyPointerKey } from '../records/policies.ts'
import { changeCredential, readModifyWrite, type Change } from '../records/read-modify-write.ts'
import { sealAnew, sealedInCredential } from '../records/rewraps.ts'
import { readDocument, writeDocument } from '../records/stored-fields.ts'
import { arriving, unite } from '../records/unite-credential.ts'
import { readSegment, writeSegment, type CheckedSegment } from './export-segment.ts'

/** Carries what a store holds to another one. Every method may throw `store_unavailable` and `key_ring_unavailable`. */
export interface TransferStore {
  /** The next segment of an export; its end says whether there is more. */
  exportSegment(page: ExportPage): Promise<string>
  /**
   * Takes a segment in, or only says whether it would (`isCheck`). Nothing is written of one with a fault, and the
   * service is stopped first. It may be repeated: what is there already is left alone. Throws `request_malformed`.
   */
  importSegment(text: string, how: ImportOptions): Promise<ImportReport>
}

export interface ExportPage {
  /** Of an export that goes on. */
  readonly id?: string | undefined
  readonly after?: DocumentKey | undefined
  readonly limit: number
  /** Seals anew, under the first key of the ring, what is sealed under another. */
  readonly isRewrapped?: boolean
}

export interface ImportOptions {
  readonly isCheck: boolean
  /** Whether the export's policy comes into force over the one that is here. */
  readonly isPolicyTaken: boolean
  readonly isRewrapped: boolean
}

export interface ImportReport {
  readonly export: string
  readonly next?: string | undefined
  /** Whether somebody who holds the key ring vouches for it; else credentials alone were taken, disabled. */
  readonly isVouchedFor: boolean
  readonly documents: readonly ImportedDocument[]
}

/** `kept`: the store had it as it is now, or stricter. `left_out`: it is over, was destroyed here or is not taken. */
export interface ImportedDocument {
  readonly key: DocumentKey
  readonly outcome: 'created' | 'united' | 'kept' | 'left_out'
  /** SHA-256 of what the store has under that key now; absent: nothing. */
  readonly digest?: string | undefined
}

export interface TransferStoreDeps {
  readonly store: DocumentStore
  readonly keyRing: KeyRing
  readonly clock: Clock
  readonly entropy: Entropy
  readonly sha256: Sha256
}

/** Who stopped the service, as an import writes it: an import that is repeated knows its own stop by that. */
export const importStopper = 'store import'

/** A segment is in memory whole, here and at whoever it is sent to. */
const segmentChars = 1_000_000
const atOnce = 40

export function createTransferStore(deps: TransferStoreDeps): TransferStore {
  const { store, clock, entropy, sha256, keyRing } = deps

  return {
    exportSegment: async ({ id = entropy.uuid(), after, limit, isRewrapped = false }) => {
      const keyId = isRewrapped ? await keyRing.renew() : undefined
      const documents: CarriedDocument[] = []
      const leftOut: string[] = []
      let chars = 0
      let last = after
      const found = await nextDocuments(store, after, limit)
      for (const stored of found) {
        if (chars > segmentChars) break
        last = stored.key
        const carried = await carry(stored)
        if (carried === undefined) leftOut.push(stored.key)
        else {
          documents.push(keyId === undefined ? carried : await rewrapped(keyRing, carried, keyId))
          chars += JSON.stringify(carried.value).length
        }
      }
      const isMore = found.length === limit || last !== (found.at(-1)?.key ?? after)
      const page = { id, at: clock.now(), ...omitUndefined({ after, next: isMore ? last : undefined }) }
      return writeSegment(deps, { ...page, documents, leftOut })
    },

    importSegment: async (text, how) => {
      const segment = await readSegment(deps, text)
      const isVouchedFor = segment.mac === 'verified'
      const taken = await takenOf(deps, segment, how)
      const report = { export: segment.id, ...omitUndefined({ next: segment.next }), isVouchedFor }
      if (how.isCheck) return { ...report, documents: [] }
      await stop(deps)
      const imported: ImportedDocument[] = []
      // What is switched off and who was destroyed comes before any credential, a policy's versions before their pointer.
      for (const prefix of carriedPrefixes) {
        const some = taken.filter(({ key }) => key.startsWith(prefix))
        imported.push(...(await inBatches(some, atOnce, (one) => importOne(deps, one, how))))
      }
      const documents = await inBatches(imported, atOnce, async (one) => ({
        ...one,
        ...omitUndefined({ digest: await digestAt(store, sha256, one.key) }),
      }))
      return { ...report, documents }
    },
  }
}

async function nextDocuments(
  store: DocumentStore,
  after: DocumentKey | undefined,
  limit: number,
): Promise<readonly Stored[]> {
  const from = after === undefined ? -1 : carriedPrefixes.findIndex((prefix) => after.startsWith(prefix))
  if (after !== undefined && from === -1) throw requestMalformed('after names no document of an export')
  const found: Stored[] = []
  for (const [index, prefix] of carriedPrefixes.entries()) {
    if (index < from || found.length === limit) continue
    const place = index === from ? after : undefined
    found.push(...(await store.list({ prefix, after: place, limit: limit - found.length })))
  }
  return found
}

/** `undefined` for a document that no code can read: it keeps no other from being carried. */
async function carry({ key, value, expiresAt }: Stored): Promise<CarriedDocument | undefined> {
  try {
    return { key, value: carriedValue({ key, value }), ...omitUndefined({ expiresAt }) }
  } catch (error) {
    if (isBrokerError(error)) return undefined
    throw error
  }
}

/** Throws `key_ring_unavailable` for what cannot be opened and is used: without its secret there is nothing to carry. */
async function rewrapped(
  keyRing: KeyRing,
  document: CarriedDocument,
  keyId: string,
): Promise<CarriedDocument> {
  if (collectionOf(document.key) !== 'credentials') return document
  const { texts, withTexts } = sealedInCredential(document)
  const anew = await Promise.all(texts.map((text) => sealAnew(keyRing, text, keyId)))
  return { ...document, value: withTexts(anew.map(({ sealed }) => sealed)) }
}

/**
 * The documents to import, each read by its codec and each secret that is used opened once, so that a segment of
 * another key ring is refused whole. Of one that nobody vouches for only credentials, disabled (T38).
 */
async function takenOf(
  deps: TransferStoreDeps,
  { documents, mac }: CheckedSegment,
  { isRewrapped }: ImportOptions,
): Promise<readonly CarriedDocument[]> {
  const keyId = isRewrapped ? await deps.keyRing.renew() : undefined
  const read = await inBatches(documents, atOnce, async (document) => {
    const { key } = document
    try {
      const carried = { ...document, value: carriedValue(document) }
      if (collectionOf(key) !== 'credentials') return carried
      await requireOpen(deps.keyRing, carried)
      return keyId === undefined ? carried : await rewrapped(deps.keyRing, carried, keyId)
    } catch (error) {
      if (isBrokerError(error) && error.code === 'store_unavailable') throw requestMalformed(error.reason)
      throw error
    }
  })
  if (mac === 'verified') return read
  return read.flatMap((document) => {
    if (collectionOf(document.key) !== 'credentials') return []
    const record = parseCredentialRecord(document)
    const state = record.state === 'enabled' ? 'disabled' : record.state
    return [{ ...document, value: credentialDocumentOf({ ...record, state }), isOnlyAbsent: true }]
  })
}

type TakenDocument = CarriedDocument & { readonly isOnlyAbsent?: boolean }

async function requireOpen(keyRing: KeyRing, document: CarriedDocument): Promise<void> {
  const record = parseCredentialRecord(document)
  const used = new Set(
    record.versions.flatMap(({ state, sealed }) => (state === 'active' && sealed ? [sealed] : [])),
  )
  if (record.state === 'revoked') return
  for (const { sealed, place } of sealedInCredential(document).texts)
    if (used.has(sealed)) await keyRing.open(sealed, place)
}

async function stop(deps: TransferStoreDeps): Promise<void> {
  await importBlocks(deps, { callers: [], tokens: [] })
}

function importBlocks(
  deps: TransferStoreDeps,
  incoming: Parameters<typeof uniteBlocks>[1],
): Promise<Outcome> {
  return readModifyWrite<Outcome>(deps, blocksKey, (stored) => {
    const before = parseBlocks(stored)
    const after = uniteBlocks(before, incoming, { by: importStopper, since: deps.clock.now() })
    return after === before
      ? { value: undefined, result: 'kept' }
      : { value: writeDocument(blocksCodec, after), result: 'united' }
  })
}

type Outcome = ImportedDocument['outcome']

async function importOne(
  deps: TransferStoreDeps,
  document: TakenDocument,
  { isPolicyTaken }: ImportOptions,
): Promise<ImportedDocument> {
  const { key, value, expiresAt } = document
  const { store, clock } = deps
  const done = async (outcome: Promise<Outcome>) => ({ key, outcome: await outcome })
  if (expiresAt !== undefined && expiresAt <= clock.now()) return { key, outcome: 'left_out' }
  if (key === blocksKey) return done(importBlocks(deps, parseBlocks(document)))
  if (collectionOf(key) === 'destroyed') return done(importDestroyed(deps, document))
  const dead =
    collectionOf(key) === 'credentials'
      ? await destroyedVersions(store, key.slice('credentials/'.length))
      : new Set<string>()
  const change = (stored: Stored | undefined): Change<Outcome> => {
    if (collectionOf(key) === 'credentials') return credentialChange(stored, document, dead)
    if (stored === undefined) return { value, result: 'created', expiresAt }
    if (key === policyPointerKey && isPolicyTaken) return changeTo(stored, pointerOver(stored, document))
    const until = later(stored.expiresAt, expiresAt)
    if (until === stored.expiresAt) return { value: undefined, result: 'kept' }
    return { value: stored.value, result: 'united', expiresAt: until }
  }
  // Most of an export is not there yet, and creates at the same time travel together.
  const { value: fresh, result, ...ends } = change(undefined)
  if (fresh !== undefined && (await store.put(key, fresh, { if: 'absent', ...ends })) !== undefined)
    return { key, outcome: result }
  return done(readModifyWrite(deps, key, change))
}

/** A credential that was destroyed there and is still here is switched off: whoever destroyed it wanted no less. */
async function importDestroyed(deps: TransferStoreDeps, document: CarriedDocument): Promise<Outcome> {
  const incoming = parseDestroyed(document)
  const outcome = await readModifyWrite<Outcome>(deps, document.key, (stored) => {
    if (stored === undefined) return { value: document.value, result: 'created' }
    const united = uniteDestroyed(parseDestroyed(stored), incoming)
    return changeTo(stored, writeDocument(destroyedCredential, united))
  })
  const name = document.key.slice('destroyed/'.length)
  await changeCredential(deps, name, (record) => {
    const isDead = incoming.versions.includes(activeVersion(record).id)
    return isDead && record.state === 'enabled' ? { ...record, state: 'disabled' } : record
  })
  return outcome
}

function credentialChange(
  stored: Stored | undefined,
  { isOnlyAbsent = false, ...document }: TakenDocument,
  dead: ReadonlySet<string>,
): Change<Outcome> {
  const incoming = parseCredentialRecord(document)
  if (stored === undefined) {
    const record = arriving(incoming, dead)
    if (record === undefined) return { value: undefined, result: 'left_out' }
    return { value: credentialDocumentOf(record), result: 'created' }
  }
  if (isOnlyAbsent) return { value: undefined, result: 'kept' }
  const before = parseCredentialRecord(stored)
  const after = unite(before, incoming, dead)
  return after === before
    ? { value: undefined, result: 'kept' }
    : { value: credentialDocumentOf(after), result: 'united' }
}

function changeTo(stored: Stored, value: Document): Change<Outcome> {
  return JSON.stringify(value) === JSON.stringify(stored.value)
    ? { value: undefined, result: 'kept' }
    : { value, result: 'united' }
}

function pointerOver(stored: Stored, document: CarriedDocument): Document {
  const before = readDocument(policyPointer, stored)
  const incoming = readDocument(policyPointer, document)
  if (before.id === incoming.id) return stored.value
  return writeDocument(policyPointer, { ...incoming, number: Math.max(before.number + 1, incoming.number) })
}

/** An assertion that was used stays used until the later of both ends. */
function later(one: EpochSeconds | undefined, other: EpochSeconds | undefined): EpochSeconds | undefined {
  return one === undefined || other === undefined ? undefined : epochSeconds(Math.max(one, other))
}

async function digestAt(store: DocumentStore, sha256: Sha256, key: DocumentKey): Promise<string | undefined> {
  const stored = await store.get(key)
  return stored === undefined ? undefined : sha256(comparableText(stored))
}
