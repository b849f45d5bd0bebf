import { importJWK, SignJWT, type CryptoKey, type JWK } from 'jose'
import { TokenError } from './token-error.ts'

/** A JWT that says who the caller is, made out to `audience`, which is the broker's issuer. Asked for anew each time. */
export type ProofOfCaller = (audience: string) => string | Promise<string>

/** A caller that signs for itself, with a key that the broker's policy knows. */
export interface OwnKey {
  readonly key: JWK | CryptoKey
  /** Issuer and subject of the JWT; by default what the JWK says in `iss` and `sub`. */
  readonly caller?: string
  /** Needed for an RSA key, and for a `CryptoKey`: of a JWK's curve it follows. */
  readonly alg?: string
}

const lifeSeconds = 60

/** Signs a JWT of 60 seconds with a `jti` of its own for each exchange. */
export function signedWithOwnKey({ key, caller, alg }: OwnKey): ProofOfCaller {
  const jwk = isJwk(key) ? key : undefined
  const issuer = caller ?? textMember(jwk, 'iss')
  const algorithm = alg ?? jwk?.alg ?? algorithmOf(jwk)
  if (issuer === undefined) throw new TokenError('configuration', 'proof.caller says whose key it is')
  if (algorithm === undefined) throw new TokenError('configuration', 'proof.alg is needed with this key')
  const subject = caller ?? textMember(jwk, 'sub') ?? issuer
  // Once for all JWTs, and only when the first is wanted.
  let imported: Promise<CryptoKey | Uint8Array> | undefined
  return async (audience) => {
    imported ??= jwk === undefined ? Promise.resolve(key as CryptoKey) : importJWK(jwk, algorithm)
    return new SignJWT()
      .setProtectedHeader({ alg: algorithm, ...(jwk?.kid === undefined ? {} : { kid: jwk.kid }) })
      .setIssuer(issuer)
      .setSubject(subject)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime(`${lifeSeconds} seconds`)
      .setJti(crypto.randomUUID())
      .sign(await imported)
  }
}

function isJwk(key: JWK | CryptoKey): key is JWK {
  return 'kty' in key
}

function algorithmOf(jwk: JWK | undefined): string | undefined {
  switch (jwk?.crv) {
    case 'P-256':
      return 'ES256'
    case 'P-384':
      return 'ES384'
    case 'P-521':
      return 'ES512'
    case 'Ed25519':
      return 'EdDSA'
    default:
      return jwk?.kty === 'RSA' ? 'RS256' : undefined
  }
}

function textMember(jwk: JWK | undefined, name: 'iss' | 'sub'): string | undefined {
  const members: Readonly<Record<string, unknown>> = { ...jwk }
  const value = members[name]
  return typeof value === 'string' ? value : undefined
}
