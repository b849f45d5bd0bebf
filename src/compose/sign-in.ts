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

/** The clients that a person's ID token may be for; nothing where nobody signs in. */
export function signInClients({ signIn }: Settings): SignInAudiences | undefined {
  if (signIn === undefined) return undefined
  const { issuer, clientId, cliClientId, deviceClientId } = signIn
  const device = deviceClientId === undefined ? [] : [deviceClientId]
  return { issuer, clients: [...new Set([clientId, cliClientId, ...device])] }
}

export interface SignInParts {
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
