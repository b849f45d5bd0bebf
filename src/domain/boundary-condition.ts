/**
 * The condition of an access boundary, as far as Google documents the language for boundaries: a small part of CEL. One
 * parser serves the check of a policy, the intersection of two boundaries and sealing, so that all three read alike.
 *
 *     or     := and ('||' and)*            and    := equal ('&&' equal)*
 *     equal  := unary (('==' | '!=') unary)?      unary := '!'* member
 *     member := primary ('.' ('startsWith' | 'endsWith') '(' or ')')*
 *     primary := string | 'true' | 'false' | '(' or ')' | 'resource.name' | 'api.getAttribute(ATTRIBUTE, "")'
 *
 * What the parser returns is a truth value, and every part of it has the type that its place asks for.
 */
export type Condition =
  | { readonly kind: 'any' | 'all'; readonly terms: readonly Condition[] }
  | { readonly kind: 'not'; readonly term: Condition }
  | { readonly kind: 'equal' | 'unequal'; readonly left: Condition; readonly right: Condition }
  | { readonly kind: 'startsWith' | 'endsWith'; readonly text: Condition; readonly argument: Condition }
  | { readonly kind: 'truth'; readonly value: boolean }
  | { readonly kind: 'literal'; readonly value: string }
  | { readonly kind: 'object_name' }
  /** The prefix of a request for a list; in every other request the empty text. */
  | { readonly kind: 'list_prefix' }

export interface ConditionFault {
  /** In UTF-16 code units from the beginning of the expression. */
  readonly offset: number
  readonly text: string
}

export type ParsedCondition =
  | { readonly ok: true; readonly condition: Condition }
  | { readonly ok: false; readonly fault: ConditionFault }

export const listPrefixAttribute = 'storage.googleapis.com/objectListPrefix'

const allowed =
  `a condition may have resource.name, api.getAttribute('${listPrefixAttribute}', ''), startsWith, endsWith, ==, !=, ` +
  '&&, || and !'

// Protobuf reads at most 100 levels of messages, and a call takes two.
const depthMax = 32
const bracketsMax = 64

/** Reads an expression whole, or says what is wrong with it and where. */
export function parseCondition(expression: string): ParsedCondition {
  const lexed = readTokens(expression)
  if (!lexed.ok) return lexed
  const parsed = parseTokens(lexed.tokens)
  if (parsed.ok && depthOf(parsed.condition) > depthMax)
    return { ok: false, fault: { offset: 0, text: 'the condition is nested too deeply' } }
  return parsed
}

/**
 * The expression in its one form: no comments, no superfluous brackets, and literals that mean themselves and end where
 * they seem to. Parsed again it gives the same tree.
 */
export function formatCondition(condition: Condition): string {
  const inner = (term: Condition, ...kinds: readonly Condition['kind'][]): string =>
    kinds.includes(term.kind) ? `(${formatCondition(term)})` : formatCondition(term)
  switch (condition.kind) {
    case 'any':
      return condition.terms.map((term) => inner(term, 'any')).join(' || ')
    case 'all':
      return condition.terms.map((term) => inner(term, 'any', 'all')).join(' && ')
    case 'not':
      return `!${inner(condition.term, 'any', 'all', 'equal', 'unequal', 'not')}`
    case 'equal':
    case 'unequal': {
      const sides = [condition.left, condition.right].map((side) =>
        inner(side, 'any', 'all', 'equal', 'unequal'),
      )
      return sides.join(condition.kind === 'equal' ? ' == ' : ' != ')
    }
    case 'startsWith':
    case 'endsWith':
      return `${formatCondition(condition.text)}.${condition.kind}(${formatCondition(condition.argument)})`
    case 'truth':
      return String(condition.value)
    case 'literal':
      return `'${escapeLiteral(condition.value)}'`
    case 'object_name':
      return 'resource.name'
    case 'list_prefix':
      return `api.getAttribute('${listPrefixAttribute}', '')`
  }
}

/** The parts of a condition, in the order in which they are read. */
export function partsOf(condition: Condition): readonly Condition[] {
  switch (condition.kind) {
    case 'any':
    case 'all':
      return condition.terms
    case 'not':
      return [condition.term]
    case 'equal':
    case 'unequal':
      return [condition.left, condition.right]
    case 'startsWith':
    case 'endsWith':
      return [condition.text, condition.argument]
    case 'truth':
    case 'literal':
    case 'object_name':
    case 'list_prefix':
      return []
  }
}

/** The same condition with other literals, each made of the one it replaces. */
export function mapLiterals(condition: Condition, map: (literal: string) => string): Condition {
  const inner = (term: Condition): Condition => mapLiterals(term, map)
  switch (condition.kind) {
    case 'any':
    case 'all':
      return { ...condition, terms: condition.terms.map(inner) }
    case 'not':
      return { ...condition, term: inner(condition.term) }
    case 'equal':
    case 'unequal':
      return { ...condition, left: inner(condition.left), right: inner(condition.right) }
    case 'startsWith':
    case 'endsWith':
      return { ...condition, text: inner(condition.text), argument: inner(condition.argument) }
    case 'literal':
      return { kind: 'literal', value: map(condition.value) }
    case 'truth':
    case 'object_name':
    case 'list_prefix':
      return condition
  }
}

