import type { TokenType } from './exchange-request.ts'
import type { ScopeSet } from './scopes.ts'
import type { EpochSeconds } from './time.ts'

/** What one request made use of, of all that its rule gives. */
export interface RuleUse {
  readonly rule: string
  readonly credential: string
  readonly tokenType: TokenType
  /** Asked for by name and issued; `undefined` when all was asked for, or more than there is: then nobody can tell. */
  readonly scopes: ScopeSet | undefined
  readonly subject?: string
  readonly audience?: string
  /** Of the boundary that the caller asked for; empty when it asked for none. */
  readonly resources: readonly string[]
}

/** All uses of one rule with one credential on one day. */
export interface RuleDay {
  /** The first second of the day, UTC. */
  readonly day: EpochSeconds
  readonly rule: string
  readonly credential: string
  readonly tokenTypes: readonly string[]
  readonly scopes: ScopeSet
  /** Somebody asked for all there is, or for more. */
  readonly wantedAll: boolean
  readonly subjects: readonly string[]
  readonly audiences: readonly string[]
  readonly resources: readonly string[]
  /** A caller asked without a boundary of its own. */
  readonly wantedUnbounded: boolean
  /** A list was full, or could not be read: what is not in it may have been used all the same. */
  readonly isCut: boolean
}
