import { until, type EpochSeconds } from '../domain/time.ts'
import type { Document, Stored } from '../ports/document-store.ts'
import { credentialDocumentOf, parseCredentialRecord } from './credential-codec.ts'
import { credentialKey } from './credential-record.ts'
import { isHeld } from './lease.ts'
import { secretPlace } from './open-version.ts'
import { parseTokenRecord, tokenDocumentOf } from './token-codec.ts'
import { tokenPlace, tokensPrefix } from './tokens.ts'

/** Every collection that holds something sealed, in the order of their names. */
export const sealedPrefixes = [credentialKey(''), tokensPrefix] as const

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
export function sealedIn(stored: Stored, now: EpochSeconds): SealedDocument {
  return stored.key.startsWith(tokensPrefix) ? sealedInToken(stored, now) : sealedInCredential(stored)
}

function sealedInCredential(stored: Stored): SealedDocument {
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
