import { redactTokens } from './adapters/system/audit-trail.ts'
import { createAuthenticate, createCountRequest, type CountRequest } from './authentication/authenticate.ts'
import type { Tickets } from './authentication/tickets.ts'
import { createVerifyIssued } from './authentication/verify-signature.ts'
import { createAuthorize } from './authorization/authorize.ts'
import type { CompiledPolicy } from './policy/compile-policy.ts'
import { enforceBlocks, createMayUse } from './authorization/enforce-blocks.ts'
import { readPolicySteps } from './policy/parse-policy.ts'
import { createPolicyInForce } from './policy/policy-in-force.ts'
import { createAdministration } from './compose/administration.ts'
import {
  endingConnections,
  maintainingConnections,
  openConnect,
  createPeople,
  signInClients,
} from './compose/people.ts'
import type { MintingRecords } from './rotation/prove-version.ts'
import { createExchanges } from './compose/google-cloud.ts'
import { createGauges } from './compose/gauges.ts'
import { unmeasured } from './compose/measure.ts'
import { createNameCall, watchUpstreams } from './compose/name-call.ts'
import { createRecording, createRecords, type Records } from './compose/records.ts'
import type { Broker, Platform } from './compose/platform.ts'
import { createCheckDocument, createLogWarnings } from './policy/policy-warnings.ts'
import { createRotationModule } from './compose/rotation.ts'
import type { Settings } from './config.ts'
import { healthFact, replacedPolicyFact } from './domain/event.ts'
import { runInTurns } from './domain/promises.ts'
import { createEvents, type Events } from './events/events.ts'
import { createApp, type AppDeps } from './http/app.ts'
import { createSummaryRecord } from './records/broker-summary.ts'
import { createEventRecords } from './records/events.ts'
import { createReadiness } from './service/readiness.ts'
import type { Mint } from './domain/token.ts'
import { createMint, type MintDeps } from './minting/mint.ts'
import { recordIssuedTokens, createIntrospect, createRevokeIssued } from './token-cache/issued-tokens.ts'
import { createIntermediaries } from './token-cache/intermediaries.ts'
import { createMemoryTokens } from './token-cache/memory-tokens.ts'
import { createTokenCache } from './token-cache/token-cache.ts'
import { createRevokeToken, type RevokeTokenSteps } from './revoke-token.ts'

/** Joins modules, records and the HTTP layer into one broker. Nothing is read, sent or written before the first request. */
export function createBroker(settings: Settings, given: Platform): Broker {
  const { issuer } = settings
  let inForce = (): CompiledPolicy | undefined => undefined
  const upstreams = watchUpstreams(
    given,
    createNameCall(settings, () => inForce()),
  )
  const platform = { ...given, http: upstreams.http }
  const { clock, log, entropy, measures = unmeasured } = platform
  const events = createEvents({
    ...platform,
    records: createEventRecords(platform),
    receiver: settings.webhook,
    redact: redactTokens,
  })
  const records = createRecords(settings, platform, (name, health) => events.notice(healthFact(name, health)))
  const withoutJti = new Set<string>()
  const { policyInForce, check, policy, findUpstream, rulesInUse } = openPolicy(settings, platform, {
    records,
    withoutJti,
    notice: events.notice,
  })

  const authenticate = createAuthenticate({
    ...platform,
    brokerIssuer: issuer,
    findIssuer: async (iss) => (await policyInForce.current()).findIssuer(iss),
    rememberOnce: records.replays.rememberOnce,
    signIn: signInClients(settings),
    withoutJti,
  })
  const countRequest = createCountRequest(platform.limits)
  const memory = createMemoryTokens({
    clock,
    fraction: entropy.fraction,
    entriesMax: settings.memoryTokensMax,
  })
  const resolve = createTokenCache({
    ...platform,
    ...records,
    blocks: records.blocksView,
    memory,
    noteLeaseWait: measures.noteLeaseWait,
  })
  const intermediaries = createIntermediaries({
    ...platform,
    ...records,
    blocks: records.blocksView,
    issued: memory,
    readCredential: records.credentials.find,
  })
  const noting = (mint: Mint) => recordIssuedTokens({ ...platform, ...records, mint: measures.mint(mint) })
  const verifyIssued = createVerifyIssued(platform)
  const mintWith = (used: MintingRecords, more: Pick<MintDeps, 'showConfirmed'> = {}) =>
    createMint({
      ...platform,
      ...used,
      ...more,
      verifyAccessToken: (token, from) => verifyIssued(token.reveal(), from),
      findUpstream,
      endpoints: mintEndpoints(settings),
      // What a credential's source gives is kept like a token that is issued, and may be issued itself.
      shareToken: async (grant, mint, deadlineMs) =>
        (await resolve(grant, () => noting(mint)(grant), deadlineMs)).token,
      intermediaries,
      noteLeaseWait: measures.noteLeaseWait,
    })
  const mint = mintWith(records)
  const joined = { settings, platform, records, events, findUpstream }
  const rotation = createRotationModule({ ...joined, mint, mintWith, rulesInUse })
  const findCredential = async (name: string) => {
    const found = await records.credentialView(name)
    intermediaries.notice(name, found)
    if (found?.rotation !== undefined) rotation.notice(found)
    return found
  }
  const blocks = async () => {
    const inForce = await records.blocksView()
    if (inForce.stopped !== undefined) intermediaries.forgetAll()
    return inForce
  }
  const authorizeDeps = {
    policy: policyInForce.current,
    findCredential,
    findNothing: records.emptyView,
    brokerIssuer: issuer,
  }
  const recording = createRecording(platform, records, policy)
  const { exchange, exchangeForIam, tickets } = createExchanges(
    measures.steps({
      countRequest: () => countRequest('callers'),
      authenticate,
      authorize: enforceBlocks(blocks, createAuthorize(authorizeDeps)),
      resolve,
      ...recording,
      mint: noting(mint),
    }),
    { platform, records, issuer, policy, blocks, mint: measures.mint(mint) },
  )

  inForce = () => policyInForce.status().inForce?.compiled
  measures.followPolicy?.(inForce)
  measures.watch(
    createGauges({
      ...records,
      policyStatus: policyInForce.status,
      summary: createSummaryRecord(platform),
      clock,
      namesCredentials: settings.telemetry?.namesCredentials === true,
    }),
  )
  const watched = { ...records, audit: events.watchAudit(records.audit) }
  const readiness = createReadiness({ ...platform, policy, blocks: records.blocksView })
  const connect = openConnect({ settings, platform, records, policy, findUpstream })
  const maintain = maintainingConnections(rotation.maintain, connect, log)
  const app = createApp({
    issuer,
    exchange: measures.exchange(exchange, '/v1/token'),
    exchangeForIam: measures.exchange(exchangeForIam, '/v1/projects/-/serviceAccounts/{account}'),
    ...createRevokeAndIntrospect({
      ...recording,
      platform,
      records,
      policy,
      authenticate,
      countRequest,
      tickets,
    }),
    ...endingConnections(
      createAdministration({
        ...joined,
        ...recording,
        records: watched,
        policyInForce,
        check,
        rotation,
        intermediaries,
        authenticate,
        authorizeDeps,
        countRequest,
        upstreams: upstreams.seen,
      }),
      connect,
    ),
    maintain,
    ...createPeople({ settings, platform, records: watched, policy }),
    connect,
    keyRing: platform.keyRing,
    sha256: platform.sha256,
    clock,
    readiness,
    ...publishedKeys(settings),
    entropy,
    log,
  })
  return { serve: app.fetch, readiness, maintain }
}

