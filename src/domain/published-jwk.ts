import type { EcPublicJwk, RsaPublicJwk } from './public-jwk.ts'

/** The public half of a key that the broker itself signs with, as anybody may fetch it. */
export type PublishedJwk = (RsaPublicJwk | EcPublicJwk) & {
  readonly kid: string
  readonly alg: 'RS256' | 'ES256'
}
