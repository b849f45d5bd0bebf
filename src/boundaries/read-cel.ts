import type { Fault } from '../domain/result.ts'
/** A string literal of a CEL expression: the offsets of its quotes. */
export interface CelLiteral {
  readonly start: number
  readonly end: number
}

export type CelReading = { readonly ok: true; readonly literals: readonly CelLiteral[] } | Fault

const closing: ReadonlyMap<string, string> = new Map([
  ['(', ')'],
  ['[', ']'],
  ['{', '}'],
])
const closers: ReadonlySet<string> = new Set(closing.values())

/**
 * Reads a CEL expression as far as it takes to know where its string literals lie and that every bracket finds its
 * partner: then whatever stands in a literal stays in it, and `(expression) && (other)` is what it looks like. A small
 * part of the language; everything whose reading could be another's mistake is a fault: comments, raw, byte and
 * triple-quoted strings, a line break within a literal, signs outside of ASCII where no literal is.
 * Source: https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax
 */
export function readCel(expression: string): CelReading {
  const literals: CelLiteral[] = []
  const open: string[] = []
  for (let at = 0; at < expression.length; at += 1) {
    const sign = expression[at] ?? ''
    if (sign === '"' || sign === "'") {
      const end = endOfLiteral(expression, at)
      if (typeof end === 'string') return { ok: false, fault: end }
      literals.push({ start: at, end })
      at = end
      continue
    }
    if (!/[\t\n\r\x20-\x7E]/.test(sign))
      return { ok: false, fault: 'holds a sign that only a literal may hold' }
    if (sign === '\\') return { ok: false, fault: 'has a backslash outside of a literal' }
    if (expression.startsWith('//', at)) return { ok: false, fault: 'has a comment' }
    const partner = closing.get(sign)
    if (partner !== undefined) open.push(partner)
    else if (closers.has(sign) && open.pop() !== sign) return { ok: false, fault: `has a ${sign} too many` }
  }
  const missing = open.pop()
  return missing === undefined ? { ok: true, literals } : { ok: false, fault: `lacks a ${missing}` }
}

/** The offset of the closing quote, or what is wrong. */
function endOfLiteral(expression: string, start: number): number | string {
  const quote = expression[start] ?? ''
  if (/\w/.test(expression[start - 1] ?? '')) return 'has a raw or byte string'
  if (expression.startsWith(quote.repeat(3), start)) return 'has a triple-quoted string'
  for (let at = start + 1; at < expression.length; at += 1) {
    const sign = expression[at] ?? ''
    if (sign === quote) return at
    if (/\p{Cc}/v.test(sign)) return 'has a control character in a literal'
    if (sign === '\\') at += 1
  }
  return 'has a literal that does not end'
}

/** A text as part of a CEL string literal, whichever quotes are around it: it means itself and ends nothing. */
export function escapeForCel(text: string): string {
  return text.replaceAll(/[^\x20-\x7E]|["'\\`]/gv, (sign) => {
    const hex = (sign.codePointAt(0) ?? 0).toString(16)
    return hex.length > 4 ? `\\U${hex.padStart(8, '0')}` : `\\u${hex.padStart(4, '0')}`
  })
}
