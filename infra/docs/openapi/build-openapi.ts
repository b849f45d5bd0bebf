import * as z from 'zod/mini'
import { softwareVersion } from '../../../src/domain/version.ts'
import { adminRoutes } from '../../../src/http/admin-routes.ts'
import type { BrokerErrorCode } from '../../../src/domain/broker-error.ts'
import { answers } from '../../../src/http/answers.ts'
import {
  ifMatchSchema,
  storedName,
  type AnswerOf,
  type BodyOf,
  type QueryOf,
} from '../../../src/http/route-schemas.ts'
import { adminDocuments } from './admin-documents.ts'
import { createJsonSchemas, type JsonSchemas } from './json-schema.ts'
import { publicEndpoints, type PublicEndpoint } from './public-endpoints.ts'

/** What the document needs of a route, whatever it takes and shows. */
interface DescribedRoute {
  readonly at: string
  readonly summary: string
  readonly needs: string
  readonly query: Pick<QueryOf<unknown>, 'schema'>
  readonly body: Pick<BodyOf<unknown>, 'types' | 'schema'>
  readonly answer: Pick<AnswerOf<never>, 'status' | 'type'>
  readonly ifMatch?: true
}

const documents = new Map<string, z.ZodMiniType | undefined>(Object.entries(adminDocuments))

const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.optional(z.enum(Object.keys(answers))),
  detail: z.optional(z.string()),
  /** As in `X-Request-Id`. */
  request_id: z.string(),
})

const oauthError = z.object({
  error: z.enum([...new Set(Object.values(answers).map(({ error }) => error))].toSorted()),
  error_description: z.optional(z.string()),
})

const googleError = z.object({
  error: z.object({ code: z.int(), message: z.string(), status: z.string() }),
})

/**
 * The OpenAPI 3.1 document of the broker, made from the table of routes and the schemas they are checked with. It has no
 * `servers`: the broker puts its own address there.
 */
export function buildOpenApi(): object {
  const schemas = createJsonSchemas()
  const operations = [
    ...publicEndpoints.map((endpoint) => [endpoint.at, publicOperation(endpoint, schemas)] as const),
    ...Object.entries<DescribedRoute>(adminRoutes).map(
      ([id, route]) => [route.at, adminOperation({ id, ...route }, schemas)] as const,
    ),
  ]
  return {
    openapi: '3.1.0',
    info: {
      title: 'Downscope',
      version: softwareVersion,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths: pathsOf(operations),
    components: {
      schemas: {
        OAuthError: schemas.of(oauthError),
        Problem: schemas.of(problem),
        GoogleError: schemas.of(googleError),
        ...schemas.named(),
      },
      responses: {
        Problem: answer('Refused or failed (RFC 9457)', 'application/problem+json', ref('Problem')),
        OAuthError: answer('Refused or failed (RFC 6749)', 'application/json', ref('OAuthError')),
        GoogleError: answer(
          'Refused or failed (https://google.aip.dev/193)',
          'application/json',
          ref('GoogleError'),
        ),
        TooLong: { description: 'The URL and the headers are longer than the server reads; without a body' },
      },
      securitySchemes: {
        admin: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
        caller: { type: 'http', scheme: 'bearer', description: 'A JWT or a ticket' },
      },
    },
  }
}

function pathsOf(operations: readonly (readonly [string, object])[]): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const [line, operation] of operations) {
    const [method = '', path = ''] = line.split(' ')
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation }
  }
  return paths
}

function publicOperation(endpoint: PublicEndpoint, schemas: JsonSchemas): object {
  const { id, summary, form, json, answers: shown, refuses } = endpoint
  const refusal = json === undefined ? 'OAuthError' : 'GoogleError'
  const responses: Record<string, object> = {}
  if (Object.keys(shown).length === 0) responses['200'] = { description: summary }
  for (const [status, schema] of Object.entries(shown))
    responses[status] = answer(summary, 'application/json', schemas.of(schema))
  return {
    operationId: id,
    summary,
    security: json === undefined ? [] : [{ caller: [] }],
    ...(json === undefined
      ? {}
      : {
          parameters: accountParameters(schemas),
          requestBody: content(['application/json'], schemas.of(json)),
        }),
    ...(form === undefined
      ? {}
      : { requestBody: content(['application/x-www-form-urlencoded'], formSchema(schemas.of(form))) }),
    responses: {
      ...responses,
      ...Object.fromEntries(refuses.map((status) => [status, { $ref: `#/components/responses/${refusal}` }])),
    },
  }
}

