import { claimsOf, isMembers, parseJsonObject, type Members } from '../domain/json.ts'
import { isLoopback } from '../domain/url.ts'
import { asTokenError, TokenError } from './token-error.ts'
import { importJWK, SignJWT, type CryptoKey, type JWK, type JWTHeaderParameters } from 'jose'
import { omitUndefined } from '../domain/omit-undefined.ts'

interface BrokerAddress {
  /** https, or http on this very machine. */
  readonly url: string
  /** What the broker calls itself, where that is another URL. It is the audience of the caller's JWT. */
  readonly issuer?: string | undefined
}

/** A token as the broker issued it. `expiresIn` is in seconds, and more than 0. */
export interface IssuedToken {
  readonly text: string
  readonly type: 'access_token' | 'id_token'
  readonly expiresIn: number
  readonly scopes: readonly string[]
}

export interface BrokerConnection {
  /** Throws a TokenError. */
  readonly exchange: (form: Readonly<Record<string, string>>) => Promise<IssuedToken>
  /** Whether the broker says that the token is over. `undefined`: it did not say. */
  readonly isActive: (token: string) => Promise<boolean | undefined>
  /** Whether the last exchange sent the same JWT as the last one that was accepted. */
  readonly repeatedItsProof: () => boolean
}

const timeoutMs = 10_000
const answerCharactersMax = 65_536
export const typePrefix = 'urn:ietf:params:oauth:token-type:'

/**
 * Asks one broker, as one caller. A JWT is made out to the broker that was configured and to nothing that anybody
 * claims: where the metadata at that URL names another issuer, nothing is sent (THREATS T28). Redirects are not
 * followed.
 */
export function connectToBroker(
  { url, issuer }: BrokerAddress,
  proof: ProofOfCaller,
  runtime: Runtime,
): BrokerConnection {
  const base = brokerBase(url)
  const audience = issuer ?? base
  let isIssuerKnown = issuer !== undefined
  let lastSent: string | undefined
  let lastAccepted: string | undefined

  const exchange = async (form: Readonly<Record<string, string>>): Promise<IssuedToken> => {
    if (!isIssuerKnown) isIssuerKnown = await confirmIssuer(base, runtime)
    const jwt = await proveCaller(proof, audience, runtime)
    lastSent = jwt
    const answer = await ask(`${base}/v1/token`, runtime, {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token_type: `${typePrefix}jwt`,
      subject_token: jwt,
      ...form,
    })
    const token = readToken(answer)
    lastAccepted = jwt
    return token
  }

  return {
    exchange,
    isActive: async (token) => {
      const { status, document } = await ask(`${base}/v1/introspect`, runtime, { token })
      const active = status === 200 ? document['active'] : undefined
      return typeof active === 'boolean' ? active : undefined
    },
    repeatedItsProof: () => lastSent !== undefined && lastSent === lastAccepted,
  }
}

/** Without a slash at its end. JWTs and tokens travel there: https, or this very machine. */
export function brokerBase(url: string): string {
  const parsed = URL.parse(url)
  if (parsed === null || !['http:', 'https:'].includes(parsed.protocol))
    throw new TokenError('configuration', `${url} is not the URL of a broker`)
  if (parsed.protocol === 'http:' && !isLoopback(parsed.hostname))
    throw new TokenError('configuration', `${url} would send a JWT without TLS: https is needed`)
  if (parsed.search !== '' || parsed.hash !== '' || parsed.username !== '' || parsed.password !== '')
    throw new TokenError('configuration', 'the URL of a broker has no query, fragment or user')
  return url.replace(/\/+$/, '')
}

/** RFC 8414. Throws where the broker calls itself by another name. Whether the issuer is known to be `base`; a broker that cannot say is asked again the next time. */
export async function confirmIssuer(base: string, runtime: Runtime): Promise<boolean> {
  const { status, document } = await ask(`${base}/.well-known/oauth-authorization-server`, runtime)
  const issuer = document['issuer']
  if (status !== 200 || typeof issuer !== 'string') return false
  if (issuer.replace(/\/+$/, '') === base) return true
  throw new TokenError(
    'configuration',
    `the broker at ${base} calls itself ${printable(issuer)}, and no JWT is made out to a name that was not given: ` +
      'if it is right, give it as the issuer',
  )
}

async function proveCaller(proof: ProofOfCaller, audience: string, runtime: Runtime): Promise<string> {
  let jwt: string
  try {
    jwt = (await proof(audience)).trim()
  } catch (error) {
    throw asTokenError(error, 'proof')
  }
  const claims = claimsOf(jwt)
  if (claims === undefined) throw new TokenError('proof', 'the proof is no JWT: is it written only half?')
  const { exp } = claims
  if (typeof exp === 'number' && exp * 1000 <= runtime.now())
    throw new TokenError(
      'proof',
      `the JWT expired ${Math.ceil(runtime.now() / 1000 - exp)} s ago: whoever renews it did not`,
    )
  return jwt
}

