import type { CallerPattern, TrustedIssuer } from '../domain/policy.ts'
import { quote } from '../domain/text.ts'
import type { Path, Report } from './policy-faults.ts'
import { namesClient } from './match-caller.ts'

/** Issuers of a policy, by name, whose JWTs came without a `jti` although each may be used once. */
export type IssuersWithoutJti = ReadonlySet<string>

/** Warns of what an issuer's entry asks for and its tokens do not have: every one of them would be refused. */
export function warnOfIssuer(
  { name, keys, replay }: TrustedIssuer,
  {
    path,
    warn,
    withoutJti,
  }: { readonly path: Path; readonly warn: Report; readonly withoutJti: IssuersWithoutJti },
): void {
  if (replay !== 'once') return
  const cure = 'each of them is refused; replay: allowed takes them, as often as they are shown'
  if (withoutJti.has(name)) warn([...path, 'replay'], `${quote(name)} signs without a jti, and so ${cure}`)
  else if (keys.from === 'jwks_uri' && keys.use === 'jwt-svid')
    warn([...path, 'replay'], `JWT-SVIDs have no jti as a rule, and then ${cure}`)
}

/** Warns of callers that an access token can never prove, because their rule leaves open for which client it is. */
export function warnOfAccessTokens(
  callers: readonly CallerPattern[],
  {
    issuers,
    path,
    warn,
  }: {
    /** By their names in the policy. */
    readonly issuers: ReadonlyMap<string, TrustedIssuer>
    readonly path: Path
    readonly warn: Report
  },
): void {
  for (const [index, pattern] of callers.entries()) {
    const { accepts = [] } = issuers.get(pattern.issuer) ?? {}
    if (accepts.includes('at+jwt') && !namesClient(pattern))
      warn(
        [...path, 'callers', index],
        `names no client_id among its claims, and so takes no access token (at+jwt) of ${quote(pattern.issuer)}`,
      )
  }
}
