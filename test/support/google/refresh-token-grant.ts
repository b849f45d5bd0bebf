import { type Form, requiredParameter } from './form.ts'
import type { RefreshGrant } from './refresh-grants.ts'
import { refuse } from './refusals.ts'
import { jsonReply, notImplemented, type Reply } from './reply.ts'
import { EMAIL, parseScopes, REAUTH } from './scopes.ts'
import { numericId } from './service-accounts.ts'
import type { World } from './world.ts'

/**
 * An access token of exactly the scopes asked for, or of all consented ones when none are named.
 * Decides in Google's order: the client, then the grant, then the scopes; a refused request
 * rotates nothing (docs/google.md §1.1).
 */
export async function answerRefresh(world: World, form: Form): Promise<Reply> {
  if (form.has('target_audience') || form.has('audience')) {
    return notImplemented('an audience with a refresh token')
  }
  const clientId = authenticateClient(world, form)
  const grant = liveGrant(world, requiredParameter(form, 'refresh_token'), clientId)
  const scopes = narrow(grant, form.get('scope') ?? '', world.tuning().impliesScopes)
  const rotated = grant.rotating ? world.grants.rotate(grant) : undefined
  const { tokenLifetime } = world.tuning()
  const token = world.tokens.issue({
    kind: 'user',
    scopes,
    subject: grant.user,
    grant: grant.id,
    expiresAt: world.now() + tokenLifetime,
  })
  const idToken = scopes.includes('openid') ? await signIdToken(world, grant, token) : undefined
  return jsonReply({
    access_token: token.value,
    expires_in: tokenLifetime,
    ...(rotated === undefined ? {} : { refresh_token: rotated }),
    scope: scopes.join(' '),
    token_type: 'Bearer',
    ...(idToken === undefined ? {} : { id_token: idToken }),
  })
}

export function authenticateClient(world: World, form: Form): string {
  const clientId = form.get('client_id') ?? ''
  const secret = form.get('client_secret') ?? ''
  if (clientId === '') return refuse('invalid_request', 'Could not determine client ID from request.') // MEM
  const expected = world.grants.clientSecrets(clientId)
  if (expected.length === 0) return refuse('client_unknown')
  if (world.grants.isDeletedClient(clientId)) return refuse('client_deleted')
  if (secret === '') return refuse('invalid_request', 'client_secret is missing.') // MEM
  return expected.includes(secret) ? clientId : refuse('client_secret_wrong')
}

function liveGrant(world: World, refreshToken: string, clientId: string): RefreshGrant {
  const grant = world.grants.find(refreshToken)
  if (!grant) return refuse('grant_unknown')
  if (grant.clientId !== clientId) return refuse('client_mismatch')
  if (grant.state === 'user_deleted') return refuse('user_deleted')
  if (grant.state === 'rapt_required') return refuse('invalid_rapt')
  if (grant.state !== 'live') return refuse('grant_revoked')
  if (refreshToken === grant.current) return grant
  if (grant.reuseDetection) revokeGrant(world, grant)
  return refuse('grant_revoked')
}

/** Kills the refresh tokens of a grant and every access token made from them. */
export function revokeGrant(world: World, grant: RefreshGrant): void {
  world.grants.setState(grant.id, 'revoked')
  world.tokens.revokeGrant(grant.id)
}

// Literal set membership: a broader consented scope implies nothing (docs/google.md §1.1).
function narrow(grant: RefreshGrant, scope: string, isImplied: boolean): readonly string[] {
  const asked = parseScopes(scope)
  if (asked.length === 0) return grant.scopes
  const isGranted = (one: string) => isImplied || grant.scopes.includes(one) || one === REAUTH
  return asked.every(isGranted) ? asked : refuse('scope_not_granted')
}

async function signIdToken(world: World, grant: RefreshGrant, token: { value: string }) {
  const email = grant.scopes.includes(EMAIL) ? grant.user : undefined
  const claims = {
    sub: numericId(grant.user),
    aud: grant.clientId,
    azp: grant.clientId,
    email,
    accessToken: token.value,
  }
  const signed = await world.idTokens.sign(claims)
  world.tokens.remember(signed.token, {
    kind: 'id_token',
    scopes: [],
    subject: grant.user,
    audience: grant.clientId,
    grant: grant.id,
    expiresAt: signed.expiresAt,
  })
  return signed.token
}
