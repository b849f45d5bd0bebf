import type { Connection, ConnectionState } from '../domain/connection.ts'
import { type CredentialSummary, isSameAccount } from '../domain/credential.ts'
import { createAnswerConsent, type AnsweredConsent, type ConsentAnswer } from './answer.ts'
import type { ConnectDeps, Starter } from './connect-deps.ts'
import { createConsentPages, type ConsentPages } from './consent.ts'
import { createEndConnections, type EndConnections, openGrant } from './end.ts'
import { createStart, type ConnectionRequest, type StartedConnection, conflict } from './start.ts'
import { BrokerError } from '../domain/broker-error.ts'
import { quote } from '../domain/text.ts'
import { scopesBeyond, scopeSet } from '../domain/scopes.ts'
import type { ConnectionRecord } from '../records/connections.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

export interface ConnectionStatus {
  readonly connection: Connection
  readonly state: ConnectionState
}

/** A refresh token by consent: whoever asks starts and finishes it, and somebody else may consent in between. */
export interface Connect extends ConsentPages, EndConnections {
  readonly start: (request: ConnectionRequest, by: Starter) => Promise<StartedConnection>
  readonly read: (id: string) => Promise<ConnectionStatus>
  readonly finalize: (finalization: Finalization, by: Starter) => Promise<CredentialSummary>
  readonly answer: (answer: ConsentAnswer) => Promise<AnsweredConsent>
}

export function createConnect(deps: ConnectDeps): Connect {
  return {
    start: createStart(deps),
    read: async (id) => {
      const connection = await requireConnection(deps, id)
      return { connection, state: stateOf(connection, deps.clock.now()) }
    },
    finalize: createFinalize(deps),
    answer: createAnswerConsent(deps),
    ...createConsentPages(deps),
    ...createEndConnections(deps),
  }
}

interface Finalization {
  readonly id: string
  readonly nonce: string
  /** As the connection showed it. */
  readonly account?: string
  /** Exactly those that came, where fewer came than were asked for. */
  readonly acceptFewerScopes?: readonly string[]
  readonly replaceAccount?: boolean
}

/**
 * Enrols what was consented to. Throws `not_found`, `admin_forbidden` for anybody but who started it or without its nonce,
 * and `state_conflict` with what is to be decided. Nothing is enabled by it (T16).
 */
function createFinalize(
  deps: ConnectDeps,
): (finalization: Finalization, by: Starter) => Promise<CredentialSummary> {
  const { connections, credentials, sha256 } = deps

  return async (finalization, by) => {
    const found = await requireConnection(deps, finalization.id)
    if (found.startedBy.issuer !== by.issuer || found.startedBy.subject !== by.subject)
      throw forbidden('was started by somebody else')
    if (found.nonceDigest !== (await sha256(finalization.nonce))) throw forbidden('has a different nonce')
    const state = stateOf(found, deps.clock.now())
    if (state !== 'consented') throw conflict(whyNot(state, found))
    const stopped = await deps.whyStopped(by)
    if (stopped !== undefined) throw conflict(stopped)
    const before = await credentials.find(found.name)
    judgeFormer(found, before)
    judgeAccountGiven(found, finalization, before)
    await judgeScopes(deps, found, { finalization, before })
    // T18: its client may have been switched off meanwhile.
    const client = await deps.clientOf(found.client, found.upstream)
    const grant = await openGrant(deps, found)
    if (grant === undefined) throw conflict('what was consented to is gone: ask for a new link')
    const { account, granted = [] } = found
    const credential = await credentials.connect(
      {
        name: found.name,
        upstream: found.upstream,
        secret: {
          kind: 'refresh_token',
          client: { proof: 'credential', credential: found.client },
          refreshToken: grant.refreshToken,
        },
        identity: client.id,
        source: found.client,
        consentedScopes: granted,
        ...omitUndefined({ account }),
      },
      { id: found.id, ...omitUndefined({ expiresAt: grant.endsAt }) },
    )
    await connections.change(found.id, (one) => {
      const { sealedGrant: _, flow: _flow, ...rest } = one
      return { ...rest, state: 'finished' }
    })
    return credential
  }
}

/** What a connection is now: whatever was not finished in time has expired. */
function stateOf({ state, expiresAt }: Connection, now: number): ConnectionState {
  return (state === 'pending' || state === 'consented') && now >= expiresAt ? 'expired' : state
}

async function requireConnection(
  { connections }: Pick<ConnectDeps, 'connections'>,
  id: string,
): Promise<ConnectionRecord> {
  const found = await connections.find(id)
  if (found !== undefined) return found
  throw new BrokerError('not_found', { reason: `there is no connection ${quote(id)}` })
}

function forbidden(why: string): BrokerError {
  return new BrokerError('admin_forbidden', { reason: `the connection ${why}` })
}

function whyNot(state: ConnectionState, { reason }: Connection): string {
  switch (state) {
    case 'pending':
      return 'nobody has consented yet'
    case 'expired':
      return 'it was not finished in time: ask for a new link'
    case 'rejected':
      return reason ?? 'it was rejected'
    default:
      return 'it is finished already'
  }
}

/** What is there under that name has to be what was there when it began, and as much switched on. */
function judgeFormer({ name, former }: Connection, before: CredentialSummary | undefined): void {
  if (former === undefined && before !== undefined)
    throw conflict(`a credential ${quote(name)} was enrolled meanwhile`)
  if (former !== undefined && before?.createdAt !== former.createdAt)
    throw conflict(`the credential ${quote(name)} was destroyed meanwhile`)
}

function judgeAccountGiven(
  { account, expectedAccount, replacesAccount }: Connection,
  finalization: Finalization,
  before: CredentialSummary | undefined,
): void {
  // T14: without an expectation whoever asked has to look at who came.
  if (expectedAccount === undefined && account !== undefined && finalization.account !== account.name)
    throw conflict(`account: ${quote(account.name)} consented: pass it as account, if that is right`)
  const former = before?.account
  const mayReplace = replacesAccount || finalization.replaceAccount === true
  if (former !== undefined && !mayReplace && !isSameAccount(former, account))
    throw conflict(
      `account: until now it was ${quote(former.name)}, and ${quote(account?.name ?? 'another')} came: pass replace_account to replace it`,
    )
}

interface ScopesToJudge {
  readonly finalization: Finalization
  readonly before: CredentialSummary | undefined
}

/** T20: fewer than asked for, or than before, are accepted by naming them. */
async function judgeScopes(
  deps: ConnectDeps,
  { scopes: asked, granted = [] }: Connection,
  { finalization, before }: ScopesToJudge,
): Promise<void> {
  const formerly = before?.consentedScopes ?? []
  const missing = scopesBeyond([...new Set([...asked, ...formerly])], granted)
  if (missing.length === 0) return
  const accepted = scopeSet(finalization.acceptFewerScopes ?? [])
  if (finalization.acceptFewerScopes !== undefined && accepted.join(' ') === scopeSet(granted).join(' '))
    return
  const rules = before === undefined ? [] : await deps.rulesBeyond(before, granted)
  const broken = rules.length === 0 ? '' : `; these rules would break: ${rules.map(quote).join(', ')}`
  throw conflict(
    `fewer scopes came than ${scopesBeyond(asked, granted).length > 0 ? 'were asked for' : 'before'}: ` +
      `asked: ${asked.join(' ')}; granted: ${granted.join(' ')}; before: ${formerly.join(' ') || 'none'}${broken}. ` +
      'Pass accept_fewer_scopes with those that were granted, if that is right',
  )
}
