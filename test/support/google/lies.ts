import { isObject, type JsonObject, type Reply } from './reply.ts'
import { CLOUD_PLATFORM } from './scopes.ts'
import type { World } from './world.ts'

/** One thing wrong in an otherwise proper token reply. */
export type LieName = keyof typeof lies

type Lie = (body: JsonObject, world: World) => JsonObject | Reply

/** The reply with one thing wrong; a refusal is left alone. */
export function lie(reply: Reply, name: LieName, world: World): Reply {
  if (reply.status !== 200 || !isObject(reply.body)) return reply
  const wrong: JsonObject | Reply = lies[name](reply.body, world)
  return isReply(wrong) ? wrong : { ...reply, body: wrong }
}

/** The reply with members replaced; a member given as undefined is left out. */
export function amend(reply: Reply, members: JsonObject): Reply {
  if (!isObject(reply.body)) return reply
  return { ...reply, body: withMembers(reply.body, members) }
}

const lies = {
  /** The token carries cloud-platform besides what was asked for, and `scope` says so. */
  wider_scope: (body: JsonObject, world: World) => {
    const value = String(body['access_token'])
    world.tokens.widen(value, CLOUD_PLATFORM)
    return { ...body, scope: world.tokens.find(value)?.scopes.join(' ') }
  },
  /** As wider_scope, but the reply names no scope. */
  wider_scope_silently: (body: JsonObject, world: World) => {
    world.tokens.widen(String(body['access_token']), CLOUD_PLATFORM)
    return withMembers(body, { scope: undefined })
  },
  expires_in_missing: set({ expires_in: undefined }),
  expires_in_string: set({ expires_in: '3599' }),
  expires_in_zero: set({ expires_in: 0 }),
  expires_in_negative: set({ expires_in: -1 }),
  expires_in_huge: set({ expires_in: 1e15 }),
  expires_in_fraction: set({ expires_in: 3598.5 }),
  expires_in_null: set({ expires_in: null }),
  token_type_missing: set({ token_type: undefined }),
  token_type_mac: set({ token_type: 'mac' }),
  access_token_missing: set({ access_token: undefined }),
  access_token_empty: set({ access_token: '' }),
  access_token_number: set({ access_token: 42 }),
  access_token_control_characters: set({ access_token: 'ya29.a\r\nX-Injected: 1\u0000' }),
  error_member: set({ error: 'invalid_grant', error_description: 'Bad Request' }),
  content_type_text: (body: JsonObject): Reply => ({
    status: 200,
    headers: { 'content-type': 'text/plain; charset=utf-8' },
    body: JSON.stringify(body),
  }),
  json_array: (body: JsonObject): Reply => ({
    status: 200,
    headers: { 'content-type': 'application/json; charset=utf-8' },
    body: JSON.stringify([body]),
  }),
  status_201: (body: JsonObject): Reply => ({
    status: 201,
    headers: { 'content-type': 'application/json; charset=utf-8' },
    body,
  }),
} satisfies Record<string, Lie>

function set(members: JsonObject) {
  return (body: JsonObject): JsonObject => withMembers(body, members)
}

function withMembers(body: JsonObject, members: JsonObject): JsonObject {
  const entries = Object.entries({ ...body, ...members })
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
}

function isReply(wrong: JsonObject | Reply): wrong is Reply {
  return typeof wrong['status'] === 'number' && isObject(wrong['headers'])
}
