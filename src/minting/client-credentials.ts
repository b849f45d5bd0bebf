import { unusableCredential, BrokerError, type BrokerErrorDetails } from '../domain/broker-error.ts'
import type { OAuthClient } from '../domain/credential.ts'
import type { Grant } from '../domain/grant.ts'
import type { Credentials } from '../records/credentials.ts'
import { grantingAnswer, type RequestToken } from '../oauth/token-endpoint.ts'
import { type ConfirmScopes, type MintAtUpstream, refusalRemembered } from './confirm-scopes.ts'
import { createRecordHealth, type RecordHealthDeps } from './record-health.ts'
import { parseAccessToken, parseReplyMembers, requireScopes } from '../oauth/token-response.ts'
import { judgeFailure } from '../oauth/upstream-failure.ts'

export interface ClientCredentialsDeps extends RecordHealthDeps {
  readonly ask: RequestToken
  readonly confirmScopes: ConfirmScopes
  readonly credentials: Pick<Credentials, 'openSecret' | 'noteHealth'>
}

/** A token that an OAuth client gets for itself (RFC 6749 §4.4), of exactly the granted scopes. */
export function createMintFromClientCredentials(deps: ClientCredentialsDeps): MintAtUpstream {
  const noteHealth = createRecordHealth(deps)

  const openClient = async ({ credential: { name, version } }: Grant): Promise<OAuthClient> => {
    const { secret } = await deps.credentials.openSecret(name, version)
    if (secret.kind === 'client_credentials') return secret.client
    throw unusableCredential(name, 'holds no OAuth client')
  }

  return async ({ grant, reached, deadlineMs }) => {
    refuseWhatItCannotGive(grant)
    const { upstream } = reached
    const client = await openClient(grant)
    const { reply, secrets } = await deps.ask({
      reached,
      client,
      credential: grant.credential.name,
      form: { grant_type: 'client_credentials', scope: grant.scopes.join(upstream.scopeSeparator) },
      repeatable: 'always',
      deadlineMs,
    })
    const granting = grantingAnswer(reply, upstream)
    if (granting === undefined) {
      const { invalidGrantErrors } = upstream
      const failure = judgeFailure(reply, { now: deps.clock.now(), secrets, invalidGrantErrors })
      const { error, blamesCredential } = failure
      // Nothing is deleted, and the next success says healthy again (P17).
      if (blamesCredential) await noteHealth(grant.credential, { status: 'broken', reason: error.reason })
      throw error
    }
    const members = parseReplyMembers(granting.answer)
    const parsed = members.ok ? parseAccessToken(members.value, upstream) : members
    if (!parsed.ok) throw replyHas(parsed.fault)
    const confirmed = await deps.confirmScopes({
      reply: parsed.value,
      asked: grant.scopes,
      sentAt: granting.sentAt,
      drawnFrom: [grant.credential.version],
      reached,
      client,
      credential: grant.credential.name,
      mayKeepRoles: upstream.acceptsRoles,
      deadlineMs,
    })
    if (!confirmed.ok) throw replyHas(confirmed.fault, { rememberFor: refusalRemembered })
    await noteHealth(grant.credential, { status: 'healthy' })
    return confirmed.value.token
  }
}

function replyHas(fault: string, more: Pick<BrokerErrorDetails, 'rememberFor'> = {}): BrokerError {
  const reason = `the token endpoint's reply to client credentials has ${fault}`
  return new BrokerError('upstream_nonsense', { reason, ...more })
}

function refuseWhatItCannotGive(grant: Grant): void {
  const { credential, tokenType, subject } = grant
  if (tokenType === 'id_token' || subject !== undefined)
    throw new BrokerError('target_unavailable', {
      reason: `credential ${credential.name}: client credentials give no ID token and act for no user`,
    })
  // Without a scope the upstream would give whatever the client may have.
  requireScopes(grant)
}
