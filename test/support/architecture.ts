import { dirname, join } from 'node:path/posix'
import {
  parseSync,
  Visitor,
  type Expression,
  type Program,
  type TSType,
  type VariableDeclaration,
} from 'oxc-parser'

interface Fault {
  readonly file: string
  readonly line: number
  readonly rule: string
  readonly detail: string
}

interface Findings {
  readonly faults: readonly Fault[]
  readonly filesSeen: number
  readonly importsSeen: number
}

/** The import table of src/README.md. `typesFrom`: only `import type`. `packages`: prefixes of packages, by layer. */
interface Layer {
  readonly name: string
  readonly where: RegExp
  readonly from: readonly string[]
  readonly typesFrom?: readonly string[]
  /** Files of other modules that it may import: what those modules offer to others. */
  readonly interfaces?: readonly string[]
  readonly packages: readonly string[]
}

/** A folder for each thing that a user of the product would name, in an order in which no module needs a later one. */
const modules = {
  authentication: [],
  boundaries: [],
  policy: ['boundaries/boundary.ts'],
  authorization: [
    'boundaries/boundary.ts',
    'boundaries/intersect-boundaries.ts',
    'policy/compile-policy.ts',
    'policy/scope-catalogue.ts',
    'policy/match-caller.ts',
  ],
  'token-cache': [],
  minting: ['boundaries/seal-boundary.ts'],
  enrolment: ['policy/scope-catalogue.ts'],
  rotation: [
    'enrolment/revoke-credential.ts',
    'enrolment/credential-faults.ts',
    'enrolment/credential-file.ts',
    'enrolment/parse-credential-file.ts',
  ],
  events: [],
  maintenance: [
    'events/events.ts',
    'rotation/drive-rotation.ts',
    'rotation/retire-versions.ts',
    'rotation/rotation-step.ts',
  ],
  service: ['policy/administer-policy.ts'],
  advice: [],
  'sign-in': [],
  connect: [],
} as const satisfies Readonly<Record<string, readonly string[]>>

const moduleNames = Object.keys(modules)
const libraries = ['jose', 'js-yaml', 'oauth4webapi', 'standardwebhooks', 'zod'] as const
const every = [
  ...moduleNames,
  'assembly',
  'HTTP',
  'pipelines',
  'API clients',
  'records',
  'ports',
  'adapters',
  'agent',
  'client',
  'domain',
]

