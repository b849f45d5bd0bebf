import { BrokerError } from '../domain/broker-error.ts'
import type { Connection } from '../domain/connection.ts'
import { Secret, unguessable } from '../domain/secret.ts'
import { connectionPlace, type ConnectionRecord } from '../records/connections.ts'
import { type ConnectDeps, noteConsent } from './connect-deps.ts'
import type { ResolvedUpstream } from '../oauth/resolve-upstream.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import { type AuthorizationRequest, authorizationRequestUrl } from '../oauth/authorization-request.ts'

/** A link as somebody opened it. */
export type OpenedLink =
  | { readonly kind: 'open'; readonly connection: Connection; readonly upstreamOrigin: string }
  /** Used, over, or no link at all: one answer for all that are not open. */
  | { readonly kind: 'closed' }

export interface ConsentBegun {
  readonly id: string
  /** The upstream's page of consent. */
  readonly url: string
  /** For the cookie of the browser that continued. */
  readonly browser: string
}

export interface ConsentPages {
  /** What the link is for. Uses nothing up: mail scanners open links too. */
  readonly open: (link: string) => Promise<OpenedLink>
  /** `undefined` where the link is not open any more. */
  readonly refuse: (link: string, requestId: string) => Promise<Connection | undefined>
  /** Uses the link up, and sends the browser to the upstream; `undefined` where the link is not open any more. */
  readonly beginConsent: (link: string) => Promise<ConsentBegun | undefined>
}

/** Throws what the upstream's discovery throws while it is down: the link stays then. */
export function createConsentPages(deps: ConnectDeps): ConsentPages {
  const { connections, sha256, keyRing, entropy } = deps

  const findOpen = async (link: string): Promise<ConnectionRecord | undefined> => {
    const [id = '', secret = ''] = link.split('.')
    const found = await connections.find(id)
    if (found === undefined || found.linkDigest !== (await sha256(secret))) return undefined
    if (!isOpen(found, deps.clock.now())) return undefined
    return (await deps.whyStopped(found.startedBy)) === undefined ? found : undefined
  }

  return {
    open: async (link) => {
      const connection = await findOpen(link)
      if (connection === undefined) return { kind: 'closed' }
      const { authorizationUrl } = await deps.reach(connection.upstream)
      return { kind: 'open', connection, upstreamOrigin: new URL(requirePage(authorizationUrl)).origin }
    },
    refuse: async (link, requestId) => {
      const found = await findOpen(link)
      if (found === undefined) return undefined
      const changed = await connections.change(found.id, (before) =>
        isOpen(before, deps.clock.now())
          ? { ...before, state: 'rejected', reason: 'it was refused on the page of consent' }
          : before,
      )
      if (changed?.state !== 'rejected') return undefined
      await noteConsent(deps, changed, requestId)
      return changed
    },
    beginConsent: async (link) => {
      const found = await findOpen(link)
      if (found === undefined) return undefined
      const { id } = found
      const reached = await deps.reach(found.upstream)
      const client = await deps.clientOf(found.client, found.upstream)
      const [browser, verifier, nonce] = [unguessable(entropy), unguessable(entropy), unguessable(entropy)]
      const state = `${id}.${unguessable(entropy)}`
      const secrets = new Secret(JSON.stringify({ verifier, nonce }))
      const flow = {
        browserDigest: await sha256(browser),
        stateDigest: await sha256(state),
        sealed: await keyRing.seal(secrets, connectionPlace(id, 'flow')),
      }
      const changed = await connections.change(id, (before) =>
        isOpen(before, deps.clock.now()) ? { ...before, flow } : before,
      )
      // Another browser continued in between: the link is used up.
      if (changed?.flow?.browserDigest !== flow.browserDigest) return undefined
      const asked = { clientId: client.id, redirectUri: redirectUriOf(deps.issuer, found.upstream) }
      const url = await consentUrl(reached, found, { ...asked, state, nonce, verifier })
      return { id, url, browser }
    },
  }
}

/** T17: each upstream has a redirect URI of its own, so that no answer of one is taken for another's. */
export function redirectUriOf(issuer: string, upstream: string): string {
  return `${issuer.replace(/\/$/, '')}/connect/callback/${upstream}`
}

/** No browser has continued with it yet, and it is not over. */
function isOpen({ state, flow, expiresAt }: ConnectionRecord, now: number): boolean {
  return state === 'pending' && flow === undefined && now < expiresAt
}

async function consentUrl(
  { upstream, authorizationUrl, hasOfflineAccess }: ResolvedUpstream,
  { scopes: askedScopes, expectedAccount }: ConnectionRecord,
  request: Omit<AuthorizationRequest, 'scope'>,
): Promise<string> {
  const wanted = upstream.consent ?? { scopes: [], parameters: {} }
  // OpenID Connect Core §11: it is given only where the person is asked.
  const offline = hasOfflineAccess === true ? ['offline_access'] : []
  const scopes = [...new Set([...askedScopes, ...wanted.scopes, ...offline])]
  const more = {
    ...(offline.length > 0 && { prompt: 'consent' }),
    ...wanted.parameters,
    ...omitUndefined({ login_hint: expectedAccount }),
  }
  const scope = scopes.join(upstream.scopeSeparator)
  return authorizationRequestUrl(requirePage(authorizationUrl), { ...request, scope }, more)
}

function requirePage(url: string | undefined): string {
  if (url !== undefined) return url
  throw new BrokerError('target_unavailable', { reason: 'the upstream has no page of consent any more' })
}
