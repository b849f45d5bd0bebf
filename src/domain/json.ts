import { fault, type Result } from './result.ts'
import type { Claims, Json } from './caller.ts'

// Claims of platforms nest three or four levels; more is somebody trying out the recursion below.
const levelsMax = 16

/**
 * Reads a JSON object that every reader understands alike: no member name twice at any level, however escaped, no
 * lone surrogates, at most 16 levels. Linear in the text. Source: RFC 7515 §4, RFC 7519 §4, RFC 7493 §2.
 */
export function parseStrictJsonObject(text: string): Result<Claims> {
  const written = scan(text)
  if (written.levels > levelsMax) return fault(`is nested deeper than ${levelsMax} levels`)
  const value = parseJson(text)
  if (!isJsonObject(value)) return fault('is not a JSON object')
  // JSON.parse keeps one member of each name: a name written twice leaves more colons in the text than members here.
  if (countMembers(value) !== written.members) return fault('has a duplicate member')
  // Text that was UTF-8 can hold half a character only as an escape.
  if (text.includes('\\u') && !isWellFormed(value)) return fault('holds a lone surrogate')
  return { ok: true, value }
}

const quote = 0x22
const colon = 0x3a
const backslash = 0x5c
const openBracket = 0x5b
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d

/** What the text says outside its strings; means something only for text that JSON.parse accepts. */
function scan(text: string): { readonly members: number; readonly levels: number } {
  let members = 0
  let level = 0
  let levels = 0
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === quote) at = endOfString(text, at)
    else if (code === colon) members += 1
    else if (code === openBrace || code === openBracket) levels = Math.max(levels, (level += 1))
    else if (code === closeBrace || code === closeBracket) level -= 1
  }
  return { members, levels }
}

function endOfString(text: string, start: number): number {
  let end = start
  for (;;) {
    end = text.indexOf('"', end + 1)
    if (end === -1) return text.length
    let before = end - 1
    while (text.charCodeAt(before) === backslash) before -= 1
    const isEscaped = (end - before) % 2 === 0
    if (!isEscaped) return end
  }
}

/** What the text means; `undefined` where it is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The members of all objects within. */
function countMembers(value: object): number {
  const members: readonly unknown[] = Object.values(value)
  let count = Array.isArray(value) ? 0 : members.length
  for (const member of members) {
    if (typeof member === 'object' && member !== null) count += countMembers(member)
  }
  return count
}

function isWellFormed(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([name, member]) => name.isWellFormed() && isWellFormed(member))
}

function isJsonObject(value: unknown): value is Claims {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The members of a JSON object, of which nothing is known yet. */
export type Members = Readonly<Record<string, unknown>>

/** The members of a JSON object; `undefined` for any other text. */
export function parseJsonObject(text: string): Members | undefined {
  const value = parseJson(text)
  return isMembers(value) ? value : undefined
}

/** The payload of a compact JWT, unverified: to show whose it says it is, or what is wrong with it. */
export function claimsOf(jwt: string): Members | undefined {
  const payload = /^[\w-]+\.([\w-]+)\.[\w-]+$/.exec(jwt)?.[1]
  if (payload === undefined) return undefined
  try {
    const bytes = Uint8Array.from(atob(payload.replaceAll('-', '+').replaceAll('_', '/')), (one) =>
      one.charCodeAt(0),
    )
    return parseJsonObject(new TextDecoder().decode(bytes))
  } catch {
    return undefined
  }
}

/** Whether it is an object, as JSON understands the word: neither null nor a list. */
export function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** An own member of an object, or an element of a list by its index (RFC 6901 §4); never an inherited one. */
export function memberOf(value: Json, step: string): Json | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  if (isList(value)) return /^(?:0|[1-9]\d*)$/.test(step) ? value[Number(step)] : undefined
  return Object.hasOwn(value, step) ? value[step] : undefined
}

/** What `Array.isArray` says, which does not narrow a readonly list. */
export function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}
