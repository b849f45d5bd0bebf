import type { Result } from '../../domain/result.ts'
import type { EpochSeconds } from '../../domain/time.ts'
import type { DocumentKey, ListOptions, Version } from '../../ports/document-store.ts'

/**
 * What the Worker may ask of the object that holds the documents: plain data in both directions. Documents travel as
 * JSON, which is what both sides keep; `now` is the asker's clock, because expiry is the reader's to decide.
 */
export interface DocumentsRpc {
  get(now: EpochSeconds, key: DocumentKey): Promise<Reply<PlainStored | null>>
  put(now: EpochSeconds, write: PlainPut): Promise<Reply<Version | null>>
  delete(now: EpochSeconds, key: DocumentKey, version: Version | null): Promise<Reply<boolean>>
  list(now: EpochSeconds, options: ListOptions): Promise<Reply<readonly PlainStored[]>>
}

/** A planned failure is a value here: what an error carries beside its message does not survive the way. */
export type Reply<T> = Result<T>

export interface PlainStored {
  readonly key: DocumentKey
  readonly json: string
  readonly version: Version
  readonly expiresAt: EpochSeconds | null
}

export interface PlainPut {
  readonly key: DocumentKey
  readonly json: string
  /** `null`: unconditional. */
  readonly condition: 'absent' | { readonly version: Version } | null
  readonly expiresAt: EpochSeconds | null
}
