import type { Hono } from 'hono'
import type { AdministerCredentials } from '../../src/enrolment/administer-credentials.ts'
import type { AdministerPolicy } from '../../src/policy/administer-policy.ts'

export const collection = '/v1/admin/credentials'

export const enrolment = {
  name: 'new-sa',
  secret: { type: 'service_account', private_key: 'planted-key' },
}

export interface Call {
  /** The bearer token. */
  readonly as?: string
  /** Text as it is, anything else as JSON. */
  readonly body?: unknown
  readonly headers?: Record<string, string>
}

/** Sends `METHOD PATH` to the admin API. */
export function call(
  fake: { readonly app: Hono },
  line: string,
  { as, body, headers }: Call = {},
): Promise<Response> {
  const [method = '', path = ''] = line.split(' ')
  const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body)
  return Promise.resolve(
    fake.app.request(path, {
      method,
      ...(text === undefined ? {} : { body: text }),
      headers: {
        ...(as === undefined ? {} : { authorization: `Bearer ${as}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
    }),
  )
}

/** Administration that takes no part in a test: whatever reaches it is a bug. */
export function unusedCredentials(): AdministerCredentials {
  const refuse = () => Promise.reject(new Error('not part of this test'))
  return {
    list: refuse,
    read: refuse,
    change: refuse,
    disable: refuse,
    enable: refuse,
    destroy: refuse,
    enrol: refuse,
  }
}

export function unusedPolicy(): AdministerPolicy {
  const refuse = () => Promise.reject(new Error('not part of this test'))
  return { read: refuse, apply: refuse, validate: refuse, history: refuse, version: refuse }
}