/** Levels of calls once chains are balanced, as they are when a condition is encoded. */
function depthOf(condition: Condition): number {
  const deepest = Math.max(0, ...partsOf(condition).map(depthOf))
  const isChain = condition.kind === 'any' || condition.kind === 'all'
  return deepest + (isChain ? Math.ceil(Math.log2(condition.terms.length)) : 1)
}

interface Token {
  readonly kind: 'string' | 'name' | 'sign' | 'end'
  /** Of a string what it means, of everything else what is written. */
  readonly text: string
  readonly offset: number
}

type Lexed =
  | { readonly ok: true; readonly tokens: readonly Token[] }
  | { readonly ok: false; readonly fault: ConditionFault }

const skipped = /(?:[\t\n\f\r ]|\/\/[^\n]*)+/y
const name = /[A-Za-z_][A-Za-z0-9_]*/y
const sign = /\|\||&&|==|!=|[!().,]/y

function readTokens(expression: string): Lexed {
  const tokens: Token[] = []
  let offset = 0
  const matched = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = offset
    return pattern.exec(expression)?.[0]
  }
  while (offset < expression.length) {
    const space = matched(skipped)
    if (space !== undefined) {
      offset += space.length
      continue
    }
    const first = expression[offset] ?? ''
    if (first === "'" || first === '"') {
      const literal = readLiteral(expression, offset)
      if (!literal.ok) return literal
      tokens.push({ kind: 'string', text: literal.value, offset })
      offset = literal.end
      continue
    }
    const word = matched(name)
    const text = word ?? matched(sign)
    if (text === undefined) return { ok: false, fault: { offset, text: strangeSign(expression, offset) } }
    tokens.push({ kind: word === undefined ? 'sign' : 'name', text, offset })
    offset += text.length
  }
  return { ok: true, tokens: [...tokens, { kind: 'end', text: '', offset }] }
}

function strangeSign(expression: string, offset: number): string {
  if (expression.startsWith('${', offset)) return 'a variable must be inside a string literal'
  const [character = ''] = expression.slice(offset)
  return `${describeText(character)} is not allowed: ${allowed}`
}

type ReadLiteral =
  | { readonly ok: true; readonly value: string; readonly end: number }
  | { readonly ok: false; readonly fault: ConditionFault }

const escapes: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
  '`': '`',
  '?': '?',
}
const coded =
  /\\(?:[xX](?<octet>[0-9a-fA-F]{2})|u(?<short>[0-9a-fA-F]{4})|U(?<long>[0-9a-fA-F]{8})|(?<octal>[0-3][0-7]{2}))/y

/** Source: https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax */
function readLiteral(expression: string, start: number): ReadLiteral {
  const fault = (offset: number, text: string): ReadLiteral => ({ ok: false, fault: { offset, text } })
  const quote = expression[start] ?? ''
  if (expression.startsWith(quote.repeat(3), start))
    return fault(start, 'a triple-quoted string is not allowed')
  let value = ''
  for (let at = start + 1; at < expression.length;) {
    const character = String.fromCodePoint(expression.codePointAt(at) ?? 0)
    if (character === quote) return { ok: true, value, end: at + 1 }
    if (character !== '\\') {
      if (/[\p{Cc}\p{Cs}]/u.test(character))
        return fault(at, `${describeText(character)} is not allowed in a string: write it as \\uXXXX`)
      value += character
      at += character.length
      continue
    }
    const simple = escapes[expression[at + 1] ?? '']
    coded.lastIndex = at
    const code = simple === undefined ? coded.exec(expression) : null
    const meaning = simple ?? (code === null ? undefined : characterOf(code))
    if (meaning === undefined) return fault(at, 'a backslash begins nothing that is known in a string')
    value += meaning
    at += code?.[0].length ?? 2
  }
  return fault(start, 'the string does not end')
}

function characterOf({ groups = {} }: RegExpExecArray): string | undefined {
  const { octet, short, long, octal } = groups
  const code =
    octal === undefined ? Number.parseInt(octet ?? short ?? long ?? '', 16) : Number.parseInt(octal, 8)
  const isCharacter = code <= 0x10_ff_ff && (code < 0xd8_00 || code > 0xdf_ff)
  return isCharacter ? String.fromCodePoint(code) : undefined
}

