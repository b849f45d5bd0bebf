import { readFileSync } from 'node:fs'
import * as z from 'zod/mini'

/** The arguments and blocks that a block may have, as Terraform names them. */
export interface BlockSchema {
  /** The type of each argument. `other`: a list, a map or what the provider does not say. */
  readonly arguments: Readonly<Record<string, 'string' | 'number' | 'bool' | 'other'>>
  readonly blocks: Readonly<Record<string, BlockSchema>>
  /** The arguments and blocks that must be there. */
  readonly required: readonly string[]
}

/** A resource, or a data source as `data.TYPE`. */
export interface ResourceSchema extends BlockSchema {
  /** What can be read of it besides its arguments. */
  readonly attributes: readonly string[]
}

export interface ProviderSchema {
  /** The provider's version. */
  readonly version: string
  readonly resources: Readonly<Record<string, ResourceSchema>>
}

const block: z.ZodMiniType<BlockSchema> = z.lazy(() =>
  z.object({
    arguments: z.record(z.string(), z.enum(['string', 'number', 'bool', 'other'])),
    blocks: z.record(z.string(), block),
    required: z.array(z.string()),
  }),
)

/** Reads a schema that `node infra/terraform/main.ts --write` wrote. */
export function readSchema(file: string): ProviderSchema {
  const resource = z.intersection(block, z.object({ attributes: z.array(z.string()) }))
  const schema = z.object({ version: z.string(), resources: z.record(z.string(), resource) })
  return schema.parse(JSON.parse(readFileSync(file, 'utf8')))
}

const docs = z.optional(z.object({ summary: z.optional(z.string()), remarks: z.optional(z.string()) }))
const property = z.object({
  name: z.string(),
  docs: z.unknown(),
  optional: z.optional(z.boolean()),
  static: z.optional(z.boolean()),
  type: z.unknown(),
})
const assembly = z.object({
  types: z.record(
    z.string(),
    z.object({ kind: z.string(), docs, properties: z.optional(z.array(property)) }),
  ),
})
type Types = z.infer<typeof assembly>['types']

/**
 * The schema of the resources that `wanted` takes, from the file `.jsii` of npm's `@cdktf/provider-google`: it describes
 * every type of the package, which is generated from the provider's own schema, and links each property to the page of
 * the argument that it stands for. Throws TypeError where the file is not as that.
 */
export function extractSchema(file: string, wanted: ReadonlySet<string>): ProviderSchema {
  const { types } = assembly.parse(JSON.parse(readFileSync(file, 'utf8')))
  const resources: [string, ResourceSchema][] = []
  let version = ''
  for (const [fqn, { kind, docs: about, properties = [] }] of Object.entries(types)) {
    if (kind !== 'class') continue
    const page = /google\/([\d.]+)\/docs\/(resources|data-sources)\/\w+ (google_\w+)\}/.exec(
      about?.summary ?? '',
    )
    const [, release = '', folder, name = ''] = page ?? []
    const type = folder === 'data-sources' ? `data.${name}` : name
    if (page === null || !wanted.has(type)) continue
    version = release
    const body = blockOf(types, `${fqn}Config`)
    const known = new Set([...Object.keys(body.arguments), ...Object.keys(body.blocks)])
    const attributes = properties
      .filter((one) => one.static !== true && !/(?:Input|Output)$/.test(one.name))
      .map((one) => snakeCase(one.name))
      .filter((one) => !known.has(one))
    resources.push([type, { ...body, attributes: attributes.toSorted() }])
  }
  return { version, resources: Object.fromEntries(resources.toSorted(([a], [b]) => (a < b ? -1 : 1))) }
}

function blockOf(types: Types, fqn: string): BlockSchema {
  const described = types[fqn]
  if (described === undefined) throw new TypeError(`the package describes no ${fqn}`)
  const { properties = [] } = described
  const named = properties.flatMap((one) => {
    const [, name] =
      /docs\/(?:resources|data-sources)\/\w+#(\w+) \w+#\w+\}/.exec(JSON.stringify(one.docs)) ?? []
    return name === undefined
      ? []
      : [{ ...one, name, block: /"(@cdktf\/provider-google[^"]+)"/.exec(JSON.stringify(one.type))?.[1] }]
  })
  return {
    arguments: Object.fromEntries(
      named.flatMap(({ name, type, block: inner }) => (inner === undefined ? [[name, kindOf(type)]] : [])),
    ),
    blocks: Object.fromEntries(
      named.flatMap(({ name, block: inner }) => (inner === undefined ? [] : [[name, blockOf(types, inner)]])),
    ),
    required: named.flatMap(({ name, optional = false }) => (optional ? [] : [name])),
  }
}

function kindOf(type: unknown): BlockSchema['arguments'][string] {
  const text = JSON.stringify(type)
  if (text.includes('"collection"')) return 'other'
  const [, primitive] = /"primitive":"(string|number|boolean)"/.exec(text) ?? []
  if (primitive === 'boolean') return 'bool'
  return primitive === 'string' || primitive === 'number' ? primitive : 'other'
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
