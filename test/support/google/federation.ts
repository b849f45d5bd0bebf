import { createLocalJWKSet, decodeProtectedHeader, type JWTPayload, jwtVerify } from 'jose'
import { parseOptions } from './boundary.ts'
import { type Form, requiredParameter } from './form.ts'
import { refuse } from './refusals.ts'
import { jsonReply, notImplemented, type Reply } from './reply.ts'
import { parseScopes } from './scopes.ts'
import { federatedPrincipal, type PoolProvider, poolOf } from './workload-pools.ts'
import type { World } from './world.ts'

const ALGORITHMS = ['RS256', 'ES256']
const AGE_SECONDS_MAX = 24 * 3600

/** A federated access token for a JWT that a configured pool provider trusts (docs/google.md §2.1). */
export async function answerFederation(world: World, form: Form): Promise<Reply> {
  const audience = requiredParameter(form, 'audience')
  if (poolOf(audience) === undefined) return refuse('audience_malformed')
  const provider = world.pools.find(audience)
  if (!provider || provider.disabled) return refuse('pool_unknown')
  const options = form.get('options') ?? ''
  if (options !== '' && Object.keys(parseOptions(options)).length > 0) {
    return notImplemented('options with a federated subject token')
  }
  const scopes = parseScopes(form.get('scope') ?? '')
  if (scopes.length === 0) return refuse('scope_missing')
  // Node and Python send the newline at the end of their token file.
  const claims = await verifySubject(world, provider, requiredParameter(form, 'subject_token').trim())
  if (!(provider.condition?.(claims) ?? true)) return refuse('attribute_condition')
  const { tokenLifetime } = world.tuning()
  const token = world.tokens.issue({
    kind: 'federated',
    scopes,
    subject: federatedPrincipal(audience, claims.sub ?? ''),
    expiresAt: world.now() + tokenLifetime,
  })
  return jsonReply({
    access_token: token.value,
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'Bearer',
    expires_in: tokenLifetime,
  })
}

async function verifySubject(world: World, provider: PoolProvider, jwt: string): Promise<JWTPayload> {
  const defaults = [provider.audience, `https:${provider.audience}`]
  try {
    if (decodeProtectedHeader(jwt).kid === undefined) return refuse('subject_token_bad')
    const { payload } = await jwtVerify(jwt, createLocalJWKSet(provider.jwks), {
      algorithms: ALGORITHMS,
      issuer: provider.issuer,
      audience: [...(provider.allowedAudiences ?? defaults)],
      requiredClaims: ['sub', 'exp', 'iat'],
      maxTokenAge: AGE_SECONDS_MAX,
      currentDate: new Date(world.now() * 1000),
    })
    return payload
  } catch {
    return refuse('subject_token_bad')
  }
}
