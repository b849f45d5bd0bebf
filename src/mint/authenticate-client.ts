import { importJWK, importPKCS8, SignJWT, type CryptoKey } from 'jose'
import { BrokerError } from '../domain/broker-error.ts'
import type { OAuthClient } from '../domain/credential.ts'
import { parseJsonObject } from '../domain/json-object.ts'
import { Secret } from '../domain/secret.ts'
import { later, seconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { ReachedUpstream } from './reach-upstream.ts'

const jwtBearer = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
/** Enough for a slow request, and little for whoever finds it. */
const assertionLife = seconds(60)
/** The upstream's clock may be behind ours. */
const issuedBefore = seconds(-5)

/** What a request to a token endpoint carries to prove the client, and what of it is secret. */
export interface ClientProof {
  readonly headers: Readonly<Record<string, string>>
  readonly form: Readonly<Record<string, string>>
  readonly secrets: readonly Secret[]
}

export interface AuthenticateClientDeps {
  readonly clock: Clock
  readonly entropy: Entropy
}

export type AuthenticateClient = (
  client: OAuthClient,
  reached: ReachedUpstream,
  credential: string,
) => Promise<ClientProof>

/**
 * Proves the client in the way that its upstream takes (RFC 6749 §2.3.1, RFC 7523 §2.2), anew for each request.
 * Throws `target_unavailable` when the credential was enrolled for another way.
 */
export function createAuthenticateClient({ clock, entropy }: AuthenticateClientDeps): AuthenticateClient {
  return async (client, { upstream, tokenUrl }, credential) => {
    const way = upstream.clientAuthentication
    if (way === 'client_secret_post' && client.proof === 'secret')
      return {
        headers: {},
        form: { client_id: client.id, client_secret: client.secret.reveal() },
        secrets: [client.secret],
      }
    if (way === 'client_secret_basic' && client.proof === 'secret') return basic(client.id, client.secret)
    if (way === 'none' && client.proof === 'none')
      return { headers: {}, form: { client_id: client.id }, secrets: [] }
    if (way === 'private_key_jwt' && client.proof === 'key') {
      const audience = upstream.assertionAudience === 'issuer' ? upstream.issuer : tokenUrl
      const now = clock.now()
      const claims = {
        iss: client.id,
        sub: client.id,
        aud: audience ?? tokenUrl,
        jti: entropy.uuid(),
        iat: later(now, issuedBefore),
        exp: later(now, assertionLife),
      }
      return signed(client, claims, await importKey(client, credential))
    }
    throw unusable(credential, `was not enrolled for ${way}, which upstream ${upstream.name} asks for`)
  }
}

/** RFC 6749 §2.3.1: both halves are form-encoded first, so that a colon in one is no end of it. */
function basic(id: string, secret: Secret): ClientProof {
  const header = new Secret(btoa(`${formEncoded(id)}:${formEncoded(secret.reveal())}`))
  return {
    headers: { authorization: `Basic ${header.reveal()}` },
    form: {},
    secrets: [secret, header],
  }
}

function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1)
}

type KeyClient = OAuthClient & { readonly proof: 'key' }

async function signed(
  { id, keyId, algorithm }: KeyClient,
  claims: Readonly<Record<string, string | number>>,
  key: CryptoKey,
): Promise<ClientProof> {
  const header = { alg: algorithm, typ: 'JWT', ...(keyId === undefined ? {} : { kid: keyId }) }
  const assertion = new Secret(await new SignJWT(claims).setProtectedHeader(header).sign(key))
  return {
    headers: {},
    form: {
      client_id: id,
      client_assertion_type: jwtBearer,
      client_assertion: assertion.reveal(),
    },
    secrets: [assertion],
  }
}

async function importKey({ privateKey, algorithm }: KeyClient, credential: string): Promise<CryptoKey> {
  try {
    const text = privateKey.reveal()
    const jwk = parseJsonObject(text)
    const key = jwk === undefined ? await importPKCS8(text, algorithm) : await importJWK(jwk, algorithm)
    if (!(key instanceof Uint8Array)) return key
  } catch {
    // The cause may quote the text: it is dropped.
  }
  throw unusable(credential, 'holds a private key that cannot be imported')
}

function unusable(credential: string, why: string): BrokerError {
  return new BrokerError('target_unavailable', { reason: `credential ${credential} ${why}` })
}
