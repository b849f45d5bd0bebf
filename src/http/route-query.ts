import type * as z from 'zod/mini'

import { requestMalformed } from '../domain/broker-error.ts'
import { faultOf } from './schema-fault.ts'

/** How a route reads its query string; parameters it does not know mean nothing, and empty ones are absent. */
export interface QueryOf<T> {
  readonly schema?: z.ZodMiniObject<Readonly<Record<string, z.ZodMiniType>>>
  /** Throws `request_malformed`. */
  readonly parse: (url: string) => T
}

export const noQuery: QueryOf<undefined> = { parse: () => undefined }

export function queryOf<Schema extends z.ZodMiniObject<Readonly<Record<string, z.ZodMiniType>>>>(
  schema: Schema,
): QueryOf<z.output<Schema>> {
  const names = Object.keys(schema.shape)
  return {
    schema,
    parse: (url) => {
      const query = new URL(url).searchParams
      if (names.some((name) => query.getAll(name).length > 1))
        throw requestMalformed('a parameter is repeated')
      const given = names
        .map((name) => [name, query.get(name) ?? ''] as const)
        .filter(([, value]) => value !== '')
      const parsed = schema.safeParse(Object.fromEntries(given))
      if (!parsed.success) throw requestMalformed(faultOf(parsed.error, 'the query'))
      return parsed.data
    },
  }
}
