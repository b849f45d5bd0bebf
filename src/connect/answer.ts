import { fault, type Result } from '../domain/result.ts'
import * as oauth from 'oauth4webapi'
import { BrokerError, isBrokerError } from '../domain/broker-error.ts'
import type { Connection } from '../domain/connection.ts'
import { isSameAccount, type Account, type OAuthClient } from '../domain/credential.ts'
import { isMembers, parseJsonObject } from '../domain/json.ts'
import { quote } from '../domain/text.ts'
import { scopeSet, type ScopeSet } from '../domain/scopes.ts'
import { Secret } from '../domain/secret.ts'
import type { Upstream } from '../domain/upstream.ts'
import { connectionPlace, type ConnectionRecord } from '../records/connections.ts'
import { judgeAccount } from './account.ts'
import { type ConnectDeps, noteConsent } from './connect-deps.ts'
import type { ResolvedUpstream } from '../oauth/resolve-upstream.ts'
import type { RedeemedCode } from '../oauth/redeem-code.ts'
import { redirectUriOf } from './consent.ts'
import { giveBackTokens } from './end.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import { fullName } from '../oauth/token-response.ts'

/** What a browser brings back from an upstream. */
export interface ConsentAnswer {
  /** Of the path that it came to. */
  readonly upstream: string
  readonly parameters: URLSearchParams
  /** The cookie of the browser that went on with that connection. */
  readonly browserOf: (id: string) => string | undefined
  readonly requestId: string
}

export type AnsweredConsent =
  /** No consent that began in this browser: nothing was asked and nothing changed. */
  { readonly kind: 'unmatched' } | { readonly kind: 'answered'; readonly connection: Connection }

/**
 * The end of a consent at the upstream. Cookie, `state`, PKCE and nonce are all of the browser that went on, and the code
 * goes to the flow's own upstream alone (T17, CVE-2026-27124). An answer counts once.
 */
export function createAnswerConsent(deps: ConnectDeps): (answer: ConsentAnswer) => Promise<AnsweredConsent> {
  const { connections, sha256, keyRing } = deps

  const match = async ({ upstream, parameters, browserOf }: ConsentAnswer) => {
    const states = parameters.getAll('state')
    const [state = ''] = states
    const id = state.split('.')[0] ?? ''
    const browser = browserOf(id)
    const found = await connections.find(id)
    if (states.length !== 1 || browser === undefined || found?.flow === undefined) return undefined
    const { browserDigest, stateDigest, sealed } = found.flow
    const isOurs = browserDigest === (await sha256(browser)) && stateDigest === (await sha256(state))
    const isWaiting = found.state === 'pending' && deps.clock.now() < found.expiresAt
    if (!isOurs || found.upstream !== upstream || !isWaiting || sealed === undefined) return undefined
    return { found, sealed, state }
  }

  return async (answer) => {
    const matched = await match(answer)
    if (matched === undefined) return { kind: 'unmatched' }
    const { found, sealed, state } = matched
    const place = connectionPlace(found.id, 'flow')
    const { verifier, nonce } = flowSecrets(await keyRing.open(sealed, place))
    // Used up before anything is asked: of two answers one comes here.
    let isFirst = false
    await connections.change(found.id, (before) => {
      isFirst = before.flow?.sealed === sealed
      if (!isFirst || before.flow === undefined) return before
      const { sealed: _, ...flow } = before.flow
      return { ...before, flow }
    })
    if (!isFirst) return { kind: 'unmatched' }
    const judged = await judgeAnswer(deps, found, { parameters: answer.parameters, state, verifier, nonce })
    const connection = await store(deps, found, judged)
    await noteConsent(deps, connection, answer.requestId)
    return { kind: 'answered', connection }
  }
}

interface Flow {
  readonly parameters: URLSearchParams
  readonly state: string
  readonly verifier: string
  readonly nonce: string
}

interface Granted {
  readonly account: Account | undefined
  readonly granted: ScopeSet
  readonly tokens: RedeemedCode & { readonly refreshToken: Secret }
}

type Judged = Result<Granted>

async function judgeAnswer(deps: ConnectDeps, found: ConnectionRecord, flow: Flow): Promise<Judged> {
  const { upstream: name } = found
  try {
    const stopped = await deps.whyStopped(found.startedBy)
    if (stopped !== undefined) return fault(stopped)
    const reached = await deps.reach(name)
    const client = await deps.clientOf(found.client, name)
    const code = codeIn(reached, client, flow)
    if (!code.ok) return fault(code.fault)
    const at = { reached, client, credential: found.client }
    const tokens = await deps.redeem({
      ...at,
      code: new Secret(code.value),
      verifier: new Secret(flow.verifier),
      redirectUri: redirectUriOf(deps.issuer, name),
    })
    const judged = await judgeTokens(deps, found, { reached, client, tokens, nonce: flow.nonce })
    if (!judged.ok && tokens.refreshToken !== undefined)
      await giveBackTokens(deps, found, { refreshToken: tokens.refreshToken, account: judged.account })
    return judged
  } catch (error) {
    if (!isBrokerError(error)) throw error
    // The code is spent, or the upstream is down: either way this link is over.
    return fault(`${name} did not give what was consented to: ${error.reason}. Ask for a new link`)
  }
}

