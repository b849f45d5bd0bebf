import * as z from 'zod/mini'
import { BrokerError } from '../domain/broker-error.ts'
import type { BlocksInForce } from '../domain/blocks.ts'
import type { Caller } from '../domain/caller.ts'
import type { ExchangeRequest, Proof } from '../domain/exchange-request.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import type { MaybePromise } from '../domain/promises.ts'
import { Secret } from '../domain/secret.ts'
import { epochSeconds, later, seconds, until, type EpochSeconds } from '../domain/time.ts'
import type { ResolvedToken } from '../domain/token.ts'
import type { Clock } from '../ports/clock.ts'
import type { Sha256 } from '../ports/entropy.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import type { BlocksRecord } from '../records/blocks.ts'
import { skew } from './judge-claims.ts'
import { openSealed } from '../domain/open-sealed.ts'

export interface TicketsDeps {
  readonly keyRing: Pick<KeyRing, 'seal' | 'open'>
  /** Throws `store_unavailable`. */
  readonly blocksView: () => MaybePromise<BlocksInForce>
  readonly blocks: Pick<BlocksRecord, 'revoke'>
  readonly clock: Clock
  readonly sha256: Sha256
  /** The broker's public URL. */
  readonly brokerIssuer: string
}

/** Access tokens for the broker itself: `/v1/token` issues them, and its IAM Credentials API takes them instead of the JWT. */
export interface Tickets {
  /**
   * A ticket for a proof that was accepted; never longer than it. Throws `subject_token_rejected` for one that is about
   * to end, and `request_malformed` for what a ticket cannot have.
   */
  issue(caller: Caller, request: ExchangeRequest): Promise<ResolvedToken>
  /**
   * The proof that a ticket was issued for, to be judged again by policy, keys and claims as they are now; any other
   * proof as it is. Throws `client_assertion_rejected` for a ticket that is over, was ended, or is none of ours.
   */
  redeem(proof: Proof): Promise<Proof>
  /**
   * Revokes a ticket of this caller and returns its digest; `undefined` for what is no ticket, or has expired. Throws
   * `target_unavailable`.
   */
  revoke(caller: Caller, token: Secret): Promise<{ readonly digest: string } | undefined>
}

/** Distinguishes a ticket from a JWT, and lets secret scanners find it where it does not belong. */
const prefix = 'downscope-ticket.'
const lifeMax = seconds(3600)
/** Sealed in a header, of which servers take 16 KiB. */
const assertionCharsMax = 8_192

export function createTickets(deps: TicketsDeps): Tickets {
  const { keyRing, blocksView, blocks, clock, sha256, brokerIssuer } = deps
  // T6: no other kind of text that is sealed opens here, nor one of another broker with the same keys.
  const place = `ticket#${brokerIssuer}`

  const open = async (text: string): Promise<Ticket | undefined> => {
    if (!text.startsWith(prefix)) return undefined
    const opened = await openSealed(keyRing, text.slice(prefix.length), place)
    const ticket = opened === undefined ? undefined : ticketText.safeParse(JSON.parse(opened)).data
    return ticket !== undefined && ticket.expiresAt > clock.now() ? ticket : undefined
  }

  const redeem = async (text: string): Promise<Proof> => {
    const [ticket, digest, { isRevoked, ticketsEndedBelow }] = await Promise.all([
      open(text),
      sha256(text),
      blocksView(),
    ])
    if (ticket === undefined) throw rejected('it is over, or none of this broker')
    if (isRevoked(digest)) throw rejected('it was revoked')
    if (ticket.count < ticketsEndedBelow(ticket)) throw rejected('a stop or a block has ended it')
    const { form, assertion, accessToken } = ticket
    return { form, assertion: new Secret(assertion), isSpent: true, ...omitUndefined({ accessToken }) }
  }

  return {
    issue: async (caller, request) => {
      refuseMore(request)
      const { form, assertion, accessToken } = request.proof
      const now = clock.now()
      const end = expiryOf(caller)
      const jwt = assertion.reveal().trim()
      if (until(end, now) <= skew || jwt.length > assertionCharsMax)
        throw new BrokerError('subject_token_rejected', {
          reason: 'too long, or too near its end, for a ticket',
          publicDetail: `a ticket needs a JWT that lives ${skew} s more, of at most ${assertionCharsMax} characters`,
          caller,
        })
      const { issuer, subject } = caller
      const { count } = (await blocksView()).tickets ?? { count: 0 }
      const expiresAt = epochSeconds(Math.min(end, later(now, lifeMax)))
      const ticket = { form, assertion: jwt, accessToken, issuer, subject, count, expiresAt }
      const text = `${prefix}${await keyRing.seal(new Secret(JSON.stringify(ticket)), place)}`
      const token = {
        secret: new Secret(text),
        tokenType: 'access_token' as const,
        scopes: ['ticket'],
        drawnFrom: [],
        issuedAt: now,
        expiresAt,
      }
      return { token, digest: await sha256(text), source: 'mint', remaining: until(expiresAt, now) }
    },
    redeem: async (proof) => {
      const text = proof.assertion.reveal()
      return text.startsWith(prefix) ? redeem(text) : proof
    },
    revoke: async (caller, token) => {
      const ticket = await open(token.reveal())
      if (ticket === undefined) return undefined
      if (ticket.issuer !== caller.issuer || ticket.subject !== caller.subject)
        throw new BrokerError('target_unavailable', { reason: 'a ticket of another caller' })
      const digest = await sha256(token.reveal())
      const by = await sha256(JSON.stringify([caller.issuer, caller.subject]))
      await blocks.revoke({ digest, expiresAt: ticket.expiresAt, by })
      return { digest }
    },
  }
}

function refuseMore({ tokenType, resource, subject, boundary, lifetime }: ExchangeRequest): void {
  const more = [resource, subject, boundary, lifetime]
  if (tokenType === 'access_token' && more.every((part) => part === undefined)) return
  throw new BrokerError('request_malformed', {
    reason: 'a ticket with more than its JWT',
    publicDetail:
      'for the broker itself, as audience, only a plain access token can be had, which is a ticket',
  })
}

function expiryOf({ claims: { exp } }: Caller): EpochSeconds {
  // judgeClaims has seen that it is a number.
  return epochSeconds(typeof exp === 'number' ? exp : 0)
}

function rejected(why: string): BrokerError {
  return new BrokerError('client_assertion_rejected', {
    reason: `a ticket: ${why}`,
    publicDetail: `the ticket is not accepted: ${why}`,
  })
}

const ticketText = z.object({
  form: z.enum(['subject_token', 'client_assertion']),
  assertion: z.string(),
  accessToken: z.exactOptional(z.enum(['marked', 'access_token'])),
  issuer: z.string(),
  subject: z.string(),
  /** How many stops and blocks the issuing instance knew of. */
  count: z.int(),
  expiresAt: z.pipe(z.int(), z.transform(epochSeconds)),
})

type Ticket = z.output<typeof ticketText>
