import * as z from 'zod/mini'
import { failureOf, type AuditRecord } from '../domain/audit-record.ts'
import { BrokerError } from '../domain/broker-error.ts'
import type { Caller } from '../domain/caller.ts'
import type { AdminRole } from '../domain/policy.ts'
import { quote } from '../domain/text.ts'
import { Secret } from '../domain/secret.ts'
import { later, seconds } from '../domain/time.ts'
import type { AuditTrail } from '../ports/log.ts'
import type { Clock } from '../ports/clock.ts'
import type { KeyRing } from '../ports/key-ring.ts'
import type { OpenIdClient } from './openid-client.ts'
import { openCookie, type Session, type Sessions } from './sessions.ts'

/** Somebody who signed in and whose session is good now. */
export interface Person {
  readonly session: Session
  /** As for any caller: roles come from `admins` of the policy. */
  readonly caller: Caller
  /** Those that policy gives, none for whoever is blocked. */
  readonly roles: readonly AdminRole[]
}

export type FoundPerson =
  | { readonly kind: 'person'; readonly person: Person }
  /** The session has to be asked for again at the issuer. */
  | { readonly kind: 'due'; readonly session: Session }
  | { readonly kind: 'nobody' }

export interface SignInBegun {
  /** Where the browser goes. */
  readonly url: string
  /** Sealed, for the cookie of this sign-in. */
  readonly kept: Secret
}

export type SignInEnded =
  | { readonly ok: true; readonly to: string; readonly cookie: Secret }
  /** `again`: the issuer wants to see the person; `refused`: it does not let them in. */
  | { readonly ok: false; readonly why: 'again' | 'refused' | 'stale'; readonly to: string }

/** What the pages need of signing in. Every method throws what its store, key ring and policy throw. */
export interface SignIn {
  readonly find: (cookie: string | undefined) => Promise<FoundPerson>
  /** `renews`: the session that is asked for again, without a question to the person. */
  readonly begin: (wanted: {
    readonly to: string
    readonly renews?: Session | undefined
  }) => Promise<SignInBegun>
  readonly finish: (answer: SignInAnswer) => Promise<SignInEnded>
  readonly end: (session: Session, requestId: string) => Promise<void>
}

export interface SignInAnswer {
  readonly parameters: URLSearchParams
  /** The cookie of this sign-in. */
  readonly kept: string | undefined
  /** The cookie of the session, which goes on if it was asked for again. */
  readonly session: string | undefined
  readonly requestId: string
}

export interface SignInDeps {
  /** The broker's own public URL. */
  readonly issuer: string
  readonly client: OpenIdClient
  readonly sessions: Sessions
  readonly keyRing: Pick<KeyRing, 'seal' | 'open'>
  /** The policy's name for an issuer. */
  readonly issuerName: (iss: string) => Promise<string | undefined>
  /** Empty for whoever is blocked. */
  readonly rolesOf: (caller: Caller) => Promise<readonly AdminRole[]>
  readonly audit: AuditTrail
  readonly clock: Clock
}

/** How long a person may take at the issuer's page. */
const signInLife = seconds(600)

export function createSignIn(deps: SignInDeps): SignIn {
  const { client, sessions, keyRing, clock } = deps
  const place = `cookie/sign-in#${deps.issuer}`

  const readKept = async (cookie: string | undefined): Promise<Kept | undefined> => {
    const text = cookie === undefined ? undefined : await openCookie(keyRing, cookie, place)
    const parsed = text === undefined ? undefined : keptText.safeParse(JSON.parse(text))
    return parsed?.success === true && clock.now() < parsed.data.until ? parsed.data : undefined
  }

  return {
    find: async (cookie) => {
      const opened = await sessions.open(cookie)
      if (opened === undefined) return { kind: 'nobody' }
      const { session } = opened
      if (opened.kind === 'due') return { kind: 'due', session }
      const { issuer, subject, claims } = session
      const caller = { issuer, subject, claims, issuerName: (await deps.issuerName(issuer)) ?? '' }
      return { kind: 'person', person: { session, caller, roles: await deps.rolesOf(caller) } }
    },
    begin: async ({ to, renews }) => {
      // OpenID Connect Core §3.1.2.1: `none` shows no page.
      const more: Record<string, string> = renews === undefined ? {} : { prompt: 'none' }
      const { url, ...flow } = await client.begin(more)
      const kept: Kept = {
        ...flow,
        to,
        until: later(clock.now(), signInLife),
        isSilent: renews !== undefined,
      }
      return { url, kept: new Secret(await keyRing.seal(new Secret(JSON.stringify(kept)), place)) }
    },
    finish: (answer) => finishAudited(deps, answer, readKept),
    end: async (session, requestId) => {
      await sessions.end(session)
      await audited(deps, { requestId, action: 'person.sign_out' }, async (note) => {
        note({ issuer: session.issuer, caller: session.subject })
      })
    },
  }
}

interface Kept {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
  readonly to: string
  readonly until: number
  readonly isSilent: boolean
}

const keptText = z.object({
  state: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  to: z.string(),
  until: z.number(),
  isSilent: z.boolean(),
})

async function finishAudited(
  deps: SignInDeps,
  { parameters, kept: cookie, session, requestId }: SignInAnswer,
  readKept: (cookie: string | undefined) => Promise<Kept | undefined>,
): Promise<SignInEnded> {
  const kept = await readKept(cookie)
  if (kept === undefined) return { ok: false, why: 'stale', to: '' }
  const { to } = kept
  if (kept.isSilent && !parameters.has('code')) return { ok: false, why: 'again', to }
  let refusal: string | undefined
  const signedIn = await audited(deps, { requestId, action: 'person.sign_in' }, async (note) => {
    const answer = await deps.client.finish(parameters, kept)
    if (!answer.ok) {
      refusal = answer.error
      throw new BrokerError('admin_unauthenticated', { reason: `the issuer answers ${quote(answer.error)}` })
    }
    const { iss, sub } = answer.claims
    if (typeof iss !== 'string' || typeof sub !== 'string') throw new TypeError('an ID token has iss and sub')
    note({ issuer: iss, caller: sub })
    // What belongs to this one sign-in says nothing of the person.
    const { nonce: _nonce, at_hash: _hash, ...claims } = answer.claims
    return { issuer: iss, subject: sub, claims }
  }).catch((error: unknown) => {
    if (refusal !== undefined) return undefined
    throw error
  })
  if (signedIn === undefined) return { ok: false, why: 'refused', to }
  const former = kept.isSilent ? await deps.sessions.open(session) : undefined
  return { ok: true, to, cookie: await deps.sessions.start(signedIn, former?.session) }
}

type Facts = Pick<AuditRecord, 'issuer' | 'caller'>

/** Writes one audit record of what `work` does, before its outcome is known to anybody (P27). */
async function audited<T>(
  { audit, clock }: Pick<SignInDeps, 'audit' | 'clock'>,
  about: Pick<AuditRecord, 'requestId' | 'action'>,
  work: (note: (facts: Facts) => void) => Promise<T>,
): Promise<T> {
  const startedMs = clock.steadyMs()
  let facts: Facts = {}
  const write = (ending: Pick<AuditRecord, 'outcome' | 'error' | 'reason'>) =>
    audit({ ...about, at: clock.now(), ...facts, ...ending, durationMs: clock.steadyMs() - startedMs })
  let result
  try {
    result = await work((more) => (facts = { ...facts, ...more }))
  } catch (error) {
    await write(failureOf(error))
    throw error
  }
  await write({ outcome: 'done' })
  return result
}
