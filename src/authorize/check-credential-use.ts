import type { CredentialSummary } from '../domain/credential.ts'
import { quote } from '../domain/quote.ts'
import { identifiesAsAccount } from './kinds-of-accounts.ts'
import { tokenLifeOf } from './token-life.ts'
import type { RuleContext } from './rule-context.ts'

export interface CredentialContext extends RuleContext {
  readonly credential: CredentialSummary
  /** All that are enrolled, by name. */
  readonly known: ReadonlyMap<string, CredentialSummary>
}

/** Warns of what a rule promises and its credential cannot keep: each would be refused when it is asked for. */
export function warnOfCredential(context: CredentialContext): void {
  const { policy, rule, credential, known, path, warn } = context
  const { kind, upstream, source } = credential
  const named = `${kind} ${quote(credential.name)}`
  const given = rule.tokenTypes.filter((type) => (type === 'api_key') === (kind === 'api_key'))
  if (given.length < rule.tokenTypes.length)
    warn(
      [...path, 'token_types'],
      `${named} gives no ${rule.tokenTypes.filter((type) => !given.includes(type)).join(', no ')}`,
    )
  else if (rule.tokenTypes.includes('id_token') && !identifiesAsAccount.has(kind))
    warn([...path, 'token_types'], `${named} gives no ID tokens`)
  if (rule.subjects.length > 0 && !identifiesAsAccount.has(kind))
    warn([...path, 'subjects'], `${named} cannot act for users`)
  if (rule.boundary.length > 0 && upstream !== 'google')
    warn([...path, 'boundary'], `${named} cannot be bounded: only an access token of Google's can`)
  if (upstream !== 'google' && !policy.upstreams.some(({ name }) => name === upstream))
    warn(
      [...path, 'credential'],
      `${named} is of the upstream ${quote(upstream)}, which is not in this policy`,
    )
  if (source !== undefined && !known.has(source))
    warn([...path, 'credential'], `${named} draws on ${quote(source)}, which is not enrolled`)
  warnOfLifetime(context)
}

function warnOfLifetime({ rule, credential, path, warn }: CredentialContext): void {
  const { lifetimeMax, tokenTypes, subjects } = rule
  if (lifetimeMax === undefined) return
  const place = [...path, 'lifetime_seconds_max']
  const lives = [
    ...tokenTypes.map((tokenType) => ({ what: tokenType, life: tokenLifeOf(credential, { tokenType }) })),
    ...(subjects[0] === undefined
      ? []
      : [
          {
            what: 'user’s access_token',
            life: tokenLifeOf(credential, { tokenType: 'access_token', subject: subjects[0] }),
          },
        ]),
  ]
  const broken = lives.find(({ life: { usual, choice } }) => lifetimeMax < (choice?.shortest ?? usual ?? 0))
  if (broken !== undefined)
    warn(
      place,
      `cannot be kept, and so gives nothing: an ${broken.what} of ${credential.kind} lives ${lifeOf(broken.life.usual)}`,
    )
  for (const {
    life: { choice, usual },
  } of lives) {
    if (choice === undefined || usual === undefined || lifetimeMax <= usual) continue
    const most = lifetimeMax > choice.longest ? `, and more than ${choice.longest} s to nobody` : ''
    warn(
      place,
      `Google gives more than ${usual} s only where an organisation policy lists the account${most}`,
    )
  }
}

function lifeOf(life: number | undefined): string {
  return life === undefined || life === Infinity ? 'for ever' : `${life} s`
}