/** The policy in force, and what others than `authorize` want to know of it. */
function openPolicy(settings: Settings, platform: Platform, { records, withoutJti, notice }: PolicyParts) {
  const { clock, log, sharesWork } = platform
  const {
    issuer,
    policy: { from },
  } = settings
  const { clients = [] } = signInClients(settings) ?? {}
  const check = createCheckDocument(records.credentials, {
    brokerIssuer: issuer,
    signInClients: clients,
    clock,
    withoutJti,
  })
  const logWarnings = createLogWarnings({ ...platform, check })
  const policyInForce = createPolicyInForce({
    source: platform.policySource ?? records.policies,
    parse: async (document) => {
      const steps = readPolicySteps(document, { brokerIssuer: issuer, signInClients: clients })
      return (await runInTurns(steps, () => clock.sleep(0))).policy
    },
    onLoaded: (document, former) => {
      // A Worker has many instances and short ones: there `policy:validate` says it, and applying.
      if (sharesWork) logWarnings(document)
      // One in the store is replaced by an administrator, whose audit record tells it.
      if (platform.policySource !== undefined && former !== undefined && former.text !== document.text)
        notice(replacedPolicyFact(former, document))
    },
    clock,
    log,
    sharesWork,
    isWrittenInPlace: from === 'file',
  })
  const policy = async () => policyInForce.current()
  return {
    policyInForce,
    check,
    policy,
    findUpstream: async (name: string) => (await policy()).findUpstream(name),
    rulesInUse: async (credential: string) => {
      const { rules } = (await policy()).policy
      return rules.filter((rule) => rule.credential === credential && rule.scopes.length > 0)
    },
  }
}

interface PolicyParts {
  readonly records: Records
  readonly withoutJti: ReadonlySet<string>
  readonly notice: Events['notice']
}

interface IssuedDeps {
  readonly platform: Platform
  readonly records: Records
  readonly policy: () => Promise<CompiledPolicy>
  readonly authenticate: RevokeTokenSteps['authenticate']
  readonly countRequest: CountRequest
  readonly tickets: Pick<Tickets, 'revoke'>
  readonly noteRefusal: RevokeTokenSteps['noteRefusal']
}

/** What can be asked about a token that was issued. */
function createRevokeAndIntrospect({
  platform,
  records,
  policy,
  authenticate,
  countRequest,
  tickets,
  noteRefusal,
}: IssuedDeps): Pick<AppDeps, 'revokeToken' | 'introspect'> {
  const { blocksView: blocks, credentialView: findCredential, audit } = records
  const { clock } = platform
  const mayUse = createMayUse({ policy, blocks })
  const revoke = createRevokeIssued({ ...platform, ...records, mayUse, findCredential })
  return {
    revokeToken: createRevokeToken(
      {
        countRequest: () => countRequest('callers'),
        authenticate,
        noteRefusal,
        revoke: async (caller, token) => (await tickets.revoke(caller, token)) ?? revoke(caller, token),
      },
      audit,
      clock,
    ),
    introspect: createIntrospect({
      ...platform,
      ...records,
      blocks,
      findCredential,
      countRequest: () => countRequest('introspection'),
    }),
  }
}

function publishedKeys({ federation }: Settings): Pick<AppDeps, 'publishedKeys'> {
  if (federation === undefined) return {}
  return { publishedKeys: federation.keys.map(({ published }) => published) }
}

function mintEndpoints({ google }: Settings) {
  return {
    tokenUrl: google.oauthTokenUrl,
    stsUrl: google.stsTokenUrl,
    iamCredentialsUrl: google.iamCredentialsUrl,
  }
}
