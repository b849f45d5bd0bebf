import * as z from 'zod/mini'
import { BrokerError } from '../domain/broker-error.ts'
import type { Members } from '../domain/json.ts'
import { epochSeconds, type EpochSeconds } from '../domain/time.ts'
import type { Account } from '../domain/credential.ts'
import type { Document, Stored } from '../ports/document-store.ts'
import type { Lease } from './lease.ts'

/** Reads a `T` from its JSON and writes it: one declaration serves both directions. */
export type Codec<T> = z.ZodMiniType<T, Document, CodecInternals<T>>

/** Which values of which members tell it from others: a discriminated union asks for that. */
type CodecInternals<T> = z.core.$ZodTypeInternals<T, Document> & {
  readonly propValues: z.core.util.PropValues
}

/** A schema for each member of `T`: a member that is forgotten, or demanded although it is optional, does not compile. */
type Shape<T> = {
  readonly [K in keyof T]-?: object extends Pick<T, K>
    ? z.ZodMiniExactOptional<z.ZodMiniType<Exclude<T[K], undefined>>>
    : z.ZodMiniType<T[K]>
}

type Names<T> = { readonly [K in keyof T]?: string }

/** An object whose members are camelCase here and snake_case in the store, but for those that `names` has. */
export function membersOf<T extends object>(shape: Shape<T>, names: Names<T> = {}): Codec<T> {
  return codecOf(shape, names, false)
}

/** A whole document: it carries `schema`, too. */
export function documentOf<T extends object>(shape: Shape<T>, names: Names<T> = {}): Codec<T> {
  return codecOf(shape, names, true)
}

function codecOf<T extends object>(shape: Shape<T>, names: Names<T>, isDocument: boolean): Codec<T> {
  const schemas = Object.entries<z.ZodMiniType>(shape)
  const storedNames = new Map(schemas.map(([name]) => [name, snakeCase(name)]))
  for (const [name, storedName] of Object.entries<string | undefined>(names))
    if (storedName !== undefined) storedNames.set(name, storedName)
  const stored = z.object({
    ...(isDocument && { schema: z.literal(1) }),
    ...Object.fromEntries(schemas.map(([name, schema]) => [storedNames.get(name) ?? name, schema])),
  })
  const ownNames = new Map(Array.from(storedNames, ([name, storedName]) => [storedName, name]))
  const codec = z.codec(stored, z.looseObject({}), {
    decode: (document) => rename(document, ownNames),
    encode: (members) => ({ ...(isDocument && { schema: 1 }), ...rename(members, storedNames) }),
  })
  // `Shape` makes it so; the compiler cannot follow names that are made here.
  return codec as unknown as Codec<T>
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** The members that `names` knows, but for those that are `undefined`. */
function rename(from: Members, names: ReadonlyMap<string, string>): Members {
  const renamed: Record<string, unknown> = {}
  for (const [name, other] of names) if (from[name] !== undefined) renamed[other] = from[name]
  return renamed
}

/** Throws `store_unavailable` naming what is wrong with the document, and no value of it. */
export function readDocument<T>(codec: Codec<T>, { key, value }: Pick<Stored, 'key' | 'value'>): T {
  const parsed = codec.safeParse(value)
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'document'}: ${issue.code}`)
  throw new BrokerError('store_unavailable', {
    reason: `document ${key} is malformed (${faults.join('; ')})`,
  })
}

export function writeDocument<T>(codec: Codec<T>, record: T): Document {
  return z.encode(codec, record)
}

// zod encodes an absent member too and drops what comes of it: `encode` has to bear `undefined`.
export const instant = z.codec(z.int(), z.custom<EpochSeconds>(), {
  decode: epochSeconds,
  encode: Number,
})

/** Text of at least one character. */
export const filledText = z.string().check(z.minLength(1))

export const texts = z.array(z.string())

export const lease = membersOf<Lease>({ holder: z.string(), fence: z.int(), expiresAt: instant })

export const account = membersOf<Account>({ issuer: z.string(), subject: z.string(), name: z.string() })
