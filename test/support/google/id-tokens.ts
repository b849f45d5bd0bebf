import { createHash, type JsonWebKey } from 'node:crypto'
import { SignJWT } from 'jose'
import type { KeySource, RsaKeyPair } from './key-pool.ts'

export type IdTokenClaims = {
  readonly sub: string
  readonly aud: string
  readonly azp: string
  readonly email?: string | undefined
  /** The access token delivered beside it; adds `at_hash`. */
  readonly accessToken?: string
}

export type IdTokens = {
  /** A real RS256 ID token of `https://accounts.google.com`, living one hour. */
  readonly sign: (claims: IdTokenClaims) => Promise<{ readonly token: string; readonly expiresAt: number }>
  /** The JWK set that verifies them. */
  readonly certs: () => Promise<{ readonly keys: readonly JsonWebKey[] }>
}

const LIFETIME_SECONDS = 3600
const KEY_ID = createHash('sha1').update('google stand-in').digest('hex')

/** The signing key is made when first needed. */
export function createIdTokens(now: () => number, keys: KeySource): IdTokens {
  let pair: Promise<RsaKeyPair> | undefined
  const signingKey = () => {
    pair ??= keys()
    return pair
  }
  return {
    sign: async (claims) => {
      const { privateKey } = await signingKey()
      const issuedAt = now()
      const expiresAt = issuedAt + LIFETIME_SECONDS
      const token = await new SignJWT(payload(claims))
        .setProtectedHeader({ alg: 'RS256', kid: KEY_ID, typ: 'JWT' })
        .setIssuer('https://accounts.google.com')
        .setIssuedAt(issuedAt)
        .setExpirationTime(expiresAt)
        .sign(privateKey)
      return { token, expiresAt }
    },
    certs: async () => {
      const { publicKey } = await signingKey()
      const jwk = publicKey.export({ format: 'jwk' })
      return { keys: [{ ...jwk, kid: KEY_ID, alg: 'RS256', use: 'sig' }] }
    },
  }
}

function payload(claims: IdTokenClaims): Record<string, unknown> {
  const { sub, aud, azp, email, accessToken } = claims
  return {
    sub,
    aud,
    azp,
    ...(email === undefined ? {} : { email, email_verified: true }),
    ...(accessToken === undefined ? {} : { at_hash: halfHash(accessToken) }),
  }
}

// OpenID Connect Core §3.1.3.6: the left half of the hash.
function halfHash(text: string): string {
  return createHash('sha256').update(text).digest().subarray(0, 16).toString('base64url')
}