export const layers: readonly Layer[] = [
  {
    name: 'entry points',
    where: /^src\/(?:broker|cloud-run|workers)\.ts$/,
    from: ['assembly'],
    packages: ['node:', 'cloudflare:', 'hono', '@hono/node-server'],
  },
  {
    name: 'command line',
    where: /^src\/cli(?:\.ts$|\/)/,
    from: every,
    packages: ['node:', 'commander', '@clack/prompts', 'diff', 'hono', 'oidc-provider', 'uqr', ...libraries],
  },
  {
    name: 'agent',
    where: /^src\/agent\//,
    from: ['client', 'domain', 'ports'],
    packages: ['node:'],
  },
  {
    // Shipped by itself, to Node and Workers.
    name: 'client',
    where: /^src\/client\//,
    from: ['domain'],
    packages: ['jose', 'google-auth-library'],
  },
  {
    name: 'assembly',
    where: /^src\/(?:config|compose)(?:\/.+)?\.ts$/,
    from: every,
    packages: ['cloudflare:', ...libraries],
  },
  {
    name: 'HTTP',
    where: /^src\/http\//,
    from: ['domain', 'ports'],
    // The pipelines too: the HTTP layer is handed their functions and must be able to say their types.
    typesFrom: [...moduleNames, 'pipelines'],
    packages: ['hono', 'diff', ...libraries],
  },
  {
    name: 'pipelines',
    where: /^src\/(?:exchange|administer|revoke-token)\.ts$/,
    from: ['domain', 'ports'],
    packages: [],
  },
  ...Object.entries(modules).map(([name, interfaces]) => ({
    name,
    where: new RegExp(`^src/${name}/`),
    from: ['domain', 'ports', 'records', 'API clients'],
    interfaces,
    packages: libraries,
  })),
  {
    name: 'API clients',
    where: /^src\/(?:google|oauth)\//,
    from: ['domain', 'ports'],
    packages: libraries,
  },
  { name: 'records', where: /^src\/records\//, from: ['domain', 'ports'], packages: libraries },
  { name: 'ports', where: /^src\/ports\//, from: [], typesFrom: ['domain'], packages: [] },
  {
    name: 'adapters',
    where: /^src\/adapters\//,
    from: ['domain', 'ports', 'API clients'],
    packages: [
      'node:',
      'cloudflare:',
      '@google-cloud/',
      '@grpc/grpc-js',
      '@hono/node-server',
      '@opentelemetry/',
      'ipaddr.js',
      ...libraries,
    ],
  },
  { name: 'domain', where: /^src\/domain\//, from: [], packages: [] },
]

const mayExportDefault: ReadonlySet<string> = new Set(['src/workers.ts'])
/** The last: Workers make their objects from a class that the entry point exports. */
const mayBeClasses: ReadonlySet<string> = new Set([
  'BrokerError',
  'Secret',
  'TokenError',
  'DownscopeAuthClient',
  'DocumentsObject',
  'AdminApiError',
])
/** The one file of data: made by infra/docs/openapi.ts, served as it is. */
const generatedDocument = 'src/http/openapi.json'
const platformClassFile = 'src/adapters/durable-object/documents-object.ts'
const emptyNames = /(?:^|[-/])(?:utils?|helpers?|commons?|managers?|handlers?)(?:[-./]|$)/
const mutableTypes = /^(?:Map|Set|WeakMap|WeakSet|Array)$/

/** Every fault against the rules of src/README.md in `sources` (path from the root → text). */
export function checkArchitecture(sources: ReadonlyMap<string, string>): Findings {
  const faults: Fault[] = []
  let importsSeen = 0
  for (const [file, text] of sources) {
    const parsed = parseSync(file, text)
    const report = (rule: string, detail: string, offset = 0): void => {
      faults.push({ file, line: text.slice(0, offset).split('\n').length, rule, detail })
    }
    for (const error of parsed.errors) report('syntax', error.message)
    const imports = findImports(parsed.program, report)
    importsSeen += imports.length
    checkImports(file, imports, sources, report)
    checkName(file, report)
    checkClasses(file, parsed.program, report)
    checkModuleLevel(file, parsed.program, report)
  }
  return { faults, filesSeen: sources.size, importsSeen }
}

type Report = (rule: string, detail: string, offset?: number) => void

interface Import {
  readonly specifier: string
  readonly typeOnly: boolean
  readonly offset: number
}

/** Static, dynamic and re-exporting imports and `import('…')` types. */
function findImports(program: Program, report: Report): readonly Import[] {
  const found: Import[] = []
  new Visitor({
    ImportDeclaration(node) {
      const named = node.specifiers
      const typeOnly =
        node.importKind === 'type' ||
        (named.length > 0 &&
          named.every((one) => one.type === 'ImportSpecifier' && one.importKind === 'type'))
      found.push({ specifier: node.source.value, typeOnly, offset: node.start })
    },
    ExportNamedDeclaration(node) {
      if (node.source === null) return
      const typeOnly =
        node.exportKind === 'type' ||
        (node.specifiers.length > 0 && node.specifiers.every((one) => one.exportKind === 'type'))
      found.push({ specifier: node.source.value, typeOnly, offset: node.start })
    },
    ExportAllDeclaration(node) {
      found.push({ specifier: node.source.value, typeOnly: node.exportKind === 'type', offset: node.start })
    },
    ImportExpression(node) {
      if (node.source.type === 'Literal' && typeof node.source.value === 'string') {
        found.push({ specifier: node.source.value, typeOnly: false, offset: node.start })
      } else report('imports', 'a dynamic import must name its module', node.start)
    },
    TSImportType(node) {
      found.push({ specifier: node.source.value, typeOnly: true, offset: node.start })
    },
  }).visit(program)
  return found
}

function checkImports(
  file: string,
  imports: readonly Import[],
  sources: ReadonlyMap<string, string>,
  report: Report,
): void {
  const layer = layerOf(file)
  if (layer === undefined) {
    report('layers', 'belongs to no layer')
    return
  }
  for (const { specifier, typeOnly, offset } of imports) {
    if (!specifier.startsWith('.')) {
      if (!layer.packages.some((allowed) => isOfPackage(specifier, allowed))) {
        report('packages', `${layer.name} may not import ${specifier}`, offset)
      }
      continue
    }
    const target = join(dirname(file), specifier)
    const to = layerOf(target)
    if (file === 'src/workers.ts' && target === platformClassFile) continue
    if (!sources.has(target) && target !== generatedDocument)
      report('imports', `${specifier} is no file of src`, offset)
    else if (to === undefined || !mayImport(layer, to, { target, typeOnly })) {
      const what = typeOnly ? 'types of' : 'from'
      report('layers', `${layer.name} may not import ${what} ${to?.name ?? target} (${target})`, offset)
    }
  }
}

function mayImport(layer: Layer, to: Layer, { target, typeOnly }: Imported): boolean {
  // Entry points stand alone; every other layer may use its own files.
  if (to.name === layer.name) return layer.name !== 'entry points'
  if (layer.from.includes(to.name)) return true
  if (typeOnly && layer.typesFrom?.includes(to.name)) return true
  return layer.interfaces?.includes(target.slice('src/'.length)) ?? false
}

interface Imported {
  readonly target: string
  readonly typeOnly: boolean
}

function layerOf(file: string): Layer | undefined {
  return layers.find((layer) => layer.where.test(file))
}

/** `node:` and `@google-cloud/` are prefixes; a package's name also covers its subpaths. */
function isOfPackage(specifier: string, allowed: string): boolean {
  return /[:/]$/.test(allowed)
    ? specifier.startsWith(allowed)
    : specifier === allowed || specifier.startsWith(`${allowed}/`)
}

function checkName(file: string, report: Report): void {
  if (emptyNames.test(file.replace(/\.ts$/, '')))
    report('names', 'a file is named after the question it answers')
}

function checkClasses(file: string, program: Program, report: Report): void {
  const check = (node: { readonly id: { readonly name: string } | null; readonly start: number }): void => {
    const name = node.id?.name ?? '(anonymous)'
    if (!mayBeClasses.has(name) || (name === 'DocumentsObject' && file !== platformClassFile))
      report('classes', `class ${name}: functions and closures instead`, node.start)
  }
  new Visitor({ ClassDeclaration: check, ClassExpression: check }).visit(program)
}

function checkModuleLevel(file: string, program: Program, report: Report): void {
  let reExports = 0
  for (const statement of program.body) {
    const declaration = statement.type === 'ExportNamedDeclaration' ? statement.declaration : statement
    if (statement.type === 'ExportDefaultDeclaration' && !mayExportDefault.has(file)) {
      report('default exports', 'export it by name', statement.start)
    }
    if (statement.type === 'ExportNamedDeclaration' && !mayExportDefault.has(file)) {
      for (const { exported } of statement.specifiers) {
        const name = exported.type === 'Literal' ? exported.value : exported.name
        if (name === 'default') report('default exports', 'export it by name', statement.start)
      }
    }
    if (statement.type === 'ExportAllDeclaration') reExports += 1
    if (statement.type === 'ExportNamedDeclaration' && statement.source !== null) reExports += 1
    if (declaration?.type === 'VariableDeclaration') checkVariable(declaration, report)
    if (file.startsWith('src/ports/') && !isTypeOnly(statement.type, declaration)) {
      report('ports', 'a port is an interface: nothing that runs', statement.start)
    }
  }
  if (program.body.length > 0 && reExports === program.body.length)
    report('barrels', 'import from the file itself')
}

function isTypeOnly(statement: string, declaration: Program['body'][number] | null): boolean {
  if (statement === 'ImportDeclaration') return true
  // `declare const brand: unique symbol`
  if (declaration?.type === 'VariableDeclaration') return declaration.declare === true
  return declaration?.type === 'TSInterfaceDeclaration' || declaration?.type === 'TSTypeAliasDeclaration'
}

function checkVariable(declaration: VariableDeclaration, report: Report): void {
  if (declaration.kind === 'let' || declaration.kind === 'var') {
    report('module state', `${declaration.kind} at module level`, declaration.start)
  }
  for (const { id, init, start } of declaration.declarations) {
    if (init === null || !buildsCollection(init)) continue
    const type = id.typeAnnotation?.typeAnnotation
    if (isConst(init) || (type !== undefined && isReadonly(type) && !isWeak(init))) continue
    report('module state', 'a collection at module level has a readonly type, or lives in a closure', start)
  }
}

function buildsCollection(init: Expression): boolean {
  const value = unwrap(init)
  if (value.type === 'ArrayExpression') return true
  return (
    value.type === 'NewExpression' &&
    value.callee.type === 'Identifier' &&
    mutableTypes.test(value.callee.name)
  )
}

/** A weak collection has no readonly form: it is a cache. */
function isWeak(init: Expression): boolean {
  const value = unwrap(init)
  return (
    value.type === 'NewExpression' &&
    value.callee.type === 'Identifier' &&
    value.callee.name.startsWith('Weak')
  )
}

function isConst(init: Expression): boolean {
  if (init.type === 'TSSatisfiesExpression') return isConst(init.expression)
  if (init.type !== 'TSAsExpression' || init.typeAnnotation.type !== 'TSTypeReference') return false
  const { typeName } = init.typeAnnotation
  return typeName.type === 'Identifier' && typeName.name === 'const'
}

function unwrap(init: Expression): Expression {
  return init.type === 'TSAsExpression' || init.type === 'TSSatisfiesExpression'
    ? unwrap(init.expression)
    : init
}

/** An alias is believed: what it stands for is checked where it is used. */
function isReadonly(type: TSType): boolean {
  if (type.type === 'TSTypeOperator') return type.operator === 'readonly'
  if (type.type !== 'TSTypeReference') return false
  return type.typeName.type === 'Identifier' && !mutableTypes.test(type.typeName.name)
}
