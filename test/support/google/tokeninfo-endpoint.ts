import { readForm } from './form.ts'
import { refuse } from './refusals.ts'
import { jsonReply, type Received, type Reply } from './reply.ts'
import { EMAIL } from './scopes.ts'
import { numericId } from './service-accounts.ts'
import type { World } from './world.ts'

/**
 * `https://oauth2.googleapis.com/tokeninfo`, v3: numbers and booleans travel as strings; refresh
 * tokens are not accepted (docs/google.md §1.5). The access token comes as `?access_token=`, in the form, or
 * as a Bearer header.
 */
export function answerTokeninfo(world: World, received: Received): Reply {
  const token = world.tokens.findLive(tokenOf(received) ?? '')
  if (!token || token.kind === 'id_token' || token.kind === 'intermediary') return refuse('tokeninfo_bad')
  const grant = world.grants.find(token.grant ?? '')
  const client = grant?.clientId ?? numericId(token.actor ?? token.subject)
  const hasEmail = token.scopes.includes(EMAIL) || token.scopes.includes('email')
  return jsonReply({
    azp: client,
    aud: client,
    sub: numericId(token.subject),
    scope: token.scopes.join(' '),
    exp: String(token.expiresAt),
    expires_in: String(token.expiresAt - world.now()),
    ...(hasEmail ? { email: token.subject, email_verified: 'true' } : {}),
    access_type: grant ? 'offline' : 'online',
  })
}

function tokenOf(received: Received): string | undefined {
  const bearer = /^Bearer ([^\s]+)$/.exec(received.authorization ?? '')?.[1]
  if (received.method === 'GET') return received.query.get('access_token') ?? bearer
  return received.body === '' ? bearer : (readForm(received).get('access_token') ?? bearer)
}
