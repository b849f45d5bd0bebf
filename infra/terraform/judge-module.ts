import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import * as z from 'zod/mini'
import type { BlockSchema, ProviderSchema, ResourceSchema } from './provider-schema.ts'

const require = createRequire(import.meta.url)

/** HCL as JSON; an expression is a string `${…}`. Throws an Error that says where, for what is none. */
export async function parseHcl(name: string, text: string): Promise<unknown> {
  // Not imported: the package's types bring those of browsers, which contradict Node's.
  const { parse } = hclParser.parse(require('@cdktf/hcl2json'))
  return parse(name, text)
}

type Parse = (name: string, text: string) => Promise<unknown>
const hclParser = z.object({ parse: z.custom<Parse>((value) => typeof value === 'function') })

type Members = Readonly<Record<string, unknown>>
const body = z.record(z.string(), z.unknown())
const bodies = z.record(z.string(), z.array(body))
const moduleFile = z.object({
  resource: z.optional(z.record(z.string(), bodies)),
  data: z.optional(z.record(z.string(), bodies)),
  variable: z.optional(bodies),
  output: z.optional(bodies),
  locals: z.optional(z.array(body)),
})

/** A module's configuration, all files together. */
export interface ModuleDocument {
  /** By type; a data source as `data.TYPE`. */
  readonly resources: readonly { readonly type: string; readonly name: string; readonly body: Members }[]
  readonly variables: Readonly<Record<string, Members>>
  readonly outputs: Readonly<Record<string, Members>>
  readonly locals: Members
  /** Every string in it, expressions as `${…}`. */
  readonly texts: readonly string[]
}

/** The texts of a folder's `.tf` files, by name. */
export function readModuleFiles(folder: string): ReadonlyMap<string, string> {
  const names = readdirSync(folder).filter((name) => name.endsWith('.tf'))
  return new Map(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]))
}

/** Throws an Error that says where, for what is no HCL or is declared twice. */
export async function parseModule(files: ReadonlyMap<string, string>): Promise<ModuleDocument> {
  const parsed = await Promise.all([...files].map(([name, text]) => parseHcl(name, text)))
  const documents = parsed.map((one) => moduleFile.parse(one))
  const single = (of: (one: (typeof documents)[number]) => z.infer<typeof bodies> | undefined) =>
    Object.fromEntries(
      documents.flatMap((one) => Object.entries(of(one) ?? {}).map(([name, [b = {}]]) => [name, b])),
    )
  const resources = documents.flatMap(({ resource = {}, data = {} }) =>
    [
      ...Object.entries(resource),
      ...Object.entries(data).map(([type, all]) => [`data.${type}`, all] as const),
    ].flatMap(([type, all]) =>
      Object.entries(all).flatMap(([name, found]) => found.map((b) => ({ type, name, body: b }))),
    ),
  )
  return {
    resources,
    variables: single(({ variable }) => variable),
    outputs: single(({ output }) => output),
    locals: Object.fromEntries(
      documents.flatMap(({ locals = [] }) => locals.flatMap((one) => Object.entries(one))),
    ),
    texts: textsIn(parsed),
  }
}

function textsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value]
  if (Array.isArray(value)) return value.flatMap(textsIn)
  return isMembers(value) ? Object.values(value).flatMap(textsIn) : []
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * What is wrong with a module, a line each; empty where nothing is. It is compared with the provider's schema: names and
 * types of arguments and blocks, what is required, and what an expression reads of a resource. Besides, whatever is
 * declared is used and the other way round, has a type and a description, and nobody is granted to everybody.
 */
export function judgeModule(document: ModuleDocument, schema: ProviderSchema): readonly string[] {
  return [
    ...document.resources.flatMap(({ type, name, body: found }) => {
      const known = schema.resources[type]
      return known === undefined
        ? [`${type}.${name}: the provider has no such type`]
        : judgeBlock(`${type}.${name}`, found, known)
    }),
    ...judgeReferences(document, schema),
    ...judgeDeclarations(document),
    ...document.texts
      .filter((text) => /\ball(?:Authenticated)?Users\b/.test(text))
      .map((text) => `${text}: granted to everybody`),
  ]
}

const metaArguments = new Set(['count', 'for_each', 'depends_on', 'provider', 'lifecycle', 'dynamic'])

function judgeBlock(where: string, found: Members, schema: BlockSchema): readonly string[] {
  const dynamic = isMembers(found['dynamic']) ? found['dynamic'] : {}
  const given = new Set([...Object.keys(found), ...Object.keys(dynamic)])
  const missing = schema.required
    .filter((name) => !given.has(name))
    .map((name) => `${where}: ${name} is required`)
  const wrong = Object.entries(found).flatMap(([name, value]) => {
    if (metaArguments.has(name)) return []
    const inner = schema.blocks[name]
    if (inner !== undefined) return judgeBlocks(`${where} ${name}`, value, inner)
    const type = schema.arguments[name]
    if (type === undefined) return [`${where}: ${name} is no argument`]
    return isOfType(value, type) ? [] : [`${where}: ${name} is a ${type}`]
  })
  const generated = Object.entries(dynamic).flatMap(([name, value]) => {
    const inner = schema.blocks[name]
    if (inner === undefined) return [`${where}: ${name} is no block`]
    return asList(value).flatMap((one) =>
      isMembers(one)
        ? judgeBlocks(`${where} ${name}`, one['content'], inner)
        : [`${where}: ${name} is no block`],
    )
  })
  return [...missing, ...wrong, ...generated]
}

