import { createHash, randomBytes } from 'node:crypto'
import { type Form, requiredParameter } from './form.ts'
import { refuse } from './refusals.ts'
import { authenticateClient } from './refresh-token-grant.ts'
import { jsonReply, type Received, type Reply } from './reply.ts'
import type { World } from './world.ts'

/** Who sits at the browser, and whether they consent. */
export type Person = { readonly email: string; readonly consents: boolean }

export type PendingCode = {
  readonly clientId: string
  readonly redirectUri: string
  readonly challenge: string
  readonly scopes: readonly string[]
  readonly user: string
}

/** `https://accounts.google.com/o/oauth2/v2/auth`, as a person would have answered it (docs/google.md §1.4). */
export function answerAuthorize(world: World, { query }: Received): Reply {
  const of = (name: string) => query.get(name) ?? ''
  const { email, consents } = world.person()
  const clientId = of('client_id')
  const answer = (parameters: Readonly<Record<string, string>>): Reply => {
    const location = new URL(of('redirect_uri'))
    for (const [name, value] of Object.entries({ state: of('state'), ...parameters }))
      location.searchParams.set(name, value)
    return { status: 302, headers: { location: location.href }, body: '' }
  }
  const isKnown = world.grants.standing(clientId, email).length > 0
  if (of('prompt') === 'none' && !isKnown) return answer({ error: 'interaction_required' })
  if (of('prompt') !== 'none' && !consents) return answer({ error: 'access_denied' })
  const code = `4/${randomBytes(32).toString('base64url')}`
  world.codes.set(code, {
    clientId,
    redirectUri: of('redirect_uri'),
    challenge: of('code_challenge'),
    scopes: of('scope').split(' '),
    user: email,
  })
  return answer({ code, scope: of('scope') })
}

/** `grant_type=authorization_code`, with PKCE (S256). */
export function answerCode(world: World, form: Form): Reply {
  const clientId = authenticateClient(world, form)
  const code = requiredParameter(form, 'code')
  const pending = world.codes.get(code)
  world.codes.delete(code)
  const verifier = createHash('sha256')
    .update(form.get('code_verifier') ?? '')
    .digest('base64url')
  if (pending === undefined || pending.clientId !== clientId || pending.challenge !== verifier)
    return refuse('grant_unknown')
  if (pending.redirectUri !== form.get('redirect_uri')) return refuse('grant_unknown')
  const { scopes, user } = pending
  const { refresh_token: refreshToken } = world.grants.create({ scopes, user, clientId })
  const { tokenLifetime } = world.tuning()
  const expiresAt = world.now() + tokenLifetime
  const token = world.tokens.issue({ kind: 'user', scopes, subject: user, grant: refreshToken, expiresAt })
  return jsonReply({
    access_token: token.value,
    expires_in: tokenLifetime,
    refresh_token: refreshToken,
    scope: scopes.join(' '),
    token_type: 'Bearer',
  })
}
