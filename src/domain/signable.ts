import { omitUndefined } from './omit-undefined.ts'
import { isMembers, parseStrictJsonObject } from './json.ts'
import { epochSeconds, later, parseRfc3339, seconds, type EpochSeconds, type Seconds } from './time.ts'
import { decodeBase64 } from './pem.ts'

/** What is signed in an account's name, read and understood: nothing else ever is (T1, T2). */
export type ToSign =
  /** ASCII that is signed as it stands; `expiresAt` is the latest that it can be good until. */
  | { readonly form: 'text'; readonly text: string; readonly expiresAt: EpochSeconds }
  /** A JWT that is built here. `claimed`: who the caller said it is by; it has to be the account. */
  | {
      readonly form: 'jwt'
      readonly claimed: readonly string[]
      readonly jti?: string
      readonly expiresAt?: EpochSeconds
    }
  /** A request to Cloud Storage that is built here. */
  | ({ readonly form: 'url' } & UrlWanted)

export interface UrlWanted {
  readonly method: (typeof urlMethods)[number]
  readonly bucket: string
  readonly object: string
  readonly lifetime: Seconds
}

export const urlMethods = ['GET', 'HEAD', 'PUT', 'DELETE'] as const

/** What is to be signed, and what for: a bucket's resource name, or the `aud` of a JWT. */
export interface Signable {
  readonly resource: string
  readonly toSign: ToSign
}

/** Cloud Storage takes no signature for longer. */
export const signedLifeMax = seconds(7 * 86_400)

const buckets = '//storage.googleapis.com/projects/_/buckets/'
export const bucketPattern = /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/

export function bucketResource(bucket: string): string {
  return `${buckets}${bucket}`
}

/** The bucket that a resource names, `*` where any may be meant; `undefined` for the `aud` of a JWT. */
export function bucketIn(resource: string): string | undefined {
  return resource.startsWith(buckets) ? resource.slice(buckets.length) : undefined
}

/**
 * Reads what Cloud Storage has signed: a V2 string-to-sign, a POST policy, or a V4 string-to-sign, in which the bucket
 * cannot be seen. `undefined` for anything else. Source: docs/signing.md.
 */
export function readStringToSign(text: string): Signable | undefined {
  return readV4(text) ?? readPostPolicy(text) ?? readV2(text)
}

const v4 =
  /^GOOG4-RSA-SHA256\n(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\n(\d{8})\/[a-z0-9-]{1,40}\/storage\/goog4_request\n[0-9a-f]{64}$/

function readV4(text: string): Signable | undefined {
  const [, year, month, day, hour, minute, second, date] = v4.exec(text) ?? []
  if (date === undefined || date !== `${year}${month}${day}`) return undefined
  const at = parseRfc3339(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  if (at === undefined) return undefined
  return {
    resource: bucketResource('*'),
    toSign: { form: 'text', text, expiresAt: later(at, signedLifeMax) },
  }
}

const v2 =
  /^(?:GET|HEAD|PUT|POST|DELETE)\n(?:[A-Za-z0-9+/]{22}==)?\n[ -~]{0,255}\n(?<expires>[1-9]\d{0,11})\n(?<headers>(?:[ -~]+\n)*)\/(?<bucket>[^/\n]+)\/(?<object>[!-~]+)$/
/** Those that reach no other object and give nobody else a right: not x-goog-copy-source, not x-goog-acl. */
const v2Header =
  /^x-goog-(?:meta-[a-z0-9_-]+|resumable|content-length-range|content-sha256|hash|if-(?:meta)?generation-match|storage-class):/

function readV2(text: string): Signable | undefined {
  const { expires, headers = '', bucket = '', object = '' } = v2.exec(text)?.groups ?? {}
  if (!bucketPattern.test(bucket) || !isPlainObject(object) || /[?#]/.test(object)) return undefined
  if (!headers.split('\n').every((line) => line === '' || v2Header.test(line))) return undefined
  const expiresAt = epochSeconds(Number(expires))
  return { resource: bucketResource(bucket), toSign: { form: 'text', text, expiresAt } }
}

/** A segment of dots would be another path to whoever sends the request. */
export function isPlainObject(object: string): boolean {
  const isText = object.isWellFormed() && !/\p{Cc}/v.test(object)
  return isText && object.split('/').every((segment) => !/^(?:\.|%2e){1,2}$/i.test(segment))
}

/** What is signed of a POST policy is its Base64. */
function readPostPolicy(text: string): Signable | undefined {
  if (!/^[A-Za-z0-9+/]{4,}={0,2}$/.test(text)) return undefined
  const octets = decodeBase64(text)
  const judged = octets === undefined ? undefined : parseStrictJsonObject(new TextDecoder().decode(octets))
  if (judged?.ok !== true) return undefined
  const { expiration, conditions, ...more } = judged.value
  const expiresAt = typeof expiration === 'string' ? parseRfc3339(expiration) : undefined
  if (expiresAt === undefined || !Array.isArray(conditions) || Object.keys(more).length > 0) return undefined
  const named = conditions.flatMap(bucketsOf)
  const [bucket] = named
  if (named.length !== 1 || typeof bucket !== 'string' || !bucketPattern.test(bucket)) return undefined
  return { resource: bucketResource(bucket), toSign: { form: 'text', text, expiresAt } }
}

/** Every bucket that a condition names: `undefined` for one that it does not name exactly. */
function bucketsOf(condition: unknown): readonly unknown[] {
  if (Array.isArray(condition)) {
    const parts: readonly unknown[] = condition
    const [operator, field, value] = parts
    if (typeof field !== 'string' || field.toLowerCase() !== '$bucket') return []
    return [operator === 'eq' && field === '$bucket' ? value : undefined]
  }
  if (!isMembers(condition)) return []
  return Object.entries(condition)
    .filter(([name]) => name.toLowerCase() === 'bucket')
    .map(([name, value]) => (name === 'bucket' ? value : undefined))
}

const jwtMembers: ReadonlySet<string> = new Set(['iss', 'sub', 'aud', 'iat', 'nbf', 'exp', 'jti'])

/**
 * Reads the payload of a JWT of which nothing is taken over but `aud`, `exp` and `jti`. `undefined` where it says more,
 * or says it otherwise: a scope, a `target_audience`, several audiences, a member twice. `account`: as it was asked for.
 */
export function readJwtPayload(payload: string, account: string): Signable | undefined {
  const judged = parseStrictJsonObject(payload)
  if (!judged.ok || !Object.keys(judged.value).every((name) => jwtMembers.has(name))) return undefined
  const { iss = account, sub = account, aud, exp, iat, nbf, jti } = judged.value
  if (typeof iss !== 'string' || typeof sub !== 'string') return undefined
  if (typeof aud !== 'string' || aud === '' || aud.length > 2_048 || aud.startsWith(buckets)) return undefined
  if (![exp, iat, nbf].every((time) => time === undefined || Number.isSafeInteger(time))) return undefined
  if (jti !== undefined && (typeof jti !== 'string' || jti.length > 256)) return undefined
  return {
    resource: aud,
    toSign: {
      form: 'jwt',
      claimed: [iss, sub].filter((name) => name !== account),
      ...omitUndefined({ jti }),
      ...(typeof exp === 'number' && { expiresAt: epochSeconds(exp) }),
    },
  }
}
