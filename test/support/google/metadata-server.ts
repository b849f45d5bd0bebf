import { htmlReply, type JsonObject, jsonReply, type Received, Refusal, type Reply } from './reply.ts'
import { isKnownScope } from './scopes.ts'
import type { Machine, World } from './world.ts'

/**
 * `…/token[?scopes=a,b]` of the metadata server (docs/google.md §4.2, §4.5): the asked scopes on a platform that respects
 * them, else always those the machine was made with.
 */
export function answerMetadataToken(world: World, received: Received): Reply {
  const { serviceAccount, scopes: own, respectsScopes } = machineFor(world, received)
  const asked = received.query.get('scopes')?.split(',') ?? []
  const scopes = respectsScopes && asked.length > 0 ? asked : own
  if (!scopes.every(isKnownScope)) return flavoured(htmlReply(400, 'Bad Request'))
  const { tokenLifetime } = world.tuning()
  const token = world.tokens.issue({
    kind: 'service_account',
    scopes,
    subject: serviceAccount,
    expiresAt: world.now() + tokenLifetime,
  })
  return json({ access_token: token.value, expires_in: tokenLifetime, token_type: 'Bearer' })
}

/** `…/identity?audience=…&format=full`: a raw JWT. */
export async function answerIdentity(world: World, received: Received): Promise<Reply> {
  const { serviceAccount } = machineFor(world, received)
  const audience = received.query.get('audience') ?? ''
  if (audience === '') return flavoured(htmlReply(400, 'non-empty audience parameter required'))
  const account = world.accounts.find(serviceAccount)
  if (account === undefined) return flavoured(htmlReply(404, 'Not Found'))
  const { token, expiresAt } = await world.idTokens.sign({
    sub: account.uniqueId,
    aud: audience,
    azp: account.uniqueId,
    email: received.query.get('format') === 'full' ? account.email : undefined,
  })
  world.tokens.remember(token, { kind: 'id_token', scopes: [], subject: account.email, audience, expiresAt })
  return text(token)
}

export function answerEmail(world: World, received: Received): Reply {
  return text(machineFor(world, received).serviceAccount)
}

export function answerScopes(world: World, received: Received): Reply {
  return text(machineFor(world, received).scopes.join('\n'))
}

function machineFor(world: World, received: Received): Machine {
  if (received.headers['metadata-flavor'] !== 'Google')
    throw new Refusal(flavoured(htmlReply(403, 'Missing Metadata-Flavor:Google header.')))
  // Whoever sends it was asked by somebody else to ask (docs/google.md §4.3).
  if (received.headers['x-forwarded-for'] !== undefined)
    throw new Refusal(flavoured(htmlReply(403, 'Forbidden')))
  const machine = world.machine()
  const name = received.names['account']
  if (machine === undefined || (name !== 'default' && name !== machine.serviceAccount))
    throw new Refusal(flavoured(htmlReply(404, 'Not Found')))
  return machine
}

function json(body: JsonObject): Reply {
  return flavoured({ ...jsonReply(body), headers: { 'content-type': 'application/json' } })
}

function text(body: string): Reply {
  return flavoured({ status: 200, headers: { 'content-type': 'application/text' }, body })
}

function flavoured(reply: Reply): Reply {
  const headers = {
    ...reply.headers,
    'metadata-flavor': 'Google',
    server: 'Metadata Server for VM',
    'x-xss-protection': '0',
    'x-frame-options': 'SAMEORIGIN',
  }
  return { ...reply, headers }
}
