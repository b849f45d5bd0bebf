import { parseCompactJws } from '../../../src/authentication/compact-jws.ts'
import { parseCondition } from '../../../src/domain/boundary-condition.ts'
import { parseStrictJsonObject } from '../../../src/domain/json.ts'
import { parsePublicJwk } from '../../../src/domain/jwk.ts'
import { parseForm } from '../../../src/http/parse-form.ts'
import { parseOptions } from '../../../src/http/parse-token-request.ts'
import type { Checker } from './checkers.ts'

/** The most that a parser takes of something: what is just within a limit costs most, what is beyond next to nothing. */
interface Limit extends Checker {
  /** How many of it are taken. */
  readonly most: number
  /** A text with so many of it, and as long as it may be besides. */
  readonly make: (count: number) => string
}

const bodyMax = 65_536
const contentType = 'application/x-www-form-urlencoded'

export const limits: readonly Limit[] = [
  {
    name: 'parameters of a form',
    from: 'stranger',
    charsMax: bodyMax,
    read: (text) => parseForm({ contentType, text }),
    most: 100,
    make: (count) => {
      const escapes = '%41'.repeat(Math.floor((bodyMax / count - 8) / 3))
      return list(count, (index) => `p${index}=${escapes}`, '&')
    },
  },
  {
    name: 'levels of strict JSON, the last one wide',
    from: 'stranger',
    charsMax: bodyMax,
    read: (text) => mustBeTaken(parseStrictJsonObject(text)),
    most: 16,
    make: (count) =>
      `${'{"a":'.repeat(count - 1)}{${list(5_000, (index) => `"k${index}":1`)}}${'}'.repeat(count - 1)}`,
  },
  {
    name: 'characters of a JWS whose payload has many claims',
    from: 'stranger',
    charsMax: bodyMax,
    read: (text) => mustBeTaken(parseCompactJws(text)),
    most: 16_384,
    make: jwsOf,
  },
  {
    name: 'rules of a boundary in a token request, with the longest conditions',
    from: 'stranger',
    charsMax: bodyMax,
    read: parseOptions,
    most: 10,
    make: (count) => {
      const availabilityCondition = { expression: chained('', 2_048) }
      const availablePermissions = Array.from(
        { length: 100 },
        (_, index) => `inRole:roles/storage.role${index}`,
      )
      const rule = {
        availableResource: '//storage.googleapis.com/b',
        availablePermissions,
        availabilityCondition,
      }
      return JSON.stringify({
        accessBoundary: { accessBoundaryRules: Array.from({ length: count }, () => rule) },
      })
    },
  },
  {
    name: 'nested brackets of a condition of 2,048 characters',
    from: 'administrator',
    charsMax: 2_048,
    read: (text) => mustBeTaken(parseCondition(text)),
    most: 64,
    make: (count) => chained(`${'('.repeat(count)}true${')'.repeat(count)}`, 2_048),
  },
  {
    name: 'bits of an RSA key',
    from: 'upstream',
    charsMax: bodyMax,
    read: (text) => mustBeTaken(parsePublicJwk(JSON.parse(text))),
    most: 8_192,
    make: (count) => {
      const modulus = Buffer.alloc(Math.ceil(count / 8), 0xff)
      if (count % 8 !== 0) modulus.writeUInt8(2 ** (count % 8) - 1)
      return JSON.stringify({ kty: 'RSA', kid: 'k', e: 'AQAB', n: modulus.toString('base64url') })
    },
  },
]

function mustBeTaken(reading: { readonly ok: boolean }): void {
  if (!reading.ok) throw new TypeError('refused')
}

function list(count: number, part: (index: number) => string, separator = ','): string {
  return Array.from({ length: count }, (_, index) => part(index)).join(separator)
}

/** A condition of at most so many characters that begins like that. */
function chained(start: string, charsMax: number): string {
  const [first, more] = ["'a'=='a'", "&&'a'=='a'"]
  const begun = start === '' ? first : start
  return begun + more.repeat(Math.floor((charsMax - begun.length) / more.length))
}

/** Of exactly that length: the last claim is as long as it takes. */
function jwsOf(chars: number): string {
  const part = (text: string): string => Buffer.from(text).toString('base64url')
  const header = part('{"alg":"ES256","kid":"k"}')
  const claims = list(700, (index) => `"k${index}":1`)
  // A group of three octets has four characters, and a signature of 85 to 88 takes up the rest.
  const groups = Math.floor((chars - header.length - 88) / 4)
  const octets = groups * 3
  const start = `{${claims},"x":"`
  const payload = part(`${start}${'a'.repeat(octets - start.length - 2)}"}`)
  return `${header}.${payload}.${'A'.repeat(chars - header.length - payload.length - 2)}`
}
