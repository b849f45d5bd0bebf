import type { SignInAudiences } from '../authentication/authenticate.ts'
import { createRolesOf } from '../authorization/authorize-admin.ts'
import { claimsForRoles, type CompiledPolicy } from '../policy/compile-policy.ts'
import type { Settings } from '../config.ts'
import type { AppDeps } from '../http/app.ts'
import { issuerUrl } from '../http/public-routes.ts'
import { createEndedSessions } from '../records/ended-sessions.ts'
import { createOpenIdClient } from '../sign-in/openid-client.ts'
import { createSessions } from '../sign-in/sessions.ts'
import { createSignIn } from '../sign-in/sign-in.ts'
import type { Platform } from './platform.ts'
import type { Records } from './records.ts'
import { readScopes } from '../policy/scope-catalogue.ts'
import { createConnect, type Connect } from '../connect/connect.ts'
import { isBrokerError } from '../domain/broker-error.ts'
import { quote } from '../domain/text.ts'
import type { Upstream } from '../domain/upstream.ts'
import { createRequestToken } from '../oauth/token-endpoint.ts'
import { createSendWithRetry } from '../oauth/send-with-retry.ts'
import { clientOf } from '../records/credential-secrets.ts'
import { createResolveUpstream } from '../oauth/resolve-upstream.ts'
import { createRevokeRefreshToken, createRedeemCode } from '../oauth/redeem-code.ts'
import type { Log } from '../ports/log.ts'
import { createConnections } from '../records/connections.ts'
import type { Administration } from './administration.ts'

/** The clients that a person's ID token may be for; nothing where nobody signs in. */
export function signInClients({ signIn }: Settings): SignInAudiences | undefined {
  if (signIn === undefined) return undefined
  const { issuer, clientId, cliClientId, deviceClientId } = signIn
  const device = deviceClientId === undefined ? [] : [deviceClientId]
  return { issuer, clients: [...new Set([clientId, cliClientId, ...device])] }
}

interface SignInParts {
  readonly settings: Settings
  readonly platform: Platform
  readonly records: Pick<Records, 'audit' | 'blocksView'>
  readonly policy: () => Promise<CompiledPolicy>
}

/** Where people sign in; nothing where the settings name no issuer. */
export function createPeople({
  settings,
  platform,
  records,
  policy,
}: SignInParts): Pick<AppDeps, 'signIn' | 'signInDocument'> {
  const { issuer, signIn: wanted } = settings
  if (wanted === undefined) return {}
  const { keyRing } = platform
  const rolesOf = createRolesOf({ policy, deviceClientId: wanted.deviceClientId })
  const sessions = createSessions({
    ...platform,
    issuer,
    ended: createEndedSessions(platform),
    claimsForRoles: async () => claimsForRoles((await policy()).policy),
  })
  const signIn = createSignIn({
    ...platform,
    issuer,
    client: createOpenIdClient({
      ...platform,
      ...wanted,
      redirectUri: issuerUrl(issuer, '/console/callback'),
    }),
    sessions,
    keyRing,
    issuerName: async (iss) => (await policy()).findIssuer(iss)?.name,
    rolesOf: async (caller) =>
      (await records.blocksView()).blocked(caller) === undefined ? rolesOf(caller) : [],
    audit: records.audit,
  })
  const { cliClientId, deviceClientId } = wanted
  const signInDocument = { issuer: wanted.issuer, client_id: cliClientId, device_client_id: deviceClientId }
  return { signIn, signInDocument }
}

interface ConnectParts {
  readonly settings: Settings
  readonly platform: Platform
  readonly records: Records
  readonly policy: () => Promise<CompiledPolicy>
  readonly findUpstream: (name: string) => Promise<Upstream | undefined>
}

/** Consent, joined with what asks upstreams. */
export function openConnect({ settings, platform, records, policy, findUpstream }: ConnectParts): Connect {
  const { google, issuer } = settings
  const ask = createRequestToken({ ...platform, ask: createSendWithRetry(platform) })
  const reachUpstream = createResolveUpstream({
    ...platform,
    findUpstream,
    tokenUrl: google.oauthTokenUrl,
    authorizationUrl: google.oauthAuthorizationUrl,
  })
  return createConnect({
    ...platform,
    ...records,
    issuer,
    connections: createConnections({
      ...platform,
      onMalformed: (error) => platform.log('error', 'a connection cannot be read', { error }),
    }),
    clientOf: (credential, upstream, use) =>
      clientOf(
        records.credentials,
        { proof: 'credential', credential },
        { upstream, mayBeOff: use === 'give_back' },
      ),
    reach: (upstream) => reachUpstream({ name: upstream, upstream }),
    redeem: createRedeemCode({ ...platform, ask }),
    giveBack: createRevokeRefreshToken({ ...platform, ask, googleRevokeUrl: google.revokeUrl }),
    readScopes,
    rulesBeyond: async ({ name, upstream }, scopes) => {
      const { rules } = (await policy()).policy
      const wanted = rules.filter((rule) => rule.credential === name)
      return wanted
        .filter((rule) => {
          const read = readScopes(upstream, rule.scopes)
          return !read.ok || read.value.some((scope) => !scopes.includes(scope))
        })
        .map((rule) => rule.name)
    },
    whyStopped: async (startedBy) => {
      const blocks = await records.blocksView()
      if (blocks.stopped !== undefined) return 'the service is stopped'
      return blocks.blocked(startedBy) === undefined ? undefined : 'whoever asked for it is blocked'
    },
  })
}

type Switches = Pick<Administration, 'credentials' | 'revokeCredential' | 'service'>

/** T16: whatever switches a credential, a caller or everything off ends what was being connected for it. */
export function endingConnections<Given extends Switches>(given: Given, connect: Connect): Given {
  const { credentials, revokeCredential, service } = given
  const about = (name: string, verb: string) =>
    connect.end(
      (connection) => connection.name === name || connection.client === name,
      `credential ${quote(name)} was ${verb} meanwhile`,
    )
  return {
    ...given,
    credentials: {
      ...credentials,
      disable: async (name, revision) => {
        const disabled = await credentials.disable(name, revision)
        await about(name, 'disabled')
        return disabled
      },
      destroy: async (name, revision) => {
        await credentials.destroy(name, revision)
        await about(name, 'destroyed')
      },
    } satisfies Switches['credentials'],
    revokeCredential: async (name: string, revision?: string) => {
      const revoked = await revokeCredential(name, revision)
      await about(name, 'revoked')
      return revoked
    },
    service: {
      ...service,
      stop: async (by) => {
        const stopped = await service.stop(by)
        await connect.end(() => true, 'the service was stopped meanwhile')
        return stopped
      },
      blockCaller: async (caller, by) => {
        const blocked = await service.blockCaller(caller, by)
        await connect.end(
          ({ startedBy }) => startedBy.issuer === blocked.issuer && startedBy.subject === blocked.subject,
          'whoever asked for it was blocked meanwhile',
        )
        return blocked
      },
    } satisfies Switches['service'],
  }
}

/** Maintenance gives back, too, what was consented to and never finished (T19). What fails is tried with the next run. */
export function maintainingConnections<Report>(
  maintain: () => Promise<Report>,
  connect: Connect,
  log: Log,
): () => Promise<Report> {
  return async () => {
    const report = await maintain()
    await connect.tidy().catch((error: unknown) => {
      if (!isBrokerError(error)) throw error
      log('warn', 'connections could not be tidied', { reason: error.reason })
    })
    return report
  }
}
