import * as z from 'zod/mini'
import type { Claims } from '../domain/caller.ts'
import { Secret, unguessable } from '../domain/secret.ts'
import { epochSeconds, later, seconds, type EpochSeconds } from '../domain/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import type { EndedSessions } from '../records/ended-sessions.ts'
import { openSealed } from '../domain/open-sealed.ts'

/** A person's session: all of it is in the sealed cookie. */
export interface Session {
  readonly id: string
  readonly issuer: string
  readonly subject: string
  /** What fits of the ID token's claims; what does not fit, roles cannot come from. */
  readonly claims: Claims
  /** The names of all claims that came. */
  readonly claimNames: readonly string[]
  /** What every form of this session carries. */
  readonly formToken: string
  readonly startedAt: EpochSeconds
  /** When the issuer last said that this person may sign in. */
  readonly checkedAt: EpochSeconds
}

export type OpenedSession =
  | { readonly kind: 'current'; readonly session: Session }
  /** Good for nothing but to be asked for again at the issuer, silently (T21). */
  | { readonly kind: 'due'; readonly session: Session }

export interface Sessions {
  /** A new session, or `former` going on for the same person. */
  readonly start: (signedIn: SignedIn, former?: Session) => Promise<Secret>
  /** `undefined` for what is no session of ours, has ended or was ended. */
  readonly open: (cookie: string | undefined) => Promise<OpenedSession | undefined>
  readonly end: (session: Session) => Promise<void>
}

export interface SignedIn {
  readonly issuer: string
  readonly subject: string
  readonly claims: Claims
}

export interface SessionsDeps {
  /** The broker's own public URL. */
  readonly issuer: string
  readonly keyRing: Pick<KeyRing, 'seal' | 'open'>
  readonly ended: EndedSessions
  readonly clock: Clock
  readonly entropy: Entropy
  /** The claims that some rule of `admins` asks for. */
  readonly claimsForRoles: () => Promise<ReadonlySet<string>>
}

/** T21: an issuer that has switched somebody off is asked at least this often. */
const checkedAgainAfter = seconds(3600)
/** However often it is asked. */
const sessionLife = seconds(8 * 3600)
/** Browsers take cookies of 4,096 bytes, sealed; a sealed text is a third longer. */
const claimsCharsMax = 1_800
const cookieCharsMax = 4_000

/** Throws `key_ring_unavailable` and `store_unavailable` where those are down. */
export function createSessions(deps: SessionsDeps): Sessions {
  const { issuer, keyRing, ended, clock, entropy } = deps
  // T6: nothing else that is sealed, and no session of another broker with these keys, opens here.
  const place = `cookie/session#${issuer}`
  const endOf = ({ startedAt }: Session): EpochSeconds => later(startedAt, sessionLife)

  return {
    start: async (signedIn, former) => {
      const now = clock.now()
      const { subject } = signedIn
      const isSame = former?.subject === subject && former.issuer === signedIn.issuer
      const session: Session = {
        id: isSame ? former.id : unguessable(entropy),
        issuer: signedIn.issuer,
        subject,
        claims: await fitting(signedIn.claims, deps),
        claimNames: Object.keys(signedIn.claims).slice(0, 50),
        formToken: isSame ? former.formToken : unguessable(entropy),
        startedAt: isSame ? former.startedAt : now,
        checkedAt: now,
      }
      return new Secret(await keyRing.seal(new Secret(JSON.stringify(session)), place))
    },
    open: async (cookie) => {
      const session = cookie === undefined ? undefined : await read(keyRing, cookie, place)
      const now = clock.now()
      if (session === undefined || now >= endOf(session) || (await ended.hasEnded(session.id)))
        return undefined
      const isDue = now >= later(session.checkedAt, checkedAgainAfter)
      return { kind: isDue ? 'due' : 'current', session }
    },
    end: (session) => ended.end(session.id, endOf(session), clock.now()),
  }
}

async function read(
  keyRing: SessionsDeps['keyRing'],
  cookie: string,
  place: string,
): Promise<Session | undefined> {
  const text = await openCookie(keyRing, cookie, place)
  const parsed = text === undefined ? undefined : sessionText.safeParse(JSON.parse(text))
  return parsed?.success === true ? parsed.data : undefined
}

/** What was sealed into a cookie of ours, or `undefined`; a longer text than we ever make is not tried. */
export async function openCookie(
  keyRing: Pick<KeyRing, 'open'>,
  cookie: string,
  place: string,
): Promise<string | undefined> {
  return cookie.length > cookieCharsMax ? undefined : openSealed(keyRing, cookie, place)
}

async function fitting(claims: Claims, { claimsForRoles }: SessionsDeps): Promise<Claims> {
  if (JSON.stringify(claims).length <= claimsCharsMax) return claims
  const wanted = new Set([...(await claimsForRoles()), 'email', 'email_verified', 'name', 'aud', 'azp'])
  const some = Object.fromEntries(Object.entries(claims).filter(([name]) => wanted.has(name)))
  if (JSON.stringify(some).length <= claimsCharsMax) return some
  const { email = null, email_verified: isVerified = null } = claims
  return { email, email_verified: isVerified }
}

const instant = z.pipe(z.int(), z.transform(epochSeconds))
const sessionText = z.object({
  id: z.string(),
  issuer: z.string(),
  subject: z.string(),
  claims: z.record(z.string(), z.json()),
  claimNames: z.array(z.string()),
  formToken: z.string(),
  startedAt: instant,
  checkedAt: instant,
})