function accountParameters(schemas: JsonSchemas): readonly object[] {
  const schema = schemas.of(z.string().check(z.regex(/^[a-z0-9._-]{1,63}@[a-z0-9.-]{1,200}$/)))
  return [{ name: 'account', in: 'path', required: true, schema, example: 'reports-sa@tokens.example.com' }]
}

/** Unknown parameters are ignored; a list would be one that is repeated, and there are at most a hundred. */
function formSchema(schema: object): object {
  return { ...schema, additionalProperties: { type: 'string' }, maxProperties: 100 }
}

function adminOperation(route: DescribedRoute & { readonly id: string }, schemas: JsonSchemas): object {
  const {
    id,
    needs,
    query,
    body,
    summary,
    answer: { status, type = 'application/json' },
  } = route
  const parameters = [
    ...pathParameters(route.at, schemas),
    ...queryParameters(query, schemas),
    ...headerParameters(route, schemas),
  ]
  const schema = documents.get(id)
  return {
    operationId: id,
    summary,
    description: needs === 'any' ? 'Needs a role, whichever it is.' : `Needs the role ${needs}.`,
    security: [{ admin: [] }],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body.schema === undefined ? {} : { requestBody: content(body.types, schemas.of(body.schema)) }),
    responses: {
      [status]: schema === undefined ? { description: 'Done' } : answer('Done', type, schemas.of(schema)),
      ...Object.fromEntries(
        refusalStatuses(route).map((code) => [code, { $ref: '#/components/responses/Problem' }]),
      ),
      ...(query.schema !== undefined && { 431: { $ref: '#/components/responses/TooLong' } }),
    },
  }
}

/** What an operation may be refused with, by what it takes: every code's status comes from the table of answers. */
function refusalStatuses(route: DescribedRoute): readonly number[] {
  const codes: readonly BrokerErrorCode[] = [
    ...everywhere,
    ...(route.at.includes('{') || route.ifMatch === true ? ofStored : []),
    ...(route.body.schema === undefined ? [] : ofBodies),
    ...(alsoRefused[route.at] ?? []),
  ]
  const statuses = codes.map((code) => answers[code].status)
  return [...new Set([...statuses, 500])].toSorted((one, other) => one - other)
}

const everywhere = [
  'request_malformed',
  'admin_unauthenticated',
  'admin_forbidden',
  'not_found',
  'caller_throttled',
  'store_unavailable',
] as const satisfies readonly BrokerErrorCode[]
const ofStored = ['not_found', 'state_conflict', 'changed_meanwhile'] as const
const ofBodies = ['request_too_large', 'document_invalid', 'already_exists'] as const
const alsoRefused: Readonly<Record<string, readonly BrokerErrorCode[]>> = {
  'POST /v1/admin/events:test': ['not_supported'],
}

function pathParameters(line: string, schemas: JsonSchemas): readonly object[] {
  return [...line.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: schemas.of(z.string().check(z.regex(storedName))),
  }))
}

function queryParameters({ schema }: DescribedRoute['query'], schemas: JsonSchemas): readonly object[] {
  if (schema === undefined) return []
  return Object.entries(schema.shape).map(([name, one]) => ({
    name,
    in: 'query',
    schema: schemas.of(one),
  }))
}

function headerParameters({ ifMatch }: DescribedRoute, schemas: JsonSchemas): readonly object[] {
  return ifMatch === undefined
    ? []
    : [{ name: 'If-Match', in: 'header', schema: schemas.of(ifMatchSchema), example: '"3"' }]
}

function answer(description: string, type: string, schema: object): object {
  return { description, content: { [type]: { schema } } }
}

function content(types: readonly string[], schema: object): object {
  return { required: true, content: Object.fromEntries(types.map((type) => [type, { schema }])) }
}

function ref(name: string): object {
  return { $ref: `#/components/schemas/${name}` }
}