function codeIn(
  { upstream, tokenUrl, announcesIssuer }: ResolvedUpstream,
  { id }: OAuthClient,
  { parameters, state }: Flow,
): Result<string> {
  const server: oauth.AuthorizationServer = {
    issuer: upstream.issuer ?? new URL(tokenUrl).origin,
    authorization_response_iss_parameter_supported: announcesIssuer === true,
  }
  // A server that has no issuer of its own may send what it likes there.
  const checked = new URLSearchParams(parameters)
  if (upstream.issuer === undefined && announcesIssuer !== true) checked.delete('iss')
  try {
    const callback = oauth.validateAuthResponse(server, { client_id: id }, checked, state)
    const code = callback.get('code')
    return code === null ? fault('the answer has no code') : { ok: true, value: code }
  } catch (error) {
    if (error instanceof oauth.AuthorizationResponseError) return fault(wordsOf(error))
    return fault(`the answer does not come from ${upstream.name}, or is not whole`)
  }
}

/** RFC 6749 §4.1.2.1. */
function wordsOf({ error, error_description: description }: oauth.AuthorizationResponseError): string {
  if (error === 'access_denied') return 'the person refused at the upstream, or may not consent there'
  return `the upstream refused: ${quote(error)}${description === undefined ? '' : ` ${quote(description)}`}`
}

interface Came {
  readonly reached: ResolvedUpstream
  readonly client: OAuthClient
  readonly tokens: RedeemedCode
  readonly nonce: string
}

async function judgeTokens(
  deps: ConnectDeps,
  found: ConnectionRecord,
  { reached: { upstream }, client, tokens, nonce }: Came,
): Promise<Judged & { readonly account?: Account | undefined }> {
  const judged = await judgeAccount(deps, { upstream, tokens, clientId: client.id, nonce })
  if (!judged.ok) return fault(judged.fault)
  const { value: account } = judged
  const wrong = accountFault(found, account)
  if (wrong !== undefined) return { ...fault(wrong), account }
  const { refreshToken } = tokens
  if (refreshToken === undefined) return { ...fault(noRefreshToken(upstream.name)), account }
  const granted = grantedOf(found.scopes, tokens.scopes, upstream)
  if (!granted.some((scope) => found.scopes.includes(scope)))
    return { ...fault('none of the scopes that were asked for came'), account }
  return { ok: true, value: { account, granted, tokens: { ...tokens, refreshToken } } }
}

function accountFault(found: ConnectionRecord, account: Account | undefined): string | undefined {
  const { expectedAccount, former, replacesAccount } = found
  if (expectedAccount !== undefined && account?.name !== expectedAccount) {
    const came = account === undefined ? 'nobody knows whose it is' : `${quote(account.name)} came`
    return `another account was expected: ${quote(expectedAccount)}, and ${came}`
  }
  const before = former?.account
  if (before === undefined || replacesAccount || isSameAccount(before, account)) return undefined
  // T15: an address that was given to somebody else.
  if (account !== undefined && before.name === account.name)
    return `${quote(account.name)} is another account than it was: with replace_account it may take its place`
  return undefined
}

function noRefreshToken(upstream: string): string {
  const hints: Readonly<Record<string, string>> = {
    google:
      'Google gives one only with access_type=offline, which was asked for: is the client of the type "Web application"?',
    microsoft: 'Microsoft gives one for the scope offline_access: does the app registration allow it?',
    github: 'GitHub gives one where "Expire user authorization tokens" of the app is on',
    slack: 'Slack gives one where token rotation of the app is on',
    salesforce: 'Salesforce gives one for the scope refresh_token: does the connected app allow it?',
  }
  const hint =
    hints[upstream] ?? 'most servers give one for the scope offline_access, or for a setting of the client'
  return `no refresh token came, so nothing can be kept. ${hint}`
}

/**
 * T20: what was asked for and came. Where a refresh cannot be narrowed, that includes what was asked for beside it to learn
 * who consents: every token carries it.
 */
function grantedOf(
  asked: ScopeSet,
  came: ScopeSet | undefined,
  { scopeInRefresh, consent }: Upstream,
): ScopeSet {
  if (came === undefined) return asked
  const besides = scopeInRefresh === 'omit' ? (consent?.scopes ?? []) : []
  return scopeSet([...asked, ...besides]).filter(
    (scope) => came.includes(scope) || came.includes(fullName(scope)),
  )
}

async function store(deps: ConnectDeps, found: ConnectionRecord, judged: Judged): Promise<Connection> {
  const { id } = found
  if (!judged.ok) {
    const after = await deps.connections.change(id, (before) =>
      before.state === 'pending' ? { ...before, state: 'rejected', reason: judged.fault } : before,
    )
    return after ?? gone(found)
  }
  const { tokens, account, granted } = judged.value
  const { refreshToken, refreshTokenEndsAt: endsAt } = tokens
  const secrets = JSON.stringify({
    refreshToken: refreshToken.reveal(),
    ...omitUndefined({ endsAt }),
  })
  const sealedGrant = await deps.keyRing.seal(new Secret(secrets), connectionPlace(id, 'grant'))
  const after = await deps.connections.change(id, (before) =>
    before.state === 'pending'
      ? {
          ...before,
          state: 'consented',
          ...omitUndefined({ account }),
          granted,
          sealedGrant,
        }
      : before,
  )
  // It was ended in between: what came is not kept.
  if (after?.sealedGrant !== sealedGrant) await giveBackTokens(deps, found, { refreshToken, account })
  return after ?? gone(found)
}

function gone(found: ConnectionRecord): Connection {
  return { ...found, state: 'rejected', reason: 'it is gone' }
}

function flowSecrets(opened: Secret): { readonly verifier: string; readonly nonce: string } {
  const members = parseJsonObject(opened.reveal())
  const { verifier, nonce } = isMembers(members) ? members : {}
  if (typeof verifier !== 'string' || typeof nonce !== 'string')
    throw new BrokerError('store_unavailable', { reason: 'a sealed consent is malformed' })
  return { verifier, nonce }
}
