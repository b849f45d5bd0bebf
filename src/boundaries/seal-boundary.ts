import { fault, type Result } from '../domain/result.ts'
import { join, readMessage, type Message, type Octets, bytesField, numberField } from './protobuf.ts'
import type { AccessBoundary, AccessBoundaryRule } from '../domain/access-boundary.ts'
import { listPrefixAttribute, parseCondition, type Condition } from '../domain/boundary-condition.ts'
import type { Encrypt } from '../ports/entropy.ts'

/** What seals boundaries for one intermediary token: the primary key of Google's cleartext Tink keyset. */
export interface SessionKey {
  /** What a ciphertext of this key begins with, so that whoever opens it finds the key. */
  readonly prefix: Octets
  /** 16 or 32 octets. */
  readonly key: Octets
}

const aesGcmType = 'type.googleapis.com/google.crypto.tink.AesGcmKey'
const encodedMax = 64 * 1024
const keysMax = 32
const enabled = 1
const symmetric = 1
const prefixTypes = { tink: 1, legacy: 2, raw: 3, crunchy: 4 } as const

/**
 * The key that seals, of a keyset as the Security Token Service gives it (`access_boundary_session_key`). A second
 * enabled key of another type refuses the set, as Tink itself does. Source: tink.proto, aes_gcm.proto.
 */
export function readSessionKey(text: string): Result<SessionKey> {
  const keyset = decode(text)
  if (typeof keyset === 'string') return fault(keyset)
  const keys = keyset.all(2).map((octets) => readMessage(octets))
  if (keys.length > keysMax) return fault('it has too many keys')
  const usable: Message[] = []
  for (const key of keys) {
    if (key === undefined) return fault('it holds a key that cannot be read')
    if (key.number(2) === enabled) usable.push(key)
  }
  const read = usable.map((key) => ({ id: key.number(3), result: readKey(key) }))
  for (const { result } of read) if (!result.ok) return result
  const [primary, ...others] = read.filter(({ id }) => id === keyset.number(1))
  if (primary === undefined) return fault('its primary key is missing or not enabled')
  return others.length > 0 ? fault('it has two primary keys') : primary.result
}

/** Standard alphabet, with or without padding; neither line breaks nor the alphabet for URLs. */
function decode(text: string): Message | string {
  if (text.length > encodedMax) return 'it is too long'
  const bare = text.replace(/={0,2}$/, '')
  const isPadded = bare.length === text.length || text.length % 4 === 0
  if (!/^[A-Za-z0-9+/]+$/.test(bare) || bare.length % 4 === 1 || !isPadded) return 'it is not Base64'
  const octets = Uint8Array.from(atob(bare), (character) => character.charCodeAt(0))
  return readMessage(octets) ?? 'it is no keyset'
}

function readKey(message: Message): Result<SessionKey> {
  const data = readMessage(message.bytes(1) ?? new Uint8Array())
  const type = new TextDecoder().decode(data?.bytes(1))
  if (data === undefined || type !== aesGcmType) return fault('it holds a key of another type than AES-GCM')
  const aes = readMessage(data.bytes(2) ?? new Uint8Array())
  const key = aes?.bytes(3)
  if (aes === undefined || key === undefined || data.number(3) !== symmetric)
    return fault('its AES-GCM key cannot be read')
  if (aes.number(1) !== 0) return fault('its AES-GCM key is of another version')
  if (key.length !== 16 && key.length !== 32)
    return fault('its AES-GCM key is neither of 128 nor of 256 bits')
  const prefix = prefixOf(message.number(4), message.number(3))
  return prefix === undefined
    ? fault('its AES-GCM key has an unknown prefix')
    : { ok: true, value: { prefix, key } }
}

function prefixOf(type: number, id: number): Octets | undefined {
  const bigEndian = new Uint8Array(4)
  new DataView(bigEndian.buffer).setUint32(0, id)
  switch (type) {
    case prefixTypes.tink:
      return join([Uint8Array.of(1), bigEndian])
    case prefixTypes.legacy:
    case prefixTypes.crunchy:
      return join([Uint8Array.of(0), bigEndian])
    case prefixTypes.raw:
      return new Uint8Array()
    default:
      return undefined
  }
}

interface Sealing extends Pick<SessionKey, 'prefix'> {
  readonly encrypt: Encrypt
  /** 12 octets, random, and never the same twice under one key. */
  readonly nonce: Octets
}

