import type { Result } from '../domain/result.ts'
import { BrokerError } from '../domain/broker-error.ts'
import type { Connection, FormerCredential } from '../domain/connection.ts'
import { credentialName, type CredentialSummary } from '../domain/credential.ts'
import { quote } from '../domain/text.ts'
import { later, seconds } from '../domain/time.ts'
import { unguessable } from '../domain/secret.ts'
import type { Upstream } from '../domain/upstream.ts'
import type { ConnectDeps, Starter } from './connect-deps.ts'
import type { ResolvedUpstream } from '../oauth/resolve-upstream.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

/** What an administrator asks for; nothing of it is believed yet. */
export interface ConnectionRequest {
  readonly name: string
  readonly upstream: string
  readonly scopes: readonly string[]
  /** Absent for a credential that was connected before: its client. */
  readonly client?: string
  readonly expectedAccount?: string
  readonly expiresIn?: number
  readonly replaceAccount?: boolean
}

export interface StartedConnection {
  readonly connection: Connection
  /** The link for whoever is to consent; told once. */
  readonly url: string
  /** For whoever started it, to finish it with; told once. */
  readonly nonce: string
}

const lifeDefault = 3_600

/** Begins a connection. Throws `document_invalid` with every fault, and `state_conflict` for a credential that is other. */
export function createStart(
  deps: ConnectDeps,
): (request: ConnectionRequest, by: Starter) => Promise<StartedConnection> {
  const { connections, credentials, clock, entropy, sha256 } = deps

  return async (request, by) => {
    const { name, upstream, expectedAccount } = request
    const stopped = await deps.whyStopped(by)
    if (stopped !== undefined) throw conflict(stopped)
    const before = await credentials.find(name)
    const client = request.client ?? before?.source
    const scopes = deps.readScopes(upstream, request.scopes)
    const reached = await reachOrFault(deps, upstream)
    const faults = [
      ...(credentialName.test(name) ? [] : [`name: must match ${credentialName.source}`]),
      ...(client === undefined ? ['client: must name the oauth_client credential that asks'] : []),
      ...(scopes.ok ? [] : scopes.faults),
      ...(scopes.ok && scopes.value.length === 0 ? ['scopes: must name at least one'] : []),
      ...(reached.ok ? faultsOfUpstream(reached.value, request) : [reached.fault]),
      ...(client === undefined ? [] : await faultsOfClient(deps, client, upstream)),
    ]
    if (faults.length > 0 || client === undefined || !scopes.ok) throw invalid(faults)
    if (before !== undefined && (before.kind !== 'refresh_token' || before.upstream !== upstream))
      throw conflict(
        `credential ${quote(name)} is a ${before.kind} of ${before.upstream}: choose another name`,
      )

    const id = entropy.uuid()
    const [link, nonce] = [unguessable(entropy), unguessable(entropy)]
    const now = clock.now()
    const connection: Connection = {
      id,
      name,
      upstream,
      client,
      scopes: scopes.value,
      ...omitUndefined({ expectedAccount }),
      replacesAccount: request.replaceAccount === true,
      startedBy: { issuer: by.issuer, subject: by.subject },
      createdAt: now,
      expiresAt: later(now, seconds(request.expiresIn ?? lifeDefault)),
      ...(before !== undefined && { former: formerOf(before) }),
      state: 'pending',
    }
    await connections.add({
      ...connection,
      linkDigest: await sha256(link),
      nonceDigest: await sha256(nonce),
    })
    const base = deps.issuer.replace(/\/$/, '')
    return { connection, url: `${base}/connect/${id}.${link}`, nonce }
  }
}

function formerOf({ createdAt, consentedScopes, account }: CredentialSummary): FormerCredential {
  return {
    createdAt,
    ...omitUndefined({ scopes: consentedScopes, account }),
  }
}

type Reached = Result<ResolvedUpstream>

async function reachOrFault({ reach }: ConnectDeps, upstream: string): Promise<Reached> {
  try {
    return { ok: true, value: await reach(upstream) }
  } catch (error) {
    if (!(error instanceof BrokerError) || error.code !== 'target_unavailable') throw error
    return {
      ok: false,
      fault: `upstream: ${quote(upstream)} is neither an upstream of the policy nor a preset`,
    }
  }
}

function faultsOfUpstream(
  { upstream, authorizationUrl }: ResolvedUpstream,
  { expectedAccount }: ConnectionRequest,
): readonly string[] {
  const fault =
    'upstream: nobody can consent there: its entry in the policy has no authorization_endpoint, nor has its metadata'
  return [
    ...(authorizationUrl === undefined ? [fault] : []),
    // T15: an expectation that nothing could be held against would be none.
    ...(expectedAccount !== undefined && !tellsAccount(upstream)
      ? [`expected_account: ${upstream.name} does not tell whose account consents`]
      : []),
  ]
}

/** Whether it says who consents: by an ID token, or by an endpoint of its own. */
function tellsAccount({ consent, issuer }: Upstream): boolean {
  if (consent?.account !== undefined) return true
  return issuer !== undefined && consent?.scopes.includes('openid') === true
}

/** T18: the client is one of this very upstream, and is switched on. */
async function faultsOfClient(
  { credentials }: ConnectDeps,
  name: string,
  upstream: string,
): Promise<readonly string[]> {
  const found = credentialName.test(name) ? await credentials.find(name) : undefined
  if (found === undefined) return [`client: no credential ${quote(name)} is enrolled`]
  if (found.kind !== 'oauth_client') return [`client: ${quote(name)} is a ${found.kind}, not an oauth_client`]
  if (found.upstream !== upstream) return [`client: ${quote(name)} is a client of ${found.upstream}`]
  return found.state === 'enabled' ? [] : [`client: ${quote(name)} is ${found.state}`]
}

function invalid(faults: readonly string[]): BrokerError {
  const text = faults.join('\n')
  return new BrokerError('document_invalid', { reason: text, publicDetail: text })
}

export function conflict(why: string): BrokerError {
  return new BrokerError('state_conflict', { reason: why, publicDetail: why })
}
