import type { CallerLimits } from '../authentication/authenticate.ts'
import type { Readiness } from '../service/readiness.ts'
import type { MaintenanceReport } from '../maintenance/maintenance.ts'
import type { Measures } from './measure.ts'
import type { AuditTrail, Log } from '../ports/log.ts'
import type { Background } from '../ports/background.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentStore } from '../ports/document-store.ts'
import type { Entropy, ImportAesGcmKey, Sha256 } from '../ports/entropy.ts'
import type { HttpClient } from '../ports/http-client.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import type { OwnIdentity } from '../ports/own-identity.ts'
import type { PolicySource } from '../ports/policy-source.ts'

/** The world as it is on one runtime: what differs between Cloud Run and Workers, and nothing else. */
export interface Platform {
  readonly clock: Clock
  readonly entropy: Entropy
  readonly sha256: Sha256
  readonly importAesGcmKey: ImportAesGcmKey
  readonly http: HttpClient
  readonly background: Background
  readonly log: Log
  /** Where decisions are written, besides the store. */
  readonly auditTrail: AuditTrail
  readonly store: DocumentStore
  readonly keyRing: KeyRing
  /** Absent when the broker has no Google identity. */
  readonly ownIdentity?: OwnIdentity
  /** Absent: the policy lies in the store. */
  readonly policySource?: PolicySource
  /** Who counts requests; absent: nobody. */
  readonly limits?: CallerLimits
  /** What this instance is called in leases, audit records, metrics and traces; absent, it takes any name. */
  readonly instance?: string
  /** What wraps parts of the broker so that its work is counted; absent: nothing does. */
  readonly measures?: Measures
  /**
   * Whether a request may await what another one began. On Workers it must not: there a promise dies with the request
   * that made it.
   */
  readonly sharesWork: boolean
}

/** The broker as an entry point sees it. */
export interface Broker {
  readonly serve: Serve
  /** A first look at policy, store and key ring, so that no caller waits for it. */
  readonly readiness: () => Promise<Readiness>
  /** What a schedule runs: everything that has to be done now and then. */
  readonly maintain: () => Promise<MaintenanceReport>
}

/** A Request in, a Response out; beside it, on Node, the message that it was made from, whose path is as it was sent. */
export type Serve = (request: Request, message?: IncomingTarget) => Response | Promise<Response>

export interface IncomingTarget {
  readonly incoming: { readonly url?: string | undefined }
}
