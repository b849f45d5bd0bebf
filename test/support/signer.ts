import { exportJWK, generateKeyPair, type CryptoKey } from 'jose'
import type { Claims } from '../../src/domain/caller.ts'
import { type SigningAlgorithm, parsePublicJwk, type PublicJwk } from '../../src/domain/jwk.ts'

/** One who holds a private key and signs whatever text it is given, well-formed or not. */
export interface Signer {
  readonly alg: SigningAlgorithm
  readonly kid: string
  readonly jwk: PublicJwk
  /** A compact JWS of these claims, with `alg`, `kid` and `typ` JWT unless the header says otherwise. */
  sign(claims: Claims, header?: Readonly<Record<string, unknown>>): Promise<string>
  /** A compact JWS whose signature is right, over exactly these texts. */
  signTexts(header: string, payload: string): Promise<string>
}

export async function createSigner(alg: SigningAlgorithm, kid: string): Promise<Signer> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const judged = parsePublicJwk({ ...(await exportJWK(publicKey)), kid, use: 'sig' })
  if (!judged.ok) throw new Error(judged.fault)

  const signTexts = async (header: string, payload: string): Promise<string> => {
    const input = `${base64url(header)}.${base64url(payload)}`
    return `${input}.${await signature(alg, privateKey, input)}`
  }
  return {
    alg,
    kid,
    jwk: judged.value,
    signTexts,
    sign: (claims, header) =>
      signTexts(JSON.stringify({ alg, kid, typ: 'JWT', ...header }), JSON.stringify(claims)),
  }
}

/** Text, or octets as they are, in base64url. */
export function base64url(data: string | Uint8Array): string {
  const octets = typeof data === 'string' ? new TextEncoder().encode(data) : data
  return btoa(Array.from(octets, (octet) => String.fromCharCode(octet)).join(''))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}

async function signature(alg: SigningAlgorithm, key: CryptoKey, input: string): Promise<string> {
  const octets = await crypto.subtle.sign(parameters(alg), key, new TextEncoder().encode(input))
  return base64url(new Uint8Array(octets))
}

function parameters(alg: SigningAlgorithm): { name: string; hash?: string; saltLength?: number } {
  const bits = alg.slice(2)
  if (alg === 'EdDSA') return { name: 'Ed25519' }
  if (alg.startsWith('ES')) return { name: 'ECDSA', hash: `SHA-${bits}` }
  if (alg.startsWith('PS')) return { name: 'RSA-PSS', saltLength: Number(bits) / 8 }
  return { name: 'RSASSA-PKCS1-v1_5' }
}
