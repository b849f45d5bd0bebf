import { readForm, requiredParameter } from './form.ts'
import { refuse } from './refusals.ts'
import { revokeGrant } from './refresh-token-grant.ts'
import { jsonReply, type Received, type Reply } from './reply.ts'
import type { World } from './world.ts'

/**
 * `POST https://oauth2.googleapis.com/revoke`: a refresh token, or an access token made from one,
 * kills the whole grant; a service account's token cannot be revoked here (docs/google.md §1.5).
 */
export function answerRevoke(world: World, received: Received): Reply {
  const value = requiredParameter(readForm(received), 'token')
  const token = world.tokens.find(value)
  const grant = world.grants.find(token?.grant ?? value)
  if (!grant) return refuse(token ? 'token_not_revocable' : 'token_dead')
  const isDead = grant.state !== 'live' || (token ? !world.tokens.findLive(value) : value !== grant.current)
  if (isDead) return refuse('token_dead')
  if (!world.tuning().revokesTokenOnly) revokeGrant(world, grant)
  return jsonReply({})
}
