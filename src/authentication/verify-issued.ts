import type { Claims } from '../domain/caller.ts'
import type { TrustedIssuer } from '../domain/policy.ts'
import { signingAlgorithms } from '../domain/jwk.ts'
import { seconds } from '../domain/time.ts'
import { isAccessTokenTyp, parseCompactJws } from './compact-jws.ts'
import { createIssuerKeys, type RemoteKeysDeps } from './issuer-keys.ts'
import { createVerifySignature } from './verify-signature.ts'

export interface IssuedToken {
  readonly claims: Claims
  /** Its header says that it is an access token (RFC 9068). */
  readonly isMarked: boolean
}

export type VerifyIssued = (
  token: string,
  from: { readonly issuer: string; readonly keysUrl: string },
) => Promise<IssuedToken | undefined>

/**
 * The claims of a JWT that a key published at that address signed; `undefined` for any other text. Judges the signature
 * and nothing of the claims. Throws `issuer_unavailable` while the keys cannot be read.
 */
export function createVerifyIssued(deps: RemoteKeysDeps): VerifyIssued {
  const verifySignature = createVerifySignature({
    keys: createIssuerKeys(deps),
    verified: { find: () => Promise.resolve(undefined), remember: () => Promise.resolve() },
  })

  return async (token, { issuer, keysUrl }) => {
    const parsed = parseCompactJws(token)
    if (!parsed.ok) return undefined
    const jws = parsed.value
    const signed = { token, jws, issuer: signerAt(issuer, keysUrl), known: undefined }
    if ((await verifySignature(signed)) !== undefined) return undefined
    return { claims: jws.claims, isMarked: isAccessTokenTyp(jws.header.typ) }
  }
}

function signerAt(issuer: string, keysUrl: string): TrustedIssuer {
  return {
    name: issuer,
    issuer,
    selfIssued: false,
    keys: { from: 'jwks_uri', url: keysUrl },
    audiences: [],
    algorithms: signingAlgorithms,
    lifetimeMax: seconds(0),
    // Nothing is remembered of the signature: each token is judged once.
    replay: 'once',
  }
}
