import type { MaybePromise } from '../domain/promises.ts'
import type { TrustedIssuer } from '../domain/policy.ts'
import { createKeySet, type KeySet } from './jwks.ts'
import { createRemoteKeys, type NoKeys, type RemoteKeysDeps } from './remote-keys.ts'

/** The keys that an issuer of the policy signs with. */
export interface IssuerKeySource {
  /** The same object as long as nothing changed. */
  current(issuer: TrustedIssuer): MaybePromise<KeySet | NoKeys>
  /** The same after asking the issuer again, as far as that is due; keys written in the policy never change. */
  refreshed(issuer: TrustedIssuer): Promise<KeySet | NoKeys>
}

export function createIssuerKeys(deps: RemoteKeysDeps): IssuerKeySource {
  const remote = createRemoteKeys(deps)
  // A new policy brings new issuer objects, and with them new sets.
  const inline = new WeakMap<TrustedIssuer, KeySet>()

  return {
    current: (issuer) => {
      const { keys } = issuer
      return keys.from === 'inline' ? inlineSet(issuer) : remote.current({ ...keys, issuer: issuer.issuer })
    },
    refreshed: async (issuer) => {
      const { keys } = issuer
      return keys.from === 'inline' ? inlineSet(issuer) : remote.refreshed({ ...keys, issuer: issuer.issuer })
    },
  }

  function inlineSet(issuer: TrustedIssuer): KeySet {
    const known = inline.get(issuer)
    if (known !== undefined) return known
    const set = createKeySet(issuer.keys.from === 'inline' ? issuer.keys.keys : [])
    inline.set(issuer, set)
    return set
  }
}
