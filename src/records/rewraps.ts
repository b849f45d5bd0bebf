import { omitUndefined } from '../domain/omit-undefined.ts'
import { isBrokerError } from '../domain/broker-error.ts'
import { type EpochSeconds, until } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentKey, DocumentStore, Stored, Document } from '../ports/document-store.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import { credentialDocumentOf, parseCredentialRecord } from './credential-codec.ts'
import { credentialKey } from './credential-record.ts'
import { isHeld } from './lease.ts'
import { secretPlace } from './credential-secrets.ts'
import { parseTokenRecord, tokenDocumentOf, tokenPlace, tokensPrefix } from './tokens.ts'

/** Everything that is sealed in the store, to be sealed anew. Every method may throw `store_unavailable`. */
export interface Rewraps {
  /** The next documents after that key, in the order of their keys; fewer than `limit` are the last ones. */
  page(after: DocumentKey | undefined, limit: number): Promise<readonly Stored[]>
  /**
   * Seals what is sealed under another key than `keyId` anew, if nobody was in between: what others write meanwhile
   * is never lost. Throws `key_ring_unavailable` where that may pass; what can never be opened is `failed`.
   */
  rewrap(stored: Stored, keyId: string): Promise<Rewrapped>
}

export interface Rewrapped {
  /** `passing`: it goes by itself within the hour; `gone`: it is not there any more. */
  readonly outcome: 'rewrapped' | 'already' | 'passing' | 'gone' | 'failed'
  /** The keys that it is sealed under now, each once, as far as they can be read. */
  readonly keyIds: readonly string[]
  readonly expiresAt?: EpochSeconds
  /** Why it failed. */
  readonly reason?: string
}

export interface RewrapsDeps {
  readonly store: DocumentStore
  readonly keyRing: KeyRing
  readonly clock: Clock
  readonly entropy: Pick<Entropy, 'fraction'>
}

const attemptsMax = 5
const pauseMsMax = 100

export function createRewraps(deps: RewrapsDeps): Rewraps {
  const { store, clock, entropy } = deps

  return {
    page: async (after, limit) => {
      const found: Stored[] = []
      for (const prefix of sealedPrefixes) {
        const isBehind = after !== undefined && after > prefix && !after.startsWith(prefix)
        if (isBehind || found.length === limit) continue
        const from = after?.startsWith(prefix) === true ? { after } : {}
        found.push(...(await store.list({ prefix, ...from, limit: limit - found.length })))
      }
      return found
    },

    rewrap: async (first, keyId) => {
      let stored: Stored | undefined = first
      for (let attempt = 1; stored !== undefined; attempt += 1) {
        const tried = await tryRewrap(deps, stored, keyId)
        if (tried.outcome !== 'changed') return tried
        if (attempt === attemptsMax)
          return {
            ...tried,
            outcome: 'failed',
            reason: `it was changed by other instances ${attemptsMax} times in a row`,
          }
        await clock.sleep(entropy.fraction() * pauseMsMax)
        stored = await store.get(first.key)
      }
      return { outcome: 'gone', keyIds: [] }
    },
  }
}

/** Somebody was in between: nothing was written. */
type Changed = Omit<Rewrapped, 'outcome' | 'reason'> & { readonly outcome: 'changed' }

