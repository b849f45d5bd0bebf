import { BrokerError } from '../domain/broker-error.ts'
import type { Grant } from '../domain/grant.ts'
import type { Members } from '../domain/json.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import { Secret } from '../domain/secret.ts'
import { signedLifeMax, type ToSign, type UrlWanted } from '../domain/signable.ts'
import { formatTimestamp, later, seconds, until, type EpochSeconds } from '../domain/time.ts'
import type { MintedToken } from '../domain/token.ts'
import type { Clock } from '../ports/clock.ts'
import type { Sha256 } from '../ports/entropy.ts'
import { decodeJwt } from 'jose'
import { assertionAudience, assertionLife } from '../domain/google.ts'
import { formatScope } from '../domain/scopes.ts'
import type { ExchangeAssertion } from './exchange-assertion.ts'
import type { ImpersonationTarget } from '../google/iam-credentials.ts'
import type { CallIamCredentials } from './impersonator-token.ts'
import { isTokenText } from '../oauth/token-response.ts'
import { invalidResponse } from '../oauth/upstream-failure.ts'
import { decodeBase64 } from '../domain/pem.ts'

/** Whoever signs in a service account's name: its key, or Google. */
interface Signer {
  /** The account's e-mail address. */
  readonly account: string
  readonly drawnFrom: () => readonly string[]
  /** RSASSA-PKCS1-v1_5 with SHA-256 of ASCII, in Base64. */
  readonly signText: (text: string) => Promise<Signed>
  /** A compact JWT of exactly these claims. */
  readonly signJwt: (claims: Members) => Promise<Signed>
}

interface Signed {
  readonly keyId: string
  readonly signature: string
}

export interface SignDeps {
  readonly clock: Clock
  readonly sha256: Sha256
}

/** T2: of a JWT, whatever the rule says of other signatures. */
const jwtLifeMax = seconds(3600)
const skew = seconds(60)

/**
 * Signs what the grant allows, as long as it is good for no longer than the grant says. JWTs and URLs are built here, of
 * what was understood of the request. Throws `target_unavailable` for what has ended or lives too long, and for a JWT
 * that would be another's.
 */
export async function sign(deps: SignDeps, signer: Signer, grant: Grant): Promise<MintedToken> {
  const now = deps.clock.now()
  const { toSign, lifetime = signedLifeMax, audience = '', rule } = grant
  const refused = (why: string) =>
    new BrokerError('target_unavailable', { reason: `rule "${rule}": ${why}`, condition: 'signature' })
  if (toSign === undefined) throw refused('there is nothing to sign')
  const isJwt = toSign.form === 'jwt'
  const lifeMax = seconds(isJwt ? Math.min(jwtLifeMax, lifetime) : lifetime)
  const expiresAt =
    toSign.form === 'url' ? later(now, toSign.lifetime) : (toSign.expiresAt ?? later(now, lifeMax))
  if (expiresAt <= now) throw refused('what is to be signed has ended')
  // By its own clock a caller may be a little ahead.
  if (until(expiresAt, now) > lifeMax + (toSign.form === 'url' ? 0 : skew))
    throw refused(`what is to be signed is good for ${until(expiresAt, now)} s, and ${lifeMax} s are allowed`)
  if (isJwt && toSign.claimed.some((name) => name !== signer.account))
    throw refused('a JWT has the account itself as iss and sub')

  const { text, digested, keyId } = await signed(deps, signer, { toSign, audience, now, lifeMax, expiresAt })
  return {
    secret: new Secret(text),
    tokenType: 'signature',
    scopes: [],
    drawnFrom: signer.drawnFrom(),
    issuedAt: now,
    expiresAt: later(now, seconds(Math.min(until(expiresAt, now), lifeMax))),
    signed: { keyId, digest: await deps.sha256(digested) },
  }
}

interface Signing {
  readonly toSign: ToSign
  readonly audience: string
  readonly now: EpochSeconds
  readonly lifeMax: number
  readonly expiresAt: EpochSeconds
}

async function signed(
  { sha256 }: SignDeps,
  signer: Signer,
  { toSign, audience, now, lifeMax, expiresAt }: Signing,
): Promise<{ readonly text: string; readonly digested: string; readonly keyId: string }> {
  switch (toSign.form) {
    case 'text': {
      const { keyId, signature } = await signer.signText(toSign.text)
      return { keyId, text: signature, digested: toSign.text }
    }
    case 'jwt': {
      const { account } = signer
      const exp = Math.min(expiresAt, now + lifeMax)
      const claims = {
        iss: account,
        sub: account,
        aud: audience,
        iat: now,
        exp,
        ...omitUndefined({ jti: toSign.jti }),
      }
      const { keyId, signature } = await signer.signJwt(claims)
      return { keyId, text: signature, digested: signature.slice(0, signature.lastIndexOf('.')) }
    }
    case 'url': {
      const url = urlToSign(toSign, signer.account, now)
      const digested = url.stringToSign(await sha256(url.canonicalRequest))
      const { keyId, signature } = await signer.signText(digested)
      return { keyId, text: `${url.url}&X-Goog-Signature=${hexOf(signature)}`, digested }
    }
  }
}

const host = 'storage.googleapis.com'

