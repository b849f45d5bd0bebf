import { isBrokerError } from '../domain/broker-error.ts'
import type { CredentialSummary } from '../domain/credential.ts'
import { grantedCredential, isDrawnFrom, type Grant, type GrantedCredential } from '../domain/grant.ts'
import { createRecentlyUsed } from '../domain/recently-used.ts'
import type { MintedToken } from '../domain/token.ts'
import { intermediaryKey, type Tokens } from '../records/tokens.ts'
import { createMemoryTokens, type MemoryTokens } from './memory-tokens.ts'
import { createTokenCache, type TokenCacheDeps } from './token-cache.ts'

/** One for each credential version that boundaries are sealed for. */
const entriesMax = 1000
const unusableForMs = 600_000

export interface IntermediariesDeps extends Omit<TokenCacheDeps, 'memory' | 'keyOf'> {
  readonly tokens: Tokens
  /** The tokens that are issued: a sealed one begins with what it is sealed behind. */
  readonly issued: Pick<MemoryTokens, 'forget'>
  /** As it is now, and not as this instance saw it some seconds ago. Throws `store_unavailable`. */
  readonly readCredential: (name: string) => Promise<CredentialSummary | undefined>
}

/** What boundaries are sealed behind: kept apart from all that is ever issued, so that it can go at once. */
export interface Intermediaries {
  readonly share: (grant: Grant, mint: () => Promise<MintedToken>, deadlineMs: number) => Promise<MintedToken>
  /** For ten minutes Google is not asked for another, and every boundary is put on by an exchange. */
  readonly noteUnusable: (credential: GrantedCredential, reason: string) => void
  /** Why no boundary is sealed for this credential now, as far as this instance knows. */
  readonly whyUnusable: (credential: GrantedCredential) => string | undefined
  /** Memory forgets what this state of a credential no longer allows. Cheap where there is nothing to forget. */
  readonly notice: (name: string, credential: CredentialSummary | undefined) => void
  /** Memory forgets all. */
  readonly forgetAll: () => void
  /** Removes from memory and store what may not be used any more. A store that fails is logged: all of it ends soon. */
  readonly removeDead: (which?: 'all') => Promise<void>
}

export function createIntermediaries(deps: IntermediariesDeps): Intermediaries {
  const { tokens, clock, entropy, sha256, log, readCredential } = deps
  const memory = createMemoryTokens({ clock, fraction: entropy.fraction, entriesMax })
  const keyOf = async (identity: string) =>
    intermediaryKey(String(partsIn(identity)[0]), await sha256(identity))
  const resolve = createTokenCache({ ...deps, memory, keyOf })
  const unusable = createRecentlyUsed<{ readonly untilMs: number; readonly reason: string }>({
    sizeMax: entriesMax,
  })
  const seen = new WeakSet<CredentialSummary>()
  let isEmpty = true

  const isLive = async (name: string, drawnFrom: readonly string[]): Promise<boolean> => {
    const credential = await readCredential(name)
    if (credential?.state !== 'enabled' || credential.boundaries?.locally === undefined) return false
    if (credential.source === undefined) return isDrawnFrom(drawnFrom, grantedCredential(credential))
    const source = await readCredential(credential.source)
    if (source?.state !== 'enabled') return false
    return isDrawnFrom(drawnFrom, grantedCredential(credential, grantedCredential(source)))
  }

  const forget = (isDead: (identity: string) => boolean): void => {
    if (memory.forget(isDead) > 0)
      deps.issued.forget((identity) => identity.includes('["sealed",') && isDead(identity))
  }

  const forgetAll = (): void => {
    if (!isEmpty) forget(() => true)
    isEmpty = true
  }

  return {
    share: async (grant, mint, deadlineMs) => {
      isEmpty = false
      return (await resolve(grant, mint, deadlineMs)).token
    },
    noteUnusable: ({ version }, reason) => {
      unusable.set(version, { untilMs: clock.steadyMs() + unusableForMs, reason })
    },
    whyUnusable: ({ version }) => {
      const known = unusable.get(version)
      return known !== undefined && clock.steadyMs() < known.untilMs ? known.reason : undefined
    },
    notice: (name, credential) => {
      if (isEmpty || (credential !== undefined && seen.has(credential))) return
      if (credential !== undefined) seen.add(credential)
      forget((identity) => concerns(identity, name) && !allows(credential, identity))
    },
    forgetAll,
    removeDead: async (which) => {
      // Who is asked again finds it in the store, if it may still be used.
      forgetAll()
      try {
        await tokens.removeIntermediaries(
          async (name, drawnFrom) => which === 'all' || !(await isLive(name, drawnFrom)),
        )
      } catch (error) {
        if (!isBrokerError(error)) throw error
        log('warn', 'intermediary tokens were not removed from the store; they end within the hour', {
          error,
        })
      }
    },
  }
}

/** An identity begins with name, version and upstream of the credential, and name and version of its source. */
function partsIn(identity: string): readonly unknown[] {
  const parts: unknown = JSON.parse(identity)
  return Array.isArray(parts) ? parts : []
}

function concerns(identity: string, name: string): boolean {
  const parts = partsIn(identity)
  return parts[0] === name || parts[3] === name
}

function allows(credential: CredentialSummary | undefined, identity: string): boolean {
  if (credential?.state !== 'enabled') return false
  const [name, version, , , sourceVersion] = partsIn(identity)
  const isOwn = name === credential.name
  if (isOwn && credential.boundaries?.locally === undefined) return false
  const used = isOwn ? version : sourceVersion
  return used === credential.version || used === credential.standby
}