interface Answer {
  readonly status: number
  readonly document: Members
  readonly headers: Headers
}

/** A form by POST, or a GET without one. Throws `unavailable` where nothing that is JSON comes back in time. */
async function ask(url: string, runtime: Runtime, form?: Readonly<Record<string, string>>): Promise<Answer> {
  try {
    const response = await runtime.fetch(url, {
      ...(form !== undefined && { method: 'POST', body: new URLSearchParams(form) }),
      headers: { accept: 'application/json' },
      // Workers know no 'error'; a redirect is an answer that is no token.
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    })
    const text = await response.text()
    const document = text.length > answerCharactersMax ? undefined : parseJsonObject(text)
    return { status: response.status, document: document ?? {}, headers: response.headers }
  } catch (error) {
    throw new TokenError('unavailable', `no answer from ${new URL(url).origin}: ${causeOf(error)}`)
  }
}

function readToken(answer: Answer): IssuedToken {
  const { status, document } = answer
  if (status !== 200) throw refusalOf(answer)
  const { access_token: text, issued_token_type: type, expires_in: expiresIn, scope } = document
  if (typeof text !== 'string' || text === '' || typeof expiresIn !== 'number' || !(expiresIn > 0))
    throw new TokenError('unavailable', 'the answer of the broker holds no token', { status })
  return {
    text,
    type: type === `${typePrefix}id_token` ? 'id_token' : 'access_token',
    expiresIn,
    scopes: typeof scope === 'string' ? scope.split(' ').filter((one) => one !== '') : [],
  }
}

/** RFC 6749 §5.2: 400, 401 and 403 with an `error` are a decision; all else passes by itself. */
function refusalOf({ status, document, headers }: Answer): TokenError {
  const { error, error_description: description } = document
  const isDecision = [400, 401, 403].includes(status) && typeof error === 'string'
  const words = [error, description].filter((text) => typeof text === 'string').map(printable)
  const message = words.length === 0 ? `the broker answers ${status}` : words.join(': ')
  const wait = Number(headers.get('retry-after') ?? '')
  return new TokenError(isDecision ? 'refused' : 'unavailable', message, {
    status,
    error: typeof error === 'string' ? printable(error) : undefined,
    requestId: headers.get('x-request-id') ?? undefined,
    retryAfterMs: wait > 0 ? wait * 1000 : undefined,
  })
}

function printable(text: string): string {
  return text.slice(0, 400).replaceAll(/[^\x20-\x7E]/gu, '?')
}

/** fetch itself only says that it failed; what of is in the cause. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'it failed'
  if (error.name === 'TimeoutError') return `nothing came within ${timeoutMs / 1000} s`
  const { cause } = error
  const code = isMembers(cause) ? cause['code'] : undefined
  if (typeof code === 'string') return code
  return cause instanceof Error ? printable(cause.message) : printable(error.message)
}

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
    const header = { alg: algorithm, ...omitUndefined({ kid: jwk?.kid }) }
    return signProof(await imported, header, { issuer, subject, audience })
  }
}

export interface ProofClaims {
  readonly issuer: string
  readonly subject: string
  readonly audience: string
}

/** A JWT of 60 seconds: enough for a request on a slow line, and within the 300 s that an issuer may have by default. */
export function signProof(
  key: Parameters<SignJWT['sign']>[0],
  header: JWTHeaderParameters,
  { issuer, subject, audience }: ProofClaims,
): Promise<string> {
  return new SignJWT()
    .setProtectedHeader(header)
    .setIssuer(issuer)
    .setSubject(subject)
    .setAudience(audience)
    .setIssuedAt()
    .setExpirationTime('60 seconds')
    .setJti(crypto.randomUUID())
    .sign(key)
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

/** `cancel` makes `over` stay pending, and lets a process end. */
interface Wait {
  readonly over: Promise<void>
  readonly cancel: () => void
}

/** What the client takes from the platform it runs on; a test brings its own. */
export interface Runtime {
  readonly fetch: typeof fetch
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Milliseconds of a clock that nobody sets. */
  readonly steady: () => number
  /** From 0 to 1. */
  readonly random: () => number
  readonly wait: (ms: number) => Wait
  /** Workers: a promise of one request must not be awaited by another, and nothing runs on after the answer. */
  readonly isolatesRequests: boolean
}

export const platformRuntime: Runtime = {
  fetch: (input, init) => fetch(input, init),
  now: () => Date.now(),
  steady: () => performance.now(),
  random: () => Math.random(),
  wait: (ms) => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const over = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)))
    return { over, cancel: () => clearTimeout(timer) }
  },
  isolatesRequests: globalThis.navigator?.userAgent === 'Cloudflare-Workers',
}