/** A V4 signed URL (https://cloud.google.com/storage/docs/authentication/canonical-requests): no header but `host`. */
function urlToSign({ method, bucket, object, lifetime }: UrlWanted, account: string, now: EpochSeconds) {
  const at = formatTimestamp(now).replaceAll(/[-:]/g, '')
  const scope = `${at.slice(0, 8)}/auto/storage/goog4_request`
  const path = `/${bucket}/${object.split('/').map(percentEncode).join('/')}`
  // In the order of their names, as the canonical request wants them.
  const query = Object.entries({
    'X-Goog-Algorithm': 'GOOG4-RSA-SHA256',
    'X-Goog-Credential': `${account}/${scope}`,
    'X-Goog-Date': at,
    'X-Goog-Expires': String(lifetime),
    'X-Goog-SignedHeaders': 'host',
  })
    .map(([name, value]) => `${name}=${percentEncode(value)}`)
    .join('&')
  return {
    url: `https://${host}${path}?${query}`,
    canonicalRequest: [method, path, query, `host:${host}`, '', 'host', 'UNSIGNED-PAYLOAD'].join('\n'),
    stringToSign: (digest: string) => ['GOOG4-RSA-SHA256', at, scope, digest].join('\n'),
  }
}

/** RFC 3986 §2.3: everything but unreserved characters. */
function percentEncode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function hexOf(base64: string): string {
  return Array.from(decodeBase64(base64) ?? [], (octet) => octet.toString(16).padStart(2, '0')).join('')
}

interface MintForUserDeps {
  readonly clock: Clock
  readonly askIamCredentials: CallIamCredentials
  readonly exchangeAssertion: ExchangeAssertion
}

interface UserTask {
  /** With a subject. */
  readonly grant: Grant
  /** Who has domain-wide delegation. */
  readonly account: ImpersonationTarget
  readonly deadlineMs: number
}

export type MintForUser = (task: UserTask) => Promise<MintedToken>

/**
 * A user's token by domain-wide delegation where no key is stored: Google itself signs the account's assertion
 * (signJwt), and the token endpoint takes it like one of a key.
 */
export function createMintForUser({
  clock,
  askIamCredentials,
  exchangeAssertion,
}: MintForUserDeps): MintForUser {
  return async (task) => {
    const { grant, account, deadlineMs } = task
    const claims = claimsOf(task, clock.now())
    const { members, actedBy } = await askIamCredentials({
      grant,
      account,
      deadlineMs,
      operation: 'signJwt',
      body: { payload: JSON.stringify(claims) },
    })
    const assertion = readSigned(members['signedJwt'], claims)
    return await exchangeAssertion({
      grant,
      assertion,
      drawnFrom: [grant.credential.version, ...actedBy],
      deadlineMs,
    })
  }
}

export type SignAs = (task: UserTask) => Promise<MintedToken>

/** Signatures of an account of which no key is stored: Google makes them (signBlob, signJwt). */
export function createSignAs(deps: SignDeps & Pick<MintForUserDeps, 'askIamCredentials'>): SignAs {
  return async (task) => {
    const { grant, account } = task
    const actedBy: string[] = []
    const ask = async (operation: 'signBlob' | 'signJwt', payload: string) => {
      const answer = await deps.askIamCredentials({ ...task, operation, body: { payload } })
      actedBy.push(...answer.actedBy)
      const { keyId } = answer.members
      if (typeof keyId !== 'string') throw invalidResponse(`the reply to ${operation} has no usable keyId`)
      return { keyId, members: answer.members }
    }
    return sign(
      deps,
      {
        account: account.serviceAccount,
        drawnFrom: () => [grant.credential.version, ...actedBy],
        signText: async (text) => {
          const { keyId, members } = await ask('signBlob', btoa(text))
          const { signedBlob } = members
          if (typeof signedBlob !== 'string' || decodeBase64(signedBlob) === undefined)
            throw invalidResponse('the reply to signBlob has no usable signedBlob')
          return { keyId, signature: signedBlob }
        },
        signJwt: async (claims) => {
          const { keyId, members } = await ask('signJwt', JSON.stringify(claims))
          return { keyId, signature: readSigned(members['signedJwt'], claims).reveal() }
        },
      },
      grant,
    )
  }
}

interface Claims {
  readonly iss: string
  readonly sub: string | undefined
  readonly scope: string
  readonly aud: string
  readonly iat: EpochSeconds
  readonly exp: EpochSeconds
}

function claimsOf({ grant, account }: UserTask, now: EpochSeconds): Claims {
  return {
    iss: account.serviceAccount,
    sub: grant.subject,
    scope: formatScope(grant.scopes),
    aud: assertionAudience,
    iat: now,
    // signJwt would sign twelve hours.
    exp: later(now, assertionLife),
  }
}

/** What was signed is what was asked: the token would carry whatever else is in it. */
function readSigned(signedJwt: unknown, claims: object): Secret {
  if (!isTokenText(signedJwt)) throw invalidResponse('the reply to signJwt has no usable signedJwt')
  if (!isSame(signedJwt, claims))
    throw invalidResponse('the reply to signJwt has another assertion than was asked for')
  return new Secret(signedJwt)
}

function isSame(jwt: string, claims: object): boolean {
  try {
    const signed = decodeJwt(jwt)
    const wanted: readonly [string, unknown][] = Object.entries(claims)
    return (
      Object.keys(signed).length === wanted.length && wanted.every(([name, value]) => signed[name] === value)
    )
  } catch {
    return false
  }
}