function judgeBlocks(where: string, value: unknown, schema: BlockSchema): readonly string[] {
  if (!Array.isArray(value)) return [`${where}: is a block`]
  return value.flatMap((one) => (isMembers(one) ? judgeBlock(where, one, schema) : [`${where}: is a block`]))
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value]
}

function isOfType(value: unknown, type: BlockSchema['arguments'][string]): boolean {
  if (type === 'other' || (typeof value === 'string' && value.includes('${'))) return true
  return { string: 'string', number: 'number', bool: 'boolean' }[type] === typeof value
}

function judgeReferences(
  { resources, variables, locals, texts }: ModuleDocument,
  schema: ProviderSchema,
): readonly string[] {
  const declared = new Set(resources.map(({ type, name }) => `${type}.${name}`))
  const expressions = texts.filter((text) => text.includes('${')).join('\n')
  const read = [...expressions.matchAll(/\b((?:data\.)?google_\w+)\.(\w+)(?:\[[^\]]*\])?(?:\.(\w+))?/g)]
  const ofResources = read.flatMap(([text, type = '', name = '', attribute]) => {
    if (!declared.has(`${type}.${name}`)) return [`${text}: no such resource`]
    const known = schema.resources[type]
    return attribute === undefined || known === undefined || readable(known).has(attribute)
      ? []
      : [`${text}: no such attribute`]
  })
  const used = (kind: string) =>
    new Set([...expressions.matchAll(new RegExp(`\\b${kind}\\.(\\w+)`, 'g'))].map(([, name = '']) => name))
  const ofNames = (
    [
      ['var', variables],
      ['local', locals],
    ] as const
  ).flatMap(([kind, all]) => [
    ...[...used(kind)]
      .filter((name) => !Object.hasOwn(all, name))
      .map((name) => `${kind}.${name}: not declared`),
    ...Object.keys(all)
      .filter((name) => !used(kind).has(name))
      .map((name) => `${kind}.${name}: not used`),
  ])
  return [...ofResources, ...ofNames]
}

function readable(schema: ResourceSchema): ReadonlySet<string> {
  return new Set([...Object.keys(schema.arguments), ...Object.keys(schema.blocks), ...schema.attributes])
}

function judgeDeclarations({ variables, outputs }: ModuleDocument): readonly string[] {
  return [
    ...Object.entries(variables).flatMap(([name, one]) =>
      ['description', 'type'].flatMap((member) =>
        one[member] === undefined ? [`var.${name}: without ${member}`] : [],
      ),
    ),
    ...Object.entries(outputs).flatMap(([name, one]) =>
      one['description'] === undefined ? [`output.${name}: without description`] : [],
    ),
  ]
}

/** The tables between the README's marks, as terraform-docs writes them. */
export function renderTables({ resources, variables, outputs }: ModuleDocument, version: string): string {
  const link = (type: string) => {
    const [folder, name] = type.startsWith('data.') ? ['data-sources', type.slice(5)] : ['resources', type]
    return `https://registry.terraform.io/providers/hashicorp/google/${version}/docs/${folder}/${name.replace('google_', '')}`
  }
  const inputs = Object.entries(variables)
    .toSorted(byName)
    .map(([name, one]) => {
      const isRequired = one['default'] === undefined
      const type = String(one['type']).replace(/^\$\{(.*)\}$/s, '$1')
      const value = isRequired ? 'n/a' : `\`${JSON.stringify(one['default'])}\``
      return `| ${name} | ${String(one['description'])} | \`${type}\` | ${value} | ${isRequired ? 'yes' : 'no'} |`
    })
  return [
    '## Resources\n',
    '| Name | Type |\n|------|------|',
    ...resources
      .map(({ type, name }) => [`${type.replace('data.', '')}.${name}`, type] as const)
      .toSorted(byName)
      .map(
        ([name, type]) =>
          `| [${name}](${link(type)}) | ${type.startsWith('data.') ? 'data source' : 'resource'} |`,
      ),
    '\n## Inputs\n',
    '| Name | Description | Type | Default | Required |\n|------|-------------|------|---------|:--------:|',
    ...inputs,
    '\n## Outputs\n',
    '| Name | Description |\n|------|-------------|',
    ...Object.entries(outputs)
      .toSorted(byName)
      .map(([name, one]) => `| ${name} | ${String(one['description'])} |`),
  ].join('\n')
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : Number(a > b)
}