async function tryRewrap(deps: RewrapsDeps, stored: Stored, keyId: string): Promise<Rewrapped | Changed> {
  const { store, keyRing, clock } = deps
  const { expiresAt } = stored
  const expiry = omitUndefined({ expiresAt })
  const read = await orFault(async () => {
    const document = sealedIn(stored, clock.now())
    return { ...document, keyIds: keyIdsOf(keyRing, document.texts) }
  })
  if ('fault' in read) return { outcome: 'failed', reason: read.fault, keyIds: [], ...expiry }
  const { texts, keyIds, isPassing, withTexts } = read
  if (keyIds.every((id) => id === keyId)) return { outcome: 'already', keyIds, ...expiry }
  if (isPassing) return { outcome: 'passing', keyIds, ...expiry }

  const anew = await Promise.all(texts.map((text) => sealAnew(keyRing, text, keyId)))
  const after = keyIdsOf(keyRing, anew)
  const isChanged = anew.some(({ sealed }, index) => sealed !== texts[index]?.sealed)
  if (isChanged) {
    const value = withTexts(anew.map(({ sealed }) => sealed))
    const written = await store.put(stored.key, value, { if: { version: stored.version }, ...expiry })
    if (written === undefined) return { outcome: 'changed', keyIds, ...expiry }
  }
  const reason = anew.flatMap(({ fault }) => (fault === undefined ? [] : [fault])).join('; ')
  if (reason === '') return { outcome: 'rewrapped', keyIds: after, ...expiry }
  return { outcome: 'failed', reason, keyIds: after, ...expiry }
}

/** What does not open stays as it is, and keeps nothing else from being sealed anew. */
export async function sealAnew(
  keyRing: KeyRing,
  text: SealedText,
  keyId: string,
): Promise<SealedText & { readonly fault?: string }> {
  const { sealed, place } = text
  if (keyRing.keyIdOf(sealed, place) === keyId) return text
  const resealed = await orFault(async () => keyRing.seal(await keyRing.open(sealed, place), place))
  return typeof resealed === 'string' ? { sealed: resealed, place } : { ...text, ...resealed }
}

function keyIdsOf(keyRing: KeyRing, texts: readonly SealedText[]): readonly string[] {
  return [...new Set(texts.map(({ sealed, place }) => keyRing.keyIdOf(sealed, place)))]
}

/** What can never be opened or read is a fault of this text; what may pass is one of all of them, and is thrown. */
async function orFault<T>(work: () => Promise<T>): Promise<T | { readonly fault: string }> {
  try {
    return await work()
  } catch (error) {
    if (!isBrokerError(error) || error.retryAfter !== undefined) throw error
    return { fault: error.reason }
  }
}

/** Every collection that holds something sealed, in the order of their names. */
const sealedPrefixes = [credentialKey(''), tokensPrefix] as const

/** A stored document, as far as it is sealed. */
export interface SealedDocument {
  readonly texts: readonly SealedText[]
  /** The same document with others in their places, in the same order. */
  readonly withTexts: (texts: readonly string[]) => Document
  /** It goes by itself soon: a token that dies within the hour, or that is being replaced. */
  readonly isPassing: boolean
}

export interface SealedText {
  readonly sealed: string
  readonly place: string
}

const soon = 3600

/** Throws `store_unavailable` for a document that is malformed. */
function sealedIn(stored: Stored, now: EpochSeconds): SealedDocument {
  return stored.key.startsWith(tokensPrefix) ? sealedInToken(stored, now) : sealedInCredential(stored)
}

export function sealedInCredential(stored: Pick<Stored, 'key' | 'value'>): SealedDocument {
  const record = parseCredentialRecord(stored)
  const texts = record.versions.flatMap(({ id, sealed }) =>
    sealed === undefined ? [] : [{ sealed, place: secretPlace(record.name, id) }],
  )
  const withTexts = (others: readonly string[]): Document => {
    const next = others.values()
    const versions = record.versions.map((version) =>
      version.sealed === undefined ? version : { ...version, sealed: next.next().value ?? version.sealed },
    )
    return credentialDocumentOf({ ...record, versions })
  }
  return { texts, withTexts, isPassing: false }
}

function sealedInToken(stored: Stored, now: EpochSeconds): SealedDocument {
  const record = parseTokenRecord(stored)
  const { token, lease } = record
  if (token === undefined) return { texts: [], withTexts: () => stored.value, isPassing: true }
  return {
    texts: [{ sealed: token.sealed, place: tokenPlace(stored.key) }],
    withTexts: ([sealed = token.sealed]) => tokenDocumentOf({ ...record, token: { ...token, sealed } }),
    // Whoever mints its successor has the document's version for a fence, and would lose it.
    isPassing: until(token.expiresAt, now) <= soon || isHeld(lease, now),
  }
}
