/** A JSON value, as verified claims hold it. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }

export type Claims = Readonly<Record<string, Json>>

/** A service whose JWT verified. Two callers are the same only if issuer and subject are equal octet by octet. */
export interface Caller {
  /** The exact `iss`. */
  readonly issuer: string
  /** The policy's name for that issuer. */
  readonly issuerName: string
  readonly subject: string
  readonly claims: Claims
  /** An access token proved it: only a rule that names its `client_id` takes it (T8). */
  readonly provedByAccessToken?: true
}
