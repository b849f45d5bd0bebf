import { BrokerError } from '../domain/broker-error.ts'
import type { ExchangeRequest } from '../domain/exchange-request.ts'
import type { Rule } from '../domain/policy.ts'
import { quote } from '../domain/quote.ts'
import { seconds, type Seconds } from '../domain/time.ts'
import { tokenLifeOf, type TokenLifeOf } from './token-life.ts'

export interface NarrowLifetime {
  readonly request: Pick<ExchangeRequest, 'lifetime' | 'tokenType' | 'subject'>
  readonly rule: { readonly rule: Rule }
  readonly credential: TokenLifeOf
}

/**
 * The longest life that the token may turn out to have. Where the upstream can shorten a token, it is what the
 * upstream is asked for: what the caller asks, within what the rule allows. Elsewhere it is the rule's, which minting
 * holds against what the upstream gave, and what cannot be kept is refused, never pretended: `request_malformed` where
 * the caller asked for it, `target_unavailable` where the rule does.
 */
export function narrowLifetime({ request, rule: { rule }, credential }: NarrowLifetime): Seconds | undefined {
  const { lifetime: asked } = request
  const { lifetimeMax } = rule
  const malformed = (fault: string, condition = 'requested_lifetime'): BrokerError =>
    new BrokerError('request_malformed', {
      reason: `rule ${quote(rule.name)}: ${fault}`,
      publicDetail: fault,
      condition,
    })
  if (asked !== undefined && (!Number.isSafeInteger(asked) || asked <= 0))
    throw malformed('requested_lifetime must be a whole number of seconds')
  if (asked !== undefined && lifetimeMax !== undefined && asked > lifetimeMax)
    throw malformed('requested_lifetime is longer than what this caller may have', 'lifetime_seconds_max')

  const { usual, choice } = tokenLifeOf(credential, request)
  if (lifetimeMax !== undefined && lifetimeMax < (choice?.shortest ?? usual ?? 0))
    throw new BrokerError('target_unavailable', {
      reason: `rule ${quote(rule.name)}: lifetime_seconds_max of ${lifetimeMax} cannot be kept, ${credential.kind} gives ${lifeInWords(usual)}`,
      condition: 'lifetime_seconds_max',
    })
  if (choice !== undefined) {
    if (asked !== undefined && asked < choice.shortest)
      throw malformed(`requested_lifetime is too short: the least is ${choice.shortest}`)
    const most = lifetimeMax ?? usual ?? choice.longest
    return seconds(Math.min(asked ?? usual ?? most, most, choice.longest))
  }
  if (asked !== undefined && (usual === undefined || asked < usual))
    throw malformed(
      "requested_lifetime is too short: the upstream of this credential cannot shorten a token's life",
    )
  // Not what was asked: tokens asked for with 3600 and 3601 seconds are the same token, and share a cache entry.
  return lifetimeMax
}

function lifeInWords(life: Seconds | undefined): string {
  return life === undefined || life === Infinity ? 'no less than it likes' : `tokens of ${life} s`
}
