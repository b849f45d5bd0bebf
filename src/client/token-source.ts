import {
  connectToBroker,
  type BrokerConnection,
  type IssuedToken,
  signedWithOwnKey,
  type OwnKey,
  type ProofOfCaller,
  platformRuntime,
  type Runtime,
} from './broker-connection.ts'
import { createHeldToken, type Held, type HeldToken } from './held-token.ts'
import { TokenError } from './token-error.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

export type { OwnKey, ProofOfCaller } from './broker-connection.ts'
export type { Runtime } from './broker-connection.ts'
export { isTokenError, TokenError, type TokenErrorCode } from './token-error.ts'

export interface TokenSourceOptions {
  /** Where the broker is: https, or http on this very machine. */
  readonly url: string
  /** The name of the credential that tokens come from. */
  readonly credential: string
  /** Who the caller is: a function that gives its JWT, or a key that signs one. */
  readonly proof: ProofOfCaller | OwnKey
  /** By default all that policy allows. */
  readonly scopes?: readonly string[]
  /** What the broker calls itself, where that is not `url`; the audience of the caller's JWT. */
  readonly issuer?: string
  /** Seconds that a token lives at most. */
  readonly lifetime?: number
  /** A Credential Access Boundary in Google's JSON: `{ accessBoundaryRules: […] }`. */
  readonly accessBoundary?: Readonly<Record<string, unknown>>
  /** Domain-wide delegation: the user to act for. */
  readonly subject?: string
  /** Seconds after which the broker is asked again whether a token still holds; by default 60. */
  readonly recheck?: number
  /** Milliseconds that an asker waits at most; by default 30,000. */
  readonly timeout?: number
  /** Told of each failure, also of those that nobody notices because a token is still at hand. */
  readonly onFailure?: (failure: TokenError) => void
  readonly runtime?: Partial<Runtime>
}

export interface Token {
  readonly token: string
  /** What an access token really carries. */
  readonly scopes: readonly string[]
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

export interface TokenSource {
  /** Throws a TokenError. */
  readonly getToken: (options?: { readonly scopes?: readonly string[] }) => Promise<Token>
  /** An ID token for whom `audience` names, an absolute URI. Throws a TokenError. */
  readonly getIdToken: (audience: string) => Promise<Token>
  /** `Authorization: Bearer …` with an access token. */
  readonly getRequestHeaders: () => Promise<Record<string, string>>
}

/** More kinds of tokens than a service asks for; whoever asks for more loses the one asked for the longest ago. */
const kindsMax = 200
const requestsAtOnce = 32

/**
 * Tokens of one credential, for one caller. Kept in memory alone, refreshed before they end, one request for many
 * askers, served while the broker is down and they last. Throws a TokenError where the options are wrong.
 */
export function createTokenSource(options: TokenSourceOptions): TokenSource {
  const runtime: Runtime = { ...platformRuntime, ...options.runtime }
  const proof = typeof options.proof === 'function' ? options.proof : signedWithOwnKey(options.proof)
  const connection = connectToBroker({ url: options.url, issuer: options.issuer }, proof, runtime)
  const waitMs = options.timeout ?? 30_000
  const kinds = new Map<string, HeldToken>()
  let underWay = 0

  const fetchToken = async (form: Readonly<Record<string, string>>): Promise<IssuedToken> => {
    if (underWay >= requestsAtOnce)
      throw new TokenError('unavailable', `${requestsAtOnce} requests to the broker are under way`)
    underWay += 1
    try {
      return await connection.exchange({
        audience: options.credential,
        ...sharedParameters(options),
        ...form,
      })
    } finally {
      underWay -= 1
    }
  }

  const heldFor = (form: Readonly<Record<string, string>>): HeldToken => {
    const name = JSON.stringify(form)
    const held =
      kinds.get(name) ??
      createHeldToken({
        runtime,
        fetchToken: () => fetchToken(form),
        isOver: (token, failure) => isOver(connection, token, failure),
        recheckMs: (options.recheck ?? 60) * 1000,
        onFailure: options.onFailure ?? ignore,
      })
    // The map's order is the order of use.
    kinds.delete(name)
    kinds.set(name, held)
    const [oldest] = kinds.keys()
    if (kinds.size > kindsMax && oldest !== undefined) kinds.delete(oldest)
    return held
  }

  const accessToken = (scopes: readonly string[]): HeldToken => {
    const all = kinds.get('{}')
    // Metadata clients ask for the list that they were told: that is the token which was asked for without one.
    const isAll = scopes.length > 0 && sameScopes(all?.peek()?.token.scopes, scopes)
    return heldFor(scopes.length === 0 || isAll ? {} : { scope: scopes.toSorted().join(' ') })
  }

  const getToken: TokenSource['getToken'] = async ({ scopes = options.scopes ?? [] } = {}) =>
    tokenOf(await accessToken([...new Set(scopes)]).get(waitMs))

  return {
    getToken,
    getIdToken: async (audience) =>
      tokenOf(
        await heldFor({
          requested_token_type: 'urn:ietf:params:oauth:token-type:id_token',
          resource: audience,
        }).get(waitMs),
      ),
    getRequestHeaders: async () => ({ authorization: `Bearer ${(await getToken()).token}` }),
  }
}

function sharedParameters({ lifetime, accessBoundary, subject }: TokenSourceOptions): Record<string, string> {
  return {
    ...(lifetime !== undefined && { requested_lifetime: String(lifetime) }),
    ...omitUndefined({ requested_subject: subject }),
    ...(accessBoundary !== undefined && { options: JSON.stringify({ accessBoundary }) }),
  }
}

/**
 * A refusal ends the token at hand. Where only a JWT was refused that had been shown before (`replay: once`), or the
 * broker serves nothing at the moment, perhaps because it was stopped, it is asked about the token itself.
 */
async function isOver(
  connection: BrokerConnection,
  held: IssuedToken,
  failure: TokenError,
): Promise<boolean> {
  const { code, error, status } = failure
  const isOfProof = error === 'invalid_request' || error === 'invalid_client'
  if (code === 'refused' && !(isOfProof && connection.repeatedItsProof())) return true
  if (status === undefined) return false
  try {
    return (await connection.isActive(held.text)) === false
  } catch {
    return false
  }
}

function tokenOf({ token, expiresAtMs }: Held): Token {
  return { token: token.text, scopes: token.scopes, expiresAt: expiresAtMs }
}

function sameScopes(some: readonly string[] | undefined, others: readonly string[]): boolean {
  return some !== undefined && some.length === others.length && others.every((scope) => some.includes(scope))
}

function ignore(): void {
  // Whoever asks is told.
}
