import type { Json } from '../domain/caller.ts'
import type { EpochSeconds } from '../domain/time.ts'

/** `COLLECTION/ID`, both of `[A-Za-z0-9_.@-]`, 1 to 200 characters each; other keys are a bug and throw TypeError. */
export type DocumentKey = string

/**
 * A JSON object; an empty one stands for what another program wrote that is none. Members that are `undefined` do not exist. At most 900,000 bytes as JSON; more throws
 * TypeError.
 */
export type Document = Readonly<Record<string, Json>>

declare const version: unique symbol

/** Names one write of one document; a document written again never gets an earlier version back. */
export type Version = string & { readonly [version]: 'Version' }

export interface Stored {
  readonly key: DocumentKey
  readonly value: Document
  readonly version: Version
  readonly expiresAt?: EpochSeconds
}

export interface PutOptions {
  /** Write only if there is no unexpired document, or only if it, expired or not, still is at that version. */
  readonly if?: 'absent' | { readonly version: Version }
  /** From this instant on the document reads as absent. A put without it clears it. */
  readonly expiresAt?: EpochSeconds | undefined
}

export interface ListOptions {
  /** All keys that start with it; at least `COLLECTION/`. */
  readonly prefix: string
  /** Only documents that expire before this instant, expired ones included; without it expired ones are left out. */
  readonly expiresBefore?: EpochSeconds
  /** Only keys after this one. */
  readonly after?: DocumentKey | undefined
  /** At most this many, at least 1, filtered before counting. */
  readonly limit: number
}

/**
 * Documents by key. Each method is atomic on one document, and there is nothing across two: what must change
 * together is one document. Every method may throw `store_unavailable`; then the outcome of a write is unknown,
 * and whoever needs to know reads again.
 */
export interface DocumentStore {
  /** `undefined` when there is none or it has expired; expiry is decided here, by the reader's clock. */
  get(key: DocumentKey): Promise<Stored | undefined>
  /** The new version, or `undefined` when the condition failed and nothing was written. */
  put(key: DocumentKey, value: Document, options?: PutOptions): Promise<Version | undefined>
  /** Whether a document, expired or not, was there and is gone; `false` also when it is at another version. */
  delete(key: DocumentKey, options?: { readonly version?: Version }): Promise<boolean>
  /** In ascending order of the key, by code unit. */
  list(options: ListOptions): Promise<readonly Stored[]>
}
