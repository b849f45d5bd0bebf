import type { SigningAlgorithm } from '../domain/jwk.ts'
import { unusableCredential, BrokerError } from '../domain/broker-error.ts'
import type { OAuthClient } from '../domain/credential.ts'
import { parseJsonObject } from '../domain/json.ts'
import { Secret } from '../domain/secret.ts'
import type { Repeatable, Upstream } from '../domain/upstream.ts'
import type { HttpAnswer } from '../ports/http-client.ts'
import type { SendWithRetry, UpstreamReply, ClientProof } from './send-with-retry.ts'
import type { ResolvedUpstream } from './resolve-upstream.ts'
import { importJWK, importPKCS8, SignJWT, type CryptoKey } from 'jose'
import { later, seconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

export interface RequestTokenDeps extends AuthenticateClientDeps {
  readonly ask: SendWithRetry
}

export interface TokenQuestion {
  readonly reached: ResolvedUpstream
  /** Another endpoint of the upstream than the one for tokens, where clients prove themselves alike. */
  readonly url?: string
  readonly client: OAuthClient
  /** The credential's name. */
  readonly credential: string
  /** Grant type, scope and what else belongs to the grant; client and upstream add theirs. */
  readonly form: Readonly<Record<string, string>>
  readonly repeatable: Repeatable
  readonly deadlineMs: number
}

export interface TokenReply {
  readonly reply: UpstreamReply
  /** What was sent to prove the client: never quoted back. */
  readonly secrets: readonly Secret[]
}

export type RequestToken = (question: TokenQuestion) => Promise<TokenReply>

/**
 * Asks an upstream's token endpoint as one of its clients. Throws what `createAuthenticateClient` throws, and
 * `target_unavailable` when the client was enrolled for another place.
 */
export function createRequestToken(deps: RequestTokenDeps): RequestToken {
  const authenticateClient = createAuthenticateClient(deps)

  return async ({ reached, url = reached.tokenUrl, client, credential, form, repeatable, deadlineMs }) => {
    refuseElsewhere(client, url, { credential, upstream: reached.upstream.name })
    const makeProof = await authenticateClient(client, reached, credential)
    const secrets: Secret[] = []
    const reply = await deps.ask({
      url,
      form: { ...reached.upstream.extraParameters, ...form },
      prove: async () => {
        const proof = await makeProof()
        secrets.push(...proof.secrets)
        return proof
      },
      credential,
      repeatable,
      deadlineMs,
    })
    return { reply, secrets }
  }
}

/** A secret goes where it was enrolled for and nowhere else, whatever the policy has come to say since. */
function refuseElsewhere(
  { origin }: OAuthClient,
  url: string,
  { credential, upstream }: { readonly credential: string; readonly upstream: string },
): void {
  const isRight = upstream === 'google' ? origin === undefined : origin === new URL(url).origin
  if (isRight) return
  throw new BrokerError('target_unavailable', {
    reason: `credential ${credential} was enrolled for ${origin ?? 'Google'}, and upstream ${upstream} is at ${new URL(url).origin} now: if that is right, enrol it again`,
  })
}

/** The answer that grants something: status 200, and no error where the upstream sends errors with that status too. */
export function grantingAnswer(
  reply: UpstreamReply,
  { refusesWithStatus200 }: Upstream,
): (UpstreamReply & { readonly kind: 'answer' }) | undefined {
  if (reply.kind !== 'answer' || reply.answer.status !== 200) return undefined
  return refusesWithStatus200 && holdsError(reply.answer) ? undefined : reply
}

function holdsError({ body }: HttpAnswer): boolean {
  return typeof parseJsonObject(body)?.['error'] === 'string'
}

const jwtBearer = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
/** Enough for a slow request, and little for whoever finds it. */
const assertionLife = seconds(60)
/** The upstream's clock may be behind ours. */
const issuedBefore = seconds(-5)

/** What a request to a token endpoint carries to prove the client, and what of it must never be shown. */
export interface SecretProof extends ClientProof {
  readonly secrets: readonly Secret[]
}

export interface AuthenticateClientDeps {
  readonly clock: Clock
  readonly entropy: Entropy
}

export type AuthenticateClient = (
  client: OAuthClient,
  reached: ResolvedUpstream,
  credential: string,
) => Promise<() => Promise<SecretProof>>

/**
 * How to prove the client in the way that its upstream takes (RFC 6749 §2.3.1, RFC 7523 §2.2), anew at each call.
 * Throws `target_unavailable` when the credential was enrolled for another way, or its key cannot be used.
 */
function createAuthenticateClient(deps: AuthenticateClientDeps): AuthenticateClient {
  return async (client, reached, credential) => {
    const { clientAuthentication: way, name } = reached.upstream
    if (way === 'client_secret_post' && client.proof === 'secret')
      return always({
        headers: {},
        form: { client_id: client.id, client_secret: client.secret.reveal() },
        secrets: [client.secret],
      })
    if (way === 'client_secret_basic' && client.proof === 'secret')
      return always(basic(client.id, client.secret))
    if (way === 'none' && client.proof === 'none')
      return always({ headers: {}, form: { client_id: client.id }, secrets: [] })
    if (way === 'private_key_jwt' && client.proof === 'key') {
      const key = await importPrivateKey(client.privateKey, client.algorithm)
      if (key === undefined)
        throw unusableCredential(credential, 'holds a private key that cannot be imported')
      return () => signed(deps, client, { key, audience: audienceOf(reached) })
    }
    throw unusableCredential(credential, `was not enrolled for ${way}, which upstream ${name} asks for`)
  }
}

function always(proof: SecretProof): () => Promise<SecretProof> {
  return () => Promise.resolve(proof)
}

/** RFC 6749 §2.3.1: both halves are form-encoded first, so that a colon in one is no end of it. */
function basic(id: string, secret: Secret): SecretProof {
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

function audienceOf({ upstream, tokenUrl }: ResolvedUpstream): string {
  return upstream.assertionAudience === 'issuer' ? (upstream.issuer ?? tokenUrl) : tokenUrl
}

type KeyClient = OAuthClient & { readonly proof: 'key' }

async function signed(
  { clock, entropy }: AuthenticateClientDeps,
  { id, keyId, algorithm }: KeyClient,
  { key, audience }: { readonly key: CryptoKey; readonly audience: string },
): Promise<SecretProof> {
  const now = clock.now()
  const claims = {
    iss: id,
    sub: id,
    aud: audience,
    jti: entropy.uuid(),
    iat: later(now, issuedBefore),
    exp: later(now, assertionLife),
  }
  const header = { alg: algorithm, typ: 'JWT', ...omitUndefined({ kid: keyId }) }
  const assertion = new Secret(await new SignJWT(claims).setProtectedHeader(header).sign(key))
  return {
    headers: {},
    form: { client_id: id, client_assertion_type: jwtBearer, client_assertion: assertion.reveal() },
    secrets: [assertion],
  }
}

/** The private key of a JWK, or of PKCS#8 in PEM; `undefined` for anything else. */
export async function importPrivateKey(
  text: Secret,
  algorithm: SigningAlgorithm,
  options?: { readonly extractable: boolean },
): Promise<CryptoKey | undefined> {
  try {
    const jwk = parseJsonObject(text.reveal())
    if (jwk === undefined) return await importPKCS8(text.reveal(), algorithm, options)
    const key = await importJWK(jwk, algorithm, options)
    return key instanceof Uint8Array ? undefined : key
  } catch {
    // The cause may quote the text: it is dropped.
    return undefined
  }
}
