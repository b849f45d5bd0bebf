/** The signatures that may count: asymmetric ones only (P2). RFC 7518 §3.1, RFC 8037 §3.1. */
export const signingAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const

export type SigningAlgorithm = (typeof signingAlgorithms)[number]
