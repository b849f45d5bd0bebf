import { BrokerError } from '../domain/broker-error.ts'
import type { TrustedIssuer } from '../domain/policy.ts'
import { quote } from '../domain/quote.ts'
import type { SigningAlgorithm } from '../domain/signing-algorithm.ts'
import { allowedAlgorithm, chooseKey, type KeyChoice } from './choose-key.ts'
import type { CompactJws, JoseHeader } from './compact-jws.ts'
import type { IssuerKeySource } from './issuer-keys.ts'
import type { KeySet } from './key-set.ts'
import { isNoKeys, type NoKeys } from './remote-keys.ts'
import { isSignedBy } from './signature.ts'
import type { VerifiedAssertion, VerifiedAssertions } from './verified-assertions.ts'

export interface SignatureDeps {
  readonly keys: IssuerKeySource
  readonly verified: VerifiedAssertions
}

export interface SignedAssertion {
  readonly token: string
  readonly jws: CompactJws
  readonly issuer: TrustedIssuer
  /** What is remembered of this very token. */
  readonly known: VerifiedAssertion | undefined
}

/**
 * `undefined` when a key of this issuer, and of no other, signed the token under an algorithm that policy and key
 * allow; else the fault. An unknown key name makes the issuer be asked again, within P22's bound (P2, P4). Throws
 * `issuer_unavailable` where the keys were never read or may not be read again yet.
 */
export function createVerifySignature(
  deps: SignatureDeps,
): (signed: SignedAssertion) => Promise<string | undefined> {
  const { keys, verified } = deps

  return async (signed) => {
    const { token, jws, issuer, known } = signed
    const algorithm = allowedAlgorithm(jws.header, issuer.algorithms)
    if (algorithm === undefined) return 'the algorithm is not one of the issuer'
    const current = keys.current(issuer)
    const set = current instanceof Promise ? await current : current
    if (isNoKeys(set)) throw unreadable(issuer, set, 'its keys are unavailable')
    if (known !== undefined && known.issuer === issuer && known.keys === set) return undefined

    const wanted = { header: jws.header, algorithm, issuer }
    const choice = chooseKey(set, jws.header, algorithm)
    const found = choice.ok || !choice.mayBeNew ? { set, choice } : await lookForNewer(set, choice, wanted)
    if (!found.choice.ok) return found.choice.fault
    const imported = found.choice.key.importedFor(algorithm)
    const key = imported instanceof Promise ? await imported : imported
    if (key === undefined) return 'the key is not on its curve'
    if (!(await isSignedBy({ token, key, algorithm }))) return 'the signature does not verify'
    if (issuer.replay === 'allowed') await verified.remember(token, { jws, issuer, keys: found.set })
    return undefined
  }

  /** The issuer may have published such a key since we last looked. */
  async function lookForNewer(
    set: KeySet,
    choice: KeyChoice & { ok: false },
    wanted: WantedKey,
  ): Promise<FoundKey> {
    const { header, algorithm, issuer } = wanted
    const newer = await keys.refreshed(issuer)
    if (isNoKeys(newer))
      throw unreadable(issuer, newer, `${choice.fault}, and its keys may not be read again yet`)
    return newer === set ? { set, choice } : { set: newer, choice: chooseKey(newer, header, algorithm) }
  }
}

/** Nobody can tell a forged token from a good one: both are told to come back, and neither gets anything (P22, T9). */
function unreadable({ name }: TrustedIssuer, { retryAfter }: NoKeys, why: string): BrokerError {
  return new BrokerError('issuer_unavailable', {
    reason: `assertion of issuer ${quote(name)}: ${why}`,
    retryAfter,
  })
}

interface WantedKey {
  readonly header: JoseHeader
  readonly algorithm: SigningAlgorithm
  readonly issuer: TrustedIssuer
}

interface FoundKey {
  readonly set: KeySet
  readonly choice: KeyChoice
}
