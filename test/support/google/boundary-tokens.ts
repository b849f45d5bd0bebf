import { createRequire } from 'node:module'
import { parse, unparse } from '@bufbuild/cel'
import { ExprSchema, type Expr } from '@bufbuild/cel-spec/cel/expr/syntax_pb.js'
import { fromBinary } from '@bufbuild/protobuf'
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import type * as Tink from 'tink-crypto'
import type { AccessBoundary, AccessBoundaryRule } from './boundary.ts'

// What Google does with a client-side access boundary, by Google's Tink, Buf's protobuf and Buf's CEL: nothing of it is
// shared with the broker.

/** The kinds of session keys; the last one is no AES-GCM, which a client has to refuse. */
export const sessionKeyKinds = [
  'AES128_TINK',
  'AES128_RAW',
  'AES256_TINK',
  'AES256_RAW',
  'AES_CTR_HMAC',
] as const

export type SessionKeyKind = (typeof sessionKeyKinds)[number]

export type SessionKey = {
  /** The cleartext keyset. */
  readonly octets: Uint8Array
  readonly open: (sealed: Uint8Array) => Promise<Uint8Array>
}

type Template = { setOutputPrefixType(type: number): void }

let loaded: typeof Tink | undefined

/** Tink is written for browsers, and wants the name of their global object. */
function tink(): typeof Tink {
  if (loaded !== undefined) return loaded
  if (!('self' in globalThis)) Object.assign(globalThis, { self: { crypto: globalThis.crypto } })
  const library: unknown = createRequire(import.meta.url)('tink-crypto')
  const tinkCrypto = library as typeof Tink
  tinkCrypto.aead.register()
  loaded = tinkCrypto
  return tinkCrypto
}

export async function createSessionKey(kind: SessionKeyKind): Promise<SessionKey> {
  const { aead, binaryInsecure, generateNewKeysetHandle } = tink()
  const templates: Readonly<Record<SessionKeyKind, () => Template>> = {
    AES128_TINK: aead.aes128GcmKeyTemplate,
    AES128_RAW: aead.aes128GcmKeyTemplate,
    AES256_TINK: aead.aes256GcmKeyTemplate,
    AES256_RAW: aead.aes256GcmNoPrefixKeyTemplate,
    AES_CTR_HMAC: aead.aes128CtrHmacSha256KeyTemplate,
  }
  const template = templates[kind]()
  const raw = 3
  if (kind === 'AES128_RAW') template.setOutputPrefixType(raw)
  return readSessionKey(binaryInsecure.serializeKeyset(await generateNewKeysetHandle(template)))
}

async function readSessionKey(octets: Uint8Array): Promise<SessionKey> {
  const { aead, binaryInsecure } = tink()
  const primitive = await binaryInsecure.deserializeKeyset(octets).getPrimitive(aead.Aead)
  return { octets, open: (sealed) => primitive.decrypt(sealed) }
}

/** The boundary in a suffix; throws for what does not open, or is not what Google's own library would have written. */
export async function openSuffix(suffix: string, key: SessionKey): Promise<AccessBoundary> {
  if (!/^[A-Za-z0-9_-]+$/.test(suffix)) throw new Error('the suffix is not Base64 for URLs without padding')
  const plaintext = await key.open(new Uint8Array(Buffer.from(suffix, 'base64url')))
  const rules = fieldsOf(plaintext, [1]).map(({ octets }) => readRule(octets))
  if (rules.length === 0 || rules.length > 9) throw new Error('a sealed boundary has 1 to 9 rules')
  return { accessBoundaryRules: rules }
}

function readRule(octets: Uint8Array): AccessBoundaryRule {
  const fields = fieldsOf(octets, [1, 2, 4])
  const textOf = (octets: Uint8Array) => new TextDecoder('utf-8', { fatal: true }).decode(octets)
  const [resource] = fields.filter(({ field }) => field === 1)
  const [condition] = fields.filter(({ field }) => field === 4)
  const availablePermissions = fields.filter(({ field }) => field === 2).map(({ octets }) => textOf(octets))
  if (resource === undefined || availablePermissions.length === 0) throw new Error('a rule lacks a member')
  return {
    availableResource: textOf(resource.octets),
    availablePermissions,
    ...(condition === undefined
      ? {}
      : { availabilityCondition: { expression: unparse(fromBinary(ExprSchema, condition.octets)) } }),
  }
}

function fieldsOf(octets: Uint8Array, known: readonly number[]) {
  const reader = new BinaryReader(octets)
  const fields: { readonly field: number; readonly octets: Uint8Array }[] = []
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    if (!known.includes(field) || type !== WireType.LengthDelimited)
      throw new Error(`an unknown field ${field}`)
    fields.push({ field, octets: reader.bytes() })
  }
  return fields
}

/** Whether Google documents for boundaries everything that the condition uses. */
export function isBoundaryCondition(expression: string): boolean {
  try {
    const { expr } = parse(expression)
    return expr !== undefined && isDocumented(expr)
  } catch {
    return false
  }
}

// The parser is compiled when it is first used, which must not count as Google's delay.
parse('true')

const operators = new Set(['_&&_', '_||_', '!_', '_==_', '_!=_'])
const methods = new Set(['startsWith', 'endsWith', 'getAttribute'])

function isDocumented({ exprKind: { case: kind, value } }: Expr): boolean {
  switch (kind) {
    case 'constExpr':
      return value.constantKind.case === 'stringValue' || value.constantKind.case === 'boolValue'
    case 'identExpr':
      return value.name === 'resource' || value.name === 'api'
    case 'selectExpr':
      return value.field === 'name' && value.operand !== undefined && isDocumented(value.operand)
    case 'callExpr': {
      const isKnown = value.target === undefined ? operators.has(value.function) : methods.has(value.function)
      const parts = [...(value.target === undefined ? [] : [value.target]), ...value.args]
      return isKnown && parts.every(isDocumented)
    }
    default:
      return false
  }
}
