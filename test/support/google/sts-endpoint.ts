import { type AccessBoundary, parseBoundaryOptions } from './boundary.ts'
import { createSessionKey } from './boundary-tokens.ts'
import { answerFederation } from './federation.ts'
import { type Form, readForm, requiredParameter } from './form.ts'
import { refuse } from './refusals.ts'
import { jsonReply, notImplemented, type Received, type Reply } from './reply.ts'
import type { IssuedToken } from './issued-tokens.ts'
import { CLOUD_PLATFORM } from './scopes.ts'
import type { World } from './world.ts'

const ACCESS_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:access_token'
const TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:'
const INTERMEDIARY = `${TOKEN_TYPE}access_boundary_intermediary_token`
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const unbuilt = new Set(['saml2', 'mtls'].map((name) => TOKEN_TYPE + name)).add(
  'urn:ietf:params:aws:token-type:aws4_request',
)

/**
 * `POST https://sts.googleapis.com/v1/token`: an access token in, a downscoped one out; a foreign
 * JWT in, a federated one out (docs/google.md §2.1, §2.2). A Basic header is tolerated and means nothing.
 */
export async function answerSts(world: World, received: Received): Promise<Reply> {
  const form = readForm(received)
  const grantType = form.get('grant_type') ?? ''
  if (grantType !== EXCHANGE) {
    return refuse('unsupported_grant_type', `Invalid grant_type: ${grantType}`)
  }
  for (const name of ['actor_token', 'actor_token_type', 'resource']) {
    if ((form.get(name) ?? '') !== '') return notImplemented(`${name} at the STS`)
  }
  const wanted = requiredParameter(form, 'requested_token_type')
  if (wanted === INTERMEDIARY) return answerIntermediary(world, form)
  if (wanted !== ACCESS_TOKEN_TYPE) return refuse('invalid_request', 'Invalid requested_token_type')
  const type = requiredParameter(form, 'subject_token_type')
  if (type === ACCESS_TOKEN_TYPE) return answerDownscoping(world, form)
  if (type === `${TOKEN_TYPE}jwt` || type === `${TOKEN_TYPE}id_token`) {
    return answerFederation(world, form)
  }
  if (unbuilt.has(type)) return notImplemented(`subject_token_type=${type}`)
  return refuse('invalid_request', 'Invalid subject_token_type')
}

function answerDownscoping(world: World, form: Form): Reply {
  for (const name of ['audience', 'scope']) {
    if ((form.get(name) ?? '') !== '') {
      return refuse('invalid_request', `${name} does not go with an access boundary`)
    }
  }
  const source = world.tokens.findLive(requiredParameter(form, 'subject_token'))
  if (!source || source.kind === 'id_token' || source.kind === 'intermediary')
    return refuse('subject_token_bad')
  refuseNarrow(world, source)
  const { takesAnyCondition, boundsTwice } = world.tuning()
  const boundary: AccessBoundary = parseBoundaryOptions(requiredParameter(form, 'options'), takesAnyCondition)
  if (source.boundary !== undefined && !boundsTwice) {
    return refuse('invalid_request', 'you cannot apply additional security attributes')
  }
  const { actor, subject, scopes, keyId, grant } = source
  const now = world.now()
  // Never later than the source token.
  const expiresAt = Math.min(now + world.tuning().tokenLifetime, source.expiresAt)
  const token = world.tokens.issue({
    kind: 'downscoped',
    scopes,
    subject,
    actor,
    keyId,
    grant,
    boundary,
    sourceToken: source.value,
    expiresAt,
  })
  // Google leaves expires_in out when the source is a user's token (docs/google.md §2.1).
  const isUsers = source.kind === 'user' || source.kind === 'delegated'
  return jsonReply({
    access_token: token.value,
    issued_token_type: ACCESS_TOKEN_TYPE,
    token_type: 'Bearer',
    ...(isUsers ? {} : { expires_in: expiresAt - now }),
  })
}

function refuseNarrow(world: World, source: IssuedToken): void {
  if (world.tuning().refusesNarrowSources && !source.scopes.includes(CLOUD_PLATFORM)) refuse('source_narrow')
}

/** A token that is good for nothing until a boundary is sealed behind it, and the key that seals. */
async function answerIntermediary(world: World, form: Form): Promise<Reply> {
  for (const name of ['audience', 'scope', 'options']) {
    if ((form.get(name) ?? '') !== '') {
      return refuse('invalid_request', `${name} does not go with an intermediary token`)
    }
  }
  if (requiredParameter(form, 'subject_token_type') !== ACCESS_TOKEN_TYPE) {
    return refuse('invalid_request', 'Invalid subject_token_type')
  }
  const source = world.tokens.findLive(requiredParameter(form, 'subject_token'))
  const isAccounts = source?.kind === 'service_account' || source?.kind === 'impersonated'
  if (!source || !isAccounts) return refuse('subject_token_bad')
  if (!source.scopes.includes(CLOUD_PLATFORM)) return refuse('source_narrow')
  const { actor, subject, scopes, keyId, expiresAt } = source
  const sessionKey = await createSessionKey(world.tuning().sessionKey)
  const token = world.tokens.issue({
    kind: 'intermediary',
    scopes,
    subject,
    actor,
    keyId,
    sourceToken: source.value,
    expiresAt,
  })
  world.sessionKeys.set(token.value, sessionKey)
  return jsonReply({
    access_token: token.value,
    access_boundary_session_key: Buffer.from(sessionKey.octets).toString('base64'),
    issued_token_type: INTERMEDIARY,
    token_type: 'Bearer',
    expires_in: expiresAt - world.now(),
  })
}