/** The part of a bounded token that says what it may do: sealed, in Base64 for URLs, without padding. */
export async function sealText(plaintext: Octets, { prefix, encrypt, nonce }: Sealing): Promise<string> {
  const octets = join([prefix, nonce, await encrypt(nonce, plaintext)])
  // Not spread: of octets that takes as long as all else here.
  const text = String(Reflect.apply(String.fromCharCode, undefined, octets))
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

/**
 * Google's ClientSideAccessBoundary. `undefined` for a condition outside the grammar, which policy and requests have
 * been checked for. Titles and descriptions are left out, as Google's own library does.
 */
export function encodeBoundary(boundary: AccessBoundary): Octets | undefined {
  const rules: Octets[] = []
  for (const rule of boundary) {
    const encoded = encodeRule(rule)
    if (encoded === undefined) return undefined
    rules.push(bytesField(1, encoded))
  }
  return join(rules)
}

function encodeRule(rule: AccessBoundaryRule): Octets | undefined {
  const { availableResource, availablePermissions, availabilityCondition: when } = rule
  const fields = [
    bytesField(1, availableResource),
    ...availablePermissions.map((permission) => bytesField(2, permission)),
  ]
  if (when === undefined) return join(fields)
  const parsed = parseCondition(when.expression)
  return parsed.ok ? join([...fields, bytesField(4, encodeCondition(parsed.condition))]) : undefined
}

/**
 * A condition as google.api.expr.v1alpha1.Expr, as Google's own parser makes it: ids in the order of reading from 1,
 * chains of `&&` and `||` balanced.
 */
export function encodeCondition(condition: Condition): Octets {
  let last = 0
  const nextId = (): number => {
    last += 1
    return last
  }
  const encode = (term: Condition): Octets => {
    switch (term.kind) {
      case 'any':
      case 'all':
        return chain(term.kind === 'any' ? '_||_' : '_&&_', term.terms)
      case 'not': {
        const id = nextId()
        return call(id, { name: '!_', args: [encode(term.term)] })
      }
      case 'equal':
      case 'unequal': {
        const left = encode(term.left)
        const id = nextId()
        return call(id, { name: term.kind === 'equal' ? '_==_' : '_!=_', args: [left, encode(term.right)] })
      }
      case 'startsWith':
      case 'endsWith': {
        const target = encode(term.text)
        const id = nextId()
        return call(id, { target, name: term.kind, args: [encode(term.argument)] })
      }
      case 'truth':
        return constant(nextId(), numberField(2, term.value ? 1 : 0))
      case 'literal':
        return constant(nextId(), bytesField(6, term.value))
      case 'object_name': {
        const operand = ident(nextId(), 'resource')
        return node(nextId(), 5, join([bytesField(1, operand), bytesField(2, 'name')]))
      }
      case 'list_prefix': {
        const target = ident(nextId(), 'api')
        const id = nextId()
        const args = [listPrefixAttribute, ''].map((text) => constant(nextId(), bytesField(6, text)))
        return call(id, { target, name: 'getAttribute', args })
      }
    }
  }
  /** Term, operator, term, operator, term have their ids in this order, wherever they come to stand. */
  const chain = (name: string, terms: readonly Condition[]): Octets => {
    const operators: number[] = []
    const encoded = terms.map((term, index) => {
      if (index > 0) operators.push(nextId())
      return encode(term)
    })
    return balanced(name, encoded, operators)
  }
  return encode(condition)
}

/** Left to right fifty terms would be deeper than Protobuf reads. */
function balanced(name: string, terms: readonly Octets[], operators: readonly number[]): Octets {
  const [only = new Uint8Array()] = terms
  if (operators.length === 0) return only
  const middle = Math.floor(operators.length / 2)
  const left = balanced(name, terms.slice(0, middle + 1), operators.slice(0, middle))
  const right = balanced(name, terms.slice(middle + 1), operators.slice(middle + 1))
  return call(operators[middle] ?? 0, { name, args: [left, right] })
}

interface Call {
  readonly target?: Octets
  readonly name: string
  readonly args: readonly Octets[]
}

function call(id: number, { target, name, args }: Call): Octets {
  const fields = [bytesField(2, name), ...args.map((arg) => bytesField(3, arg))]
  return node(id, 6, join(target === undefined ? fields : [bytesField(1, target), ...fields]))
}

function constant(id: number, value: Octets): Octets {
  return node(id, 3, value)
}

function ident(id: number, name: string): Octets {
  return node(id, 4, bytesField(1, name))
}

/** `field` is the kind of the expression: 3 constant, 4 identifier, 5 member, 6 call. */
function node(id: number, field: number, content: Octets): Octets {
  return join([numberField(2, id), bytesField(field, content)])
}
