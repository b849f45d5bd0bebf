import * as z from 'zod/mini'
import { credentialChange } from '../../../src/http/credential-routes.ts'
import * as schemas from '../../../src/http/credential-schemas.ts'
import { timestamp } from '../../../src/http/document-schemas.ts'
import { upstreamPresets } from '../../../src/domain/upstream-presets.ts'
import * as policy from '../../../src/policy/policy-schema.ts'

type JsonSchema = Readonly<Record<string, unknown>>

/** What several answers show gets a name: `credentialSchema` becomes `#/components/schemas/Credential`. */
const named = z.registry<{ readonly id: string }>()
for (const [name, schema] of Object.entries(schemas))
  named.add(schema, { id: `${name.charAt(0).toUpperCase()}${name.slice(1, -'Schema'.length)}` })

/** Turns zod's schemas into JSON Schema 2020-12, and keeps the named ones that they spoke of. */
export interface JsonSchemas {
  readonly of: (schema: z.ZodMiniType) => JsonSchema
  readonly named: () => Readonly<Record<string, unknown>>
}

export function createJsonSchemas(): JsonSchemas {
  const kept = new Map<string, unknown>()
  return {
    of: (schema) => {
      const { $schema: _, $defs = {}, ...own } = relocated(z.toJSONSchema(schema, options))
      for (const [name, definition] of Object.entries($defs)) kept.set(name, definition)
      return own
    },
    named: () => Object.fromEntries([...kept].toSorted(([one], [other]) => (one < other ? -1 : 1))),
  }
}

const options: Parameters<typeof z.toJSONSchema>[1] = {
  // As it is written on the wire: defaults are not there yet, and further members may come with later versions.
  io: 'input',
  metadata: named,
  override: ({ zodSchema, jsonSchema }) => {
    if (zodSchema === timestamp) jsonSchema.format = 'date-time'
    if (zodSchema === credentialChange) jsonSchema.minProperties = 1
    if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
    if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum
  },
}

/** `$defs` move to the document's components, and what refers to them follows. */
function relocated(schema: object): JsonSchema & { readonly $defs?: object } {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/')) as JsonSchema
}

/** The JSON Schema of a policy document, for editors. What its parts mean together only `policy check` judges. */
export function policyJsonSchema(): JsonSchema {
  const schemaOf = (schema: z.ZodMiniType) => {
    const { $schema: _, ...own } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
    return own
  }
  const upstream = schemaOf(policy.upstreamSchema)
  const listOf = (items: object) => ({ type: 'array', items })
  const { properties, ...top } = schemaOf(policy.policyDocumentSchema)
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Downscope policy',
    ...top,
    properties: {
      ...properties,
      issuers: listOf(schemaOf(policy.issuerSchema)),
      upstreams: listOf({ anyOf: [upstream, fromPreset(upstream)] }),
      rules: listOf(schemaOf(policy.ruleSchema)),
      admins: listOf(schemaOf(policy.adminSchema)),
    },
  }
}

/** An upstream that a preset completes. */
function fromPreset(upstream: JsonSchema): JsonSchema {
  const own = upstream['properties']
  return {
    ...upstream,
    properties: {
      ...(typeof own === 'object' ? own : {}),
      preset: { enum: Object.keys(upstreamPresets) },
      with: { type: 'object', additionalProperties: { type: 'string' } },
    },
    required: ['name', 'preset'],
  }
}
