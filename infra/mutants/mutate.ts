import { parseSync, Visitor, type Expression, type Program } from 'oxc-parser'

/** One small fault that somebody could have written, and where it goes. */
export interface Mutant {
  readonly file: string
  readonly line: number
  readonly start: number
  readonly end: number
  readonly replacement: string
  /** The text that is replaced. */
  readonly original: string
}

/** Anything of the tree that is to be replaced. */
interface Span {
  readonly start: number
  readonly end: number
}

const operators: Readonly<Record<string, string>> = {
  '===': '!==',
  '!==': '===',
  '<': '<=',
  '<=': '<',
  '>': '>=',
  '>=': '>',
  '-': '+',
  '*': '/',
  '&&': '||',
  '||': '&&',
}

const methods: Readonly<Record<string, string>> = {
  some: 'every',
  every: 'some',
  min: 'max',
  max: 'min',
  startsWith: 'endsWith',
  endsWith: 'startsWith',
  floor: 'ceil',
  ceil: 'floor',
}

/** Every mutant of a file: comparisons, conditions, numbers, calls left out, words emptied. */
export function mutantsOf(file: string, text: string): readonly Mutant[] {
  const parsed = parseSync(file, text)
  if (parsed.errors.length > 0) throw new Error(`${file} cannot be parsed`)
  const found: Mutant[] = []
  const types: Span[] = []
  const lineAt = lineCounter(text)
  const replace = ({ start, end }: Span, replacement: string): void => {
    const original = text.slice(start, end)
    if (original !== replacement) found.push({ file, line: lineAt(start), start, end, replacement, original })
  }
  visit(parsed.program, text, replace)
  // A literal of a type is nothing at run time.
  new Visitor({ TSLiteralType: (node) => types.push(node) }).visit(parsed.program)
  return found.filter(({ start, end }) => !types.some((type) => type.start <= start && end <= type.end))
}

function visit(program: Program, text: string, replace: (span: Span, by: string) => void): void {
  const source = ({ start, end }: Span): string => text.slice(start, end)
  const between = (left: Span, right: Span, operator: string): Span => {
    const start = text.indexOf(operator, left.end)
    return start < right.start ? { start, end: start + operator.length } : left
  }
  const swap = (left: Span, right: Span, operator: string): void => {
    const other = operators[operator]
    if (other !== undefined) replace(between(left, right, operator), other)
  }
  new Visitor({
    BinaryExpression: ({ left, right, operator }) => {
      if (!isText(left) && !isText(right)) swap(left, right, operator)
    },
    LogicalExpression: (node) => {
      if (node.operator === '??') replace(node, source(node.left))
      else swap(node.left, node.right, node.operator)
    },
    UnaryExpression: (node) => {
      if (node.operator === '!') replace(node, source(node.argument))
    },
    ConditionalExpression: (node) => {
      replace(node, `${source(node.test)} ? ${source(node.alternate)} : ${source(node.consequent)}`)
    },
    IfStatement: ({ test }) => {
      replace(test, 'false')
      replace(test, 'true')
    },
    ExpressionStatement: ({ expression, start, end }) => {
      const called = expression.type === 'AwaitExpression' ? expression.argument : expression
      const isLeftOut = called.type === 'CallExpression' || called.type === 'AssignmentExpression'
      if (isLeftOut) replace({ start, end }, ';')
    },
    Literal: (node) => {
      if (typeof node.value === 'number') replace(node, String(node.value + 1))
      if (typeof node.value === 'boolean') replace(node, String(!node.value))
    },
    MemberExpression: ({ property }) => {
      const other = property.type === 'Identifier' ? methods[property.name] : undefined
      if (other !== undefined) replace(property, other)
    },
    ArrayExpression: (node) => {
      if (node.elements.length > 0) replace(node, '[]')
    },
  }).visit(program)
}

/** Sums of texts are sentences: what is wrong in them is read by people, and tests rarely compare them whole. */
function isText(node: Expression | { readonly type: string }): boolean {
  return node.type === 'TemplateLiteral' || ('value' in node && typeof node.value === 'string')
}

function lineCounter(text: string): (offset: number) => number {
  const starts = [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)]
  return (offset) => starts.findLastIndex((start) => start <= offset) + 1
}