function parseTokens(tokens: readonly Token[]): ParsedCondition {
  let next = 0
  let brackets = 0
  let fault: ConditionFault | undefined
  const end: Token = { kind: 'end', text: '', offset: 0 }
  const peek = (): Token => tokens[next] ?? end
  const take = (): Token => tokens[next++] ?? end
  /** The first fault is the one that is told. */
  const fail = (offset: number, text: string): null => {
    fault ??= { offset, text }
    return null
  }
  const unexpected = (token: Token, wanted: string): null =>
    fail(token.offset, `${describeToken(token)} is not expected here, but ${wanted}: ${allowed}`)
  const skip = (text: string): boolean => {
    const isThere = peek().kind === 'sign' && peek().text === text
    if (isThere) next += 1
    return isThere
  }
  const demand = (text: string): true | null => skip(text) || unexpected(peek(), `"${text}"`)
  const demandName = (...names: readonly string[]): string | null => {
    const token = take()
    if (token.kind === 'name' && names.includes(token.text)) return token.text
    return unexpected(token, names.join(' or '))
  }

  const typed = (isWantedText: boolean, read: () => Condition | null): Condition | null => {
    const { offset } = peek()
    const term = read()
    if (term === null || isText(term) === isWantedText) return term
    return fail(
      offset,
      isWantedText
        ? 'this is true or false, and a text is needed'
        : 'this is a text, and true or false is needed',
    )
  }

  const chain = (kind: 'any' | 'all', operator: string, read: () => Condition | null): Condition | null => {
    const { offset } = peek()
    const first = read()
    if (first === null) return null
    const terms = [first]
    while (skip(operator)) {
      if (terms.length === 1 && isText(first))
        return fail(offset, 'this is a text, and true or false is needed')
      const term = typed(false, read)
      if (term === null) return null
      terms.push(term)
    }
    return terms.length === 1 ? first : { kind, terms }
  }
  const or = (): Condition | null => chain('any', '||', and)
  const and = (): Condition | null => chain('all', '&&', equal)

  const equal = (): Condition | null => {
    const left = unary()
    if (left === null) return null
    const isEqual = skip('==')
    if (!isEqual && !skip('!=')) return left
    const right = typed(isText(left), unary)
    return right && { kind: isEqual ? 'equal' : 'unequal', left, right }
  }

  const unary = (): Condition | null => {
    let isNegated = false
    const { offset } = peek()
    for (; skip('!');) isNegated = !isNegated
    if (peek().offset === offset) return member()
    const term = typed(false, member)
    return term && isNegated ? { kind: 'not', term } : term
  }

  const member = (): Condition | null => {
    const { offset } = peek()
    let term = primary()
    while (term !== null && skip('.')) {
      if (!isText(term)) return fail(offset, 'this is true or false, and a text is needed')
      const kind = demandName('startsWith', 'endsWith')
      if (kind !== 'startsWith' && kind !== 'endsWith') return null
      const argument = demand('(') && typed(true, or)
      if (argument === null || demand(')') === null) return null
      term = { kind, text: term, argument }
    }
    return term
  }

  const primary = (): Condition | null => {
    const token = take()
    if (token.kind === 'string') return { kind: 'literal', value: token.text }
    if (token.kind === 'sign' && token.text === '(') return inBrackets(token)
    if (token.kind !== 'name') return unexpected(token, 'a condition')
    switch (token.text) {
      case 'true':
      case 'false':
        return { kind: 'truth', value: token.text === 'true' }
      case 'resource':
        return demand('.') && demandName('name') ? { kind: 'object_name' } : null
      case 'api':
        return demand('.') && demandName('getAttribute') ? attribute() : null
      default:
        return fail(token.offset, `${describeToken(token)} is not known: ${allowed}`)
    }
  }

  const inBrackets = ({ offset }: Token): Condition | null => {
    brackets += 1
    if (brackets > bracketsMax) return fail(offset, 'the condition has too many brackets')
    const term = or()
    brackets -= 1
    return term && demand(')') && term
  }

  /** Another default than '' would be the prefix of every request that asks for no list. */
  const attribute = (): Condition | null => {
    const [key, fallback] = [demand('(') && take(), demand(',') && take()]
    if (key === null || fallback === null || demand(')') === null) return null
    if (key.kind !== 'string' || key.text !== listPrefixAttribute)
      return unexpected(key, `'${listPrefixAttribute}'`)
    if (fallback.kind !== 'string' || fallback.text !== '') return unexpected(fallback, "''")
    return { kind: 'list_prefix' }
  }

  const condition = typed(false, or)
  if (condition !== null && peek().kind !== 'end') unexpected(peek(), 'the end')
  if (condition !== null && fault === undefined) return { ok: true, condition }
  return { ok: false, fault: fault ?? { offset: 0, text: 'it is no condition' } }
}

function isText({ kind }: Condition): boolean {
  return kind === 'literal' || kind === 'object_name' || kind === 'list_prefix'
}

function describeToken({ kind, text }: Token): string {
  if (kind === 'end') return 'the end'
  return kind === 'string' ? 'a string' : describeText(text)
}

function describeText(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 39)}…` : text)
}

/** Printable ASCII without quotes and backslash stays as it is. */
function escapeLiteral(text: string): string {
  return text.replaceAll(/[^\x20-\x7E]|["'\\`]/gv, (character) => {
    const hex = (character.codePointAt(0) ?? 0).toString(16)
    return hex.length > 4 ? `\\U${hex.padStart(8, '0')}` : `\\u${hex.padStart(4, '0')}`
  })
}
