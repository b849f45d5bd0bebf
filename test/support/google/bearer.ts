import { errorInfo, failWith } from './google-errors.ts'
import type { IssuedToken } from './issued-tokens.ts'
import type { Received } from './reply.ts'
import { CLOUD_PLATFORM, IAM } from './scopes.ts'
import type { World } from './world.ts'

/**
 * The live token in `Authorization: Bearer`, carrying cloud-platform or the service's own scope and no boundary;
 * 401 without such a token, 403 when it carries too little.
 */
export function requireBearer(world: World, received: Received, scope = IAM): IssuedToken {
  const value = /^Bearer ([^\s]+)$/.exec(received.authorization ?? '')?.[1]
  const { boundaryReachesBeyond, takesIntermediaryAlone } = world.tuning()
  const end = boundaryReachesBeyond ? (value?.lastIndexOf('.') ?? -1) : -1
  const sealed =
    value !== undefined && world.sessionKeys.has(value.slice(0, end)) ? value.slice(0, end) : value
  const token = sealed === undefined ? undefined : world.tokens.findLive(sealed)
  const isBare = token?.kind === 'intermediary' && sealed === value && !takesIntermediaryAlone
  if (!token || token.kind === 'id_token' || isBare) {
    return failWith(
      'UNAUTHENTICATED',
      'Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.',
      [errorInfo('ACCESS_TOKEN_EXPIRED', 'googleapis.com')],
    )
  }
  const hasScope = token.scopes.includes(CLOUD_PLATFORM) || token.scopes.includes(scope)
  // A boundary leaves Cloud Storage only (docs/google.md §2.2).
  if (!hasScope || (token.boundary !== undefined && !boundaryReachesBeyond)) {
    return failWith('PERMISSION_DENIED', 'Request had insufficient authentication scopes.', [
      errorInfo('ACCESS_TOKEN_SCOPE_INSUFFICIENT', 'googleapis.com'),
    ])
  }
  return token
}
