import type { Caller } from '../domain/caller.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import type { EpochSeconds } from '../domain/time.ts'

/** What the admin API does to credentials, as the wiring provides it. */
export interface CredentialAdministration {
  /** In ascending order of the name. */
  readonly list: (page: {
    readonly after?: string
    readonly limit: number
  }) => Promise<readonly CredentialSummary[]>
  /** These four throw `not_found`. */
  readonly read: (name: string) => Promise<CredentialSummary>
  readonly disable: (name: string) => Promise<CredentialSummary>
  readonly enable: (name: string) => Promise<CredentialSummary>
  readonly destroy: (name: string) => Promise<void>
  /** Throws `document_invalid` with a public detail, and `already_exists`. */
  readonly enrol: (enrolment: Enrolment) => Promise<CredentialSummary>
}

/** What was sent; only the name's kind is known so far. */
export interface Enrolment {
  readonly name: string
  readonly secret: unknown
  readonly scopes?: unknown
  readonly upstream?: unknown
}

/** What the admin API does to policy. */
export interface PolicyAdministration {
  readonly read: () => Promise<PolicyReading>
  /**
   * Throws `document_invalid`, `changed_meanwhile` unless the policy in force is at `ifMatch` (`undefined`: unless
   * there is none), and `not_supported` where the policy does not live in the store.
   */
  readonly apply: (change: {
    readonly text: string
    readonly ifMatch: string | undefined
    readonly caller: Caller
  }) => Promise<{ readonly revision: string }>
  /** Throws `document_invalid`. */
  readonly validate: (text: string) => Promise<void>
}

export interface PolicyReading {
  readonly text: string
  readonly revision: string
  readonly origin: string
  readonly loadedAt: EpochSeconds
  /** Why a newer document is not in force. */
  readonly fault?: string
}
