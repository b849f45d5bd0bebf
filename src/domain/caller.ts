import { memberOf } from './json.ts'

/** A JSON value, as verified claims hold it. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }

export type Claims = Readonly<Record<string, Json>>

/** A service whose JWT verified. Two callers are the same only if issuer and subject are exactly equal. */
export interface Caller {
  /** The exact `iss`. */
  readonly issuer: string
  /** The policy's name for that issuer. */
  readonly issuerName: string
  readonly subject: string
  readonly claims: Claims
  /** An access token proved it: only a rule that names its `client_id` takes it (T8). */
  readonly provedByAccessToken?: true
  /** Their `traceparent` is taken over (T36). */
  readonly trustsTraceparent?: true
}

/** Why a text cannot name a claim, or `undefined`. RFC 6901 §3: `~` only as `~0` or `~1`. */
export function claimNameFault(name: string): string | undefined {
  if (name === '') return 'a claim needs a name'
  return name.startsWith('/') && /~(?![01])/.test(name)
    ? 'not a JSON Pointer: ~ is written ~0, and / ~1'
    : undefined
}

/** The value of a claim, named as it is or by a JSON Pointer; never an inherited member. */
export function createFindClaim(name: string): (claims: Claims) => Json | undefined {
  const steps = name.startsWith('/') ? name.slice(1).split('/').map(unescapeStep) : [name]
  return (claims) => {
    let found: Json | undefined = claims
    for (const step of steps) {
      found = memberOf(found, step)
      if (found === undefined) return undefined
    }
    return found
  }
}

/** RFC 6901 §4: `~1` before `~0`, so that `~01` means `~1`. */
export function unescapeStep(step: string): string {
  return step.replaceAll('~1', '/').replaceAll('~0', '~')
}
