import { isBrokerError, BrokerError } from '../domain/broker-error.ts'
import { cloudPlatformScope } from '../domain/google.ts'
import type { Grant, GrantedCredential } from '../domain/grant.ts'
import { Secret } from '../domain/secret.ts'
import type { MintBy, MintedToken } from '../domain/token.ts'
import type { Encrypt, Entropy, ImportAesGcmKey } from '../ports/entropy.ts'
import type { Log } from '../ports/log.ts'
import type { GetIntermediary } from '../google/sts.ts'
import type { ShareToken } from './impersonator-token.ts'
import { encodeBoundary, sealText, readSessionKey, type SessionKey } from '../boundaries/seal-boundary.ts'
import { invalidResponse } from '../oauth/upstream-failure.ts'

/** The intermediary tokens that boundaries are sealed behind. */
export interface IntermediaryTokens {
  /** Shared like a token that is issued, and apart from all of those. */
  readonly share: ShareToken
  /** That there is none for this credential version; for some time nobody asks again. */
  readonly noteUnusable: (credential: GrantedCredential, reason: string) => void
  readonly whyUnusable: (credential: GrantedCredential) => string | undefined
}

export interface MintSealedDeps {
  readonly intermediaries: IntermediaryTokens
  readonly shareToken: ShareToken
  readonly mintUnbounded: MintBy
  readonly getIntermediary: GetIntermediary
  readonly exchangeBounded: MintBy
  readonly entropy: Entropy
  readonly importAesGcmKey: ImportAesGcmKey
  readonly log: Log
}

const nonceBytes = 12
const noncesDrawn = 256

/**
 * A token with the grant's boundary. Where the grant says so the boundary is sealed here, behind an intermediary token
 * that all instances share for an hour; where Google gives none that can be used, and for every other grant, the
 * Security Token Service puts it on. Neither way is wider than the other would have been (`chooseBounding`).
 */
export function createMintSealed(deps: MintSealedDeps): MintBy {
  const { intermediaries, log, shareToken, exchangeBounded } = deps
  const seal = createSeal(deps)

  return async (grant, deadlineMs) => {
    const { bounding, credential } = grant
    if (bounding?.way !== 'sealed') return exchangeBounded(grant, deadlineMs)
    if (intermediaries.whyUnusable(credential) === undefined) {
      try {
        return await seal(grant, deadlineMs)
      } catch (error) {
        if (!isBrokerError(error) || error.code !== 'upstream_nonsense') throw error
        intermediaries.noteUnusable(credential, error.reason)
        log('warn', 'a boundary cannot be sealed locally; the Security Token Service puts it on', {
          credential: credential.name,
          error,
        })
      }
    }
    const exchanged: Grant = { ...grant, bounding: { ...bounding, way: 'exchanged' } }
    return shareToken(exchanged, () => exchangeBounded(exchanged, deadlineMs), deadlineMs)
  }
}

/** What seals: made of one shared token, and forgotten with it. */
interface Sealer {
  readonly intermediary: Secret
  readonly prefix: SessionKey['prefix']
  readonly encrypt: Encrypt
  readonly nextNonce: () => Uint8Array<ArrayBuffer>
}

function createSeal(deps: MintSealedDeps) {
  const { intermediaries, mintUnbounded, getIntermediary, entropy, importAesGcmKey } = deps
  const sealers = new WeakMap<MintedToken, Sealer>()

  /** It ends with its source, so that is a new one, and kept by nobody. */
  const mintIntermediary = async (grant: Grant, deadlineMs: number): Promise<MintedToken> => {
    const source = await mintUnbounded(grant, deadlineMs)
    const { token, sessionKey, expiresAt } = await getIntermediary({ grant, source, deadlineMs })
    const read = readSessionKey(sessionKey.reveal())
    if (!read.ok) throw invalidResponse(`the session key cannot be used: ${read.fault}`)
    return { ...source, secret: bothOf(token, sessionKey), expiresAt }
  }

  const sealerOf = async (shared: MintedToken): Promise<Sealer> => {
    const known = sealers.get(shared)
    if (known !== undefined) return known
    const [token = '', sessionKey = ''] = shared.secret.reveal().split(' ')
    const read = readSessionKey(sessionKey)
    if (!read.ok) throw invalidResponse(`the session key cannot be used: ${read.fault}`)
    const { prefix, key } = read.value
    const nextNonce = createNonces(entropy)
    const sealer = { intermediary: new Secret(token), prefix, encrypt: await importAesGcmKey(key), nextNonce }
    sealers.set(shared, sealer)
    return sealer
  }

  return async (grant: Grant, deadlineMs: number): Promise<MintedToken> => {
    const wanted = intermediaryGrant(grant)
    const shared = await intermediaries.share(wanted, () => mintIntermediary(wanted, deadlineMs), deadlineMs)
    const { intermediary, prefix, encrypt, nextNonce } = await sealerOf(shared)
    const plaintext = encodeBoundary(grant.boundary ?? [])
    if (plaintext === undefined)
      throw new BrokerError('target_unavailable', {
        reason: `credential ${grant.credential.name}: the boundary has a condition that cannot be sealed`,
      })
    const suffix = await sealText(plaintext, { prefix, encrypt, nonce: nextNonce() })
    return { ...shared, secret: new Secret(`${intermediary.reveal()}.${suffix}`) }
  }
}

/** Each once, and many drawn together: one draw takes longer than an encryption. Nonces are no secrets. */
function createNonces(entropy: Entropy): Sealer['nextNonce'] {
  let drawn = entropy.octets(0)
  return () => {
    if (drawn.length === 0) drawn = entropy.octets(nonceBytes * noncesDrawn)
    const nonce = drawn.subarray(0, nonceBytes)
    drawn = drawn.subarray(nonceBytes)
    return nonce
  }
}

/** One for all boundaries of a credential version, whoever asks. */
function intermediaryGrant({ caller, rule, credential }: Grant): Grant {
  return {
    caller,
    rule,
    credential,
    scopes: [cloudPlatformScope],
    tokenType: 'access_token',
    isIntermediary: true,
  }
}

/** A token holds no space, and neither does Base64. */
function bothOf(token: Secret, sessionKey: Secret): Secret {
  return new Secret(`${token.reveal()} ${sessionKey.reveal()}`)
}
