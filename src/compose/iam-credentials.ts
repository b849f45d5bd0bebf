import { createTickets, type Tickets } from '../authentication/tickets.ts'
import { enforceBlocks, refuseWithoutRule, type CurrentBlocks } from '../authorization/enforce-blocks.ts'
import type { CompiledPolicy } from '../policy/compile-policy.ts'
import type { MaybePromise } from '../domain/promises.ts'
import { until } from '../domain/time.ts'
import { brokerTarget } from '../domain/url.ts'
import { createExchange, type Exchange, type ExchangeSteps } from '../exchange.ts'
import type { Mint } from '../minting/mint.ts'
import type { Platform } from './platform.ts'
import type { Records } from './records.ts'

export interface ExchangesDeps {
  readonly platform: Platform
  readonly records: Records
  readonly issuer: string
  readonly policy: () => MaybePromise<CompiledPolicy>
  readonly blocks: CurrentBlocks
  /** Without a note of what it gave. */
  readonly mint: Mint
}

export interface Exchanges {
  readonly exchange: Exchange
  /** The same for the methods of IAM Credentials: a ticket proves its caller too, and signatures are shared with nobody. */
  readonly exchangeForIam: Exchange
  readonly tickets: Tickets
}

/** The pipeline of token requests, and the one that what `/v1/token` gave as a ticket leads to. */
export function createExchanges(steps: ExchangeSteps, deps: ExchangesDeps): Exchanges {
  const { platform, records, issuer, policy, blocks, mint } = deps
  const { clock } = platform
  const tickets = createTickets({ ...platform, ...records, brokerIssuer: issuer })
  const admit = enforceBlocks(blocks, async (caller) => {
    refuseWithoutRule(await policy(), caller)
  })
  const issue: Tickets['issue'] = async (caller, request) => {
    await admit(caller, request)
    return tickets.issue(caller, request)
  }
  const withTickets = { ...steps, tickets: { audience: brokerTarget(issuer), issue } }
  return {
    tickets,
    exchange: createExchange(withTickets, records.audit, clock),
    exchangeForIam: createExchange(
      {
        ...withTickets,
        authenticate: async (proof) => steps.authenticate(await tickets.redeem(proof)),
        resolve: async (grant, mintToken, deadlineMs) => {
          if (grant.tokenType !== 'signature') return steps.resolve(grant, mintToken, deadlineMs)
          const token = await mint(grant, deadlineMs)
          const remaining = until(token.expiresAt, clock.now())
          return { token, digest: token.signed?.digest ?? '', source: 'mint', remaining }
        },
      },
      records.audit,
      clock,
    ),
  }
}
