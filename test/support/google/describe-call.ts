import { decodeJwt } from 'jose'
import type { Call } from './calls.ts'
import { isObject, type Received } from './reply.ts'
import type { Route } from './routes.ts'
import type { World } from './world.ts'

/** What the call log says of a request; reads anything and refuses nothing. */
export function describeCall(
  world: World,
  route: Route | undefined,
  received: Received,
): Omit<Call, 'status'> {
  const params = parametersOf(received)
  return {
    endpoint: route?.endpoint ?? 'unknown',
    method: received.method,
    path: received.path,
    grant: grantOf(route, params),
    credential: credentialOf(world, received, params),
    params,
    time: world.now(),
  }
}

function parametersOf({ contentType, body }: Received): Call['params'] {
  if (contentType.startsWith('application/json')) return jsonMembers(body)
  const form = new URLSearchParams(body)
  return Object.fromEntries([...form.keys()].map((name) => [name, form.get(name) ?? '']))
}

function jsonMembers(body: string): Call['params'] {
  try {
    const parsed: unknown = JSON.parse(body)
    return isObject(parsed) ? parsed : {}
  } catch {
    return {}
  }
}

function grantOf(route: Route | undefined, params: Call['params']): string {
  const grantType = text(params['grant_type'])
  if (grantType !== '') return grantType.split(':').at(-1) ?? grantType
  return route?.operation ?? 'unknown'
}

function credentialOf(world: World, { names }: Received, params: Call['params']): string {
  if (names['account'] !== undefined) return names['account']
  const refreshToken = text(params['refresh_token'])
  if (refreshToken !== '') return world.grants.find(refreshToken)?.id ?? refreshToken
  const assertion = text(params['assertion'])
  if (assertion !== '') return unverifiedIssuer(assertion)
  const token = world.tokens.find(text(params['subject_token']) || text(params['token']))
  return token?.grant ?? token?.subject ?? text(params['audience'])
}

function unverifiedIssuer(assertion: string): string {
  try {
    return text(decodeJwt(assertion).iss)
  } catch {
    return ''
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
