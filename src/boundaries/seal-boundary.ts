import type { AccessBoundary, AccessBoundaryRule } from '../domain/access-boundary.ts'
import { listPrefixAttribute, parseCondition, type Condition } from '../domain/boundary-condition.ts'
import type { Encrypt } from '../ports/entropy.ts'
import { bytesField, join, numberField, type Octets } from './protobuf.ts'
import type { SessionKey } from './session-key.ts'

export interface Sealing extends Pick<SessionKey, 'prefix'> {
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
